"""Before every view: who may use the control API, which trouble strikes, what is logged."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase, JsonResponse

from providers.sandbox import paging, trouble
from providers.sandbox.answers import answer
from providers.sandbox.microsoft.batch import PART
from providers.sandbox.microsoft.throttle import limited
from providers.sandbox.models import IssuedCode
from providers.sandbox.oauth.grants import digest, owner_of_identity_token, owner_of_token

Answer = Callable[[HttpRequest], HttpResponseBase]

_EXACT = {"/token": "token", "/v1/userinfo": "userinfo", "/revoke": "revoke"}
_GRAPH = "/microsoft/v1.0/"
_TROUBLE = "sandbox.trouble"
_LOOPBACK_NAMES = {"127.0.0.1", "localhost", "[::1]"}


class ControlGuard:
    """`/control/` answers only on loopback, unless SANDBOX_CONTROL=everywhere.

    The Host header is looked at too: a web page of a stranger must not reach it through a name that
    points to 127.0.0.1. Bodies must be JSON, which such a page cannot send without asking first.
    """

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Refuse with 403 or 415, or go on."""
        if request.path.startswith("/control/"):
            if not settings.SANDBOX.control_everywhere and not _is_loopback(request):
                return JsonResponse(
                    {"error": "The control API is served on loopback only."}, status=403
                )
            if "X-Goog-Channel-ID" in request.headers or "validationToken" in request.GET:
                # A channel or a subscription may have been pointed here; its messages come from
                # loopback.
                return JsonResponse({"error": "This is no place for notifications."}, status=403)
            if request.body and request.content_type != "application/json":
                return JsonResponse({"error": "Content-Type must be application/json."}, status=415)
        return self.get_response(request)


class TroubleAndLog:
    """Meets the ordered troubles and writes the request log; pages and control stay out of it."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Wait, answer with trouble, or go on."""
        target = _target(request.path)
        if target is None:
            return self.get_response(request)
        is_limited = request.path.startswith(_GRAPH) and not request.META.get(PART)
        serve = partial(self._serve, target)
        response = limited(request, serve) if is_limited else serve(request)
        _record(request, target, response)
        return response

    def _serve(self, target: str, request: HttpRequest) -> HttpResponseBase:
        account = _account_of(request) if trouble.needs_account(target) else None
        wait, met = trouble.take(target, account)
        if wait:
            trouble.pause(wait)
        paging.understand(request)
        if met is None:
            return self.get_response(request)
        request.META[_TROUBLE] = met.kind
        return answer(met, request, self.get_response)


def _target(path: str) -> str | None:
    if path in _EXACT:
        return _EXACT[path]
    if path.startswith("/calendar/v3/"):
        if path.endswith(("/events/watch", "/channels/stop")):
            return "channels"
        return "events" if "/events" in path else "calendars"
    if path.startswith("/microsoft/"):
        return _microsoft_target(path)
    return None


def _microsoft_target(path: str) -> str | None:
    if not path.startswith(_GRAPH):
        return {"token": "token", "userinfo": "userinfo"}.get(path.rpartition("/")[2])
    rest = path.removeprefix(_GRAPH)
    if rest in {"me", "$batch"}:
        return "userinfo" if rest == "me" else "batch"
    if rest.startswith("subscriptions"):
        return "channels"
    is_of_events = "/events" in rest or "/calendarview" in rest.lower()
    return "events" if is_of_events else "calendars"


def _account_of(request: HttpRequest) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer":
        token = request.POST.get("refresh_token") or request.POST.get("token") or ""
    owner = owner_of_token(token) if token else None
    if owner is not None:
        return owner[0].email
    person = owner_of_identity_token(token or request.POST.get("code", ""))
    if person is not None:
        return person.email
    code = IssuedCode.objects.filter(digest=digest(request.POST.get("code", ""))).first()
    return code.account.email if code else None


def _record(request: HttpRequest, target: str, response: HttpResponseBase) -> None:
    match = request.resolver_match
    entry = {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "method": request.method,
        "path": f"/{match.route}" if match else request.path,
        "target": target,
        "account": request.META.get("sandbox.account"),
        "status": response.status_code,
        "parameters": sorted(request.GET),
        "trouble": request.META.get(_TROUBLE),
    } | request.META.get("sandbox.noted", {})
    counted = [target, f"{target}:{response.status_code}"]
    if target == "token":
        grant = request.POST.get("grant_type", "")
        entry["grant_type"] = grant if grant in {"authorization_code", "refresh_token"} else "other"
        counted.append(f"token:{entry['grant_type']}")
    trouble.record(entry, *counted)


def _is_loopback(request: HttpRequest) -> bool:
    host = request.META.get("HTTP_HOST", "")
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    try:
        return name in _LOOPBACK_NAMES and ip_address(request.META["REMOTE_ADDR"]).is_loopback
    except ValueError:
        return False
