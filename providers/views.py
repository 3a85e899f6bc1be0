"""Where browsers come during a handshake: the start page of a confirmed one, and the callback.

The callback reads the query, lets `providers.handshake` decide, and leaves with a 303 to a clean
URL: no code or state stays in the address bar, a referrer, or a cache (RFC 9700 sections 4.2 and
4.3).
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, ParamSpec
from urllib.parse import urlsplit

from csp.constants import NONE, SELF
from csp.decorators import csp_replace, csp_update
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from providers import causes, connect, handshake, opening
from providers.models import AuthorizationRequest, ProviderConfiguration
from providers.registry import UnknownKind
from talkover.api.addresses import client_address
from talkover.encryption import UnsealError

logger = logging.getLogger(__name__)

# Well above what providers send: Google's codes are at most 256 bytes, our states 43 characters.
MAX_LENGTHS = {"code": 4096, "state": 256, "error": 256, "iss": 512}
# Of a description this much is looked at, for codes that stand at its beginning.
DESCRIPTION_LENGTH = 1024

# How browsers say that nobody looks at the answer yet.
_PREFETCH_HEADERS = ("Sec-Purpose", "Purpose", "X-Moz")
# What a Content-Security-Policy can name; whatever else an endpoint has stays out of the header.
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.:-]+")


P = ParamSpec("P")


class SeeOther(HttpResponseRedirect):
    """303: the browser goes on with GET, whatever brought it here."""

    status_code = 303


def leaves_no_trace(view: Callable[P, HttpResponseBase]) -> Callable[P, HttpResponseBase]:
    """For pages whose URL, or whose neighbours', carries a secret: no cache, no referrer."""

    @wraps(view)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        response = view(*args, **kwargs)
        response.setdefault("Referrer-Policy", "no-referrer")
        response["Cache-Control"] = "no-store, private"
        return response

    return wrapped


def refuses_prefetch(view: Callable[P, HttpResponseBase]) -> Callable[P, HttpResponseBase]:
    """A browser that looks ahead gets nothing, and asks again when its person really comes."""

    @wraps(view)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        request: Any = args[0]
        purposes = (request.headers.get(name, "") for name in _PREFETCH_HEADERS)
        if any("prefetch" in purpose.lower() for purpose in purposes):
            return HttpResponse(status=503)
        return view(*args, **kwargs)

    return wrapped


@require_GET
@leaves_no_trace
@refuses_prefetch
def callback(request: HttpRequest, kind: str, configuration_id: uuid.UUID) -> HttpResponseBase:
    """Finish a handshake, or its browser's part of it, and send the browser on."""
    if request.GET.get("state") == connect.ADMIN_CONSENT_STATE:
        return SeeOther(reverse("admin-consent", args=[_consented(request)]))
    answer = _read_answer(request)
    if answer is None:
        return SeeOther(reverse("connect-error", args=["invalid_request"]))
    try:
        outcome = handshake.complete(
            kind=kind,
            configuration_id=configuration_id,
            answer=answer,
            address=client_address(request),
        )
    except handshake.UnknownRequest as problem:
        return SeeOther(reverse("connect-error", args=[problem.code]))
    response = SeeOther(_destination(outcome))
    if outcome.request.handshake == AuthorizationRequest.Handshake.CONFIRMED:
        _forget_browser(response, opening.browser_cookie(outcome.request))
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@leaves_no_trace
def start(request: HttpRequest) -> HttpResponseBase:
    """The page that a confirmed handshake begins with: looked at as often as one likes.

    Its button sends the browser to the provider. The ticket is in the query, which is not logged.
    """
    ticket = (request.POST if request.method == "POST" else request.GET).get("ticket", "")
    try:
        if request.method == "POST":
            return _open(request, ticket)
        waiting = opening.find_ticket(ticket)
    except opening.TicketRefused as problem:
        return SeeOther(reverse("connect-error", args=[problem.code]))
    except UnsealError as problem:
        logger.error("The connection cannot begin: %s", problem)
        return SeeOther(reverse("connect-error", args=["credentials_unreadable"]))
    calendar = waiting.connection.calendar
    context = {
        "ticket": ticket,
        "application": waiting.environment.name,
        "calendar": calendar,
        "owner": calendar.owner.email,
        "configuration": waiting.configuration,
        "expires_at": waiting.expires_at,
    }
    response = render_before_provider(
        request, "connect/start.html", context, [waiting.configuration]
    )
    # Our own form must say where it comes from (`Origin: null` otherwise), and nobody else is told.
    response["Referrer-Policy"] = "same-origin"
    return response


def _open(request: HttpRequest, ticket: str) -> HttpResponseBase:
    opened = opening.open_ticket(ticket, request.COOKIES, address=client_address(request))
    response = SeeOther(opened.authorization_url)
    response.set_cookie(
        opened.cookie,
        opened.secret,
        max_age=settings.AUTHORIZATION_REQUEST_SECONDS,
        path="/",
        secure=opened.cookie.startswith("__Host-"),
        httponly=True,
        samesite="Lax",  # sent with the provider's redirect back to us, which Strict is not
    )
    return response


def _forget_browser(response: HttpResponseBase, cookie: str) -> None:
    response.set_cookie(
        cookie,
        "",
        max_age=0,
        path="/",
        secure=cookie.startswith("__Host-"),
        httponly=True,
        samesite="Lax",
    )


def _destination(outcome: handshake.Outcome) -> str:
    if url := outcome.return_url():
        return url
    if outcome.error == "session_mismatch":
        return reverse("connect-error", args=[outcome.error])
    return reverse("connection-detail", args=[outcome.request.connection_id])


@leaves_no_trace
# django-csp types its decorators for views without URL arguments.
@csp_replace({"default-src": [NONE], "style-src": [SELF], "frame-ancestors": [NONE]})  # type: ignore[arg-type]
def connect_error(request: HttpRequest, code: str) -> HttpResponse:
    """The plain page for a handshake that failed with nowhere to go. Shows our words only."""
    known = code in causes.CAUSES
    context = {"code": code if known else "", "explanation": causes.explain(code)}
    return render(request, "connect/error.html", context, status=400 if known else 404)


@leaves_no_trace
@csp_replace({"default-src": [NONE], "style-src": [SELF], "frame-ancestors": [NONE]})  # type: ignore[arg-type]
def admin_consent(request: HttpRequest, outcome: str) -> HttpResponse:
    """The plain page for an administrator who comes back from allowing this application for an
    organisation, or from declining. It says what their own provider told them, and does nothing:
    whoever calls it learns and changes as much as by reading it.
    """
    return render(request, "connect/admin_consent.html", {"given": outcome == "given"})


def _consented(request: HttpRequest) -> str:
    given = request.GET.get("admin_consent", "").lower() == "true" and "error" not in request.GET
    return "given" if given else "declined"


def _read_answer(request: HttpRequest) -> handshake.Answer | None:
    """The answer's parameters, or None when one is doubled, too long or the state is missing."""
    values: dict[str, str | None] = {}
    for name, limit in MAX_LENGTHS.items():
        given = request.GET.getlist(name)
        if len(given) > 1 or any(len(value) > limit or "\x00" in value for value in given):
            return None
        values[name] = given[0] if given else None
    if not values["state"]:
        return None
    return handshake.Answer(
        state=values["state"],
        code=values["code"] or "",
        error=values["error"] or "",
        error_description=request.GET.get("error_description", "")[:DESCRIPTION_LENGTH],
        issuer=values["iss"],
        user_id=request.user.pk if request.user.is_authenticated else None,
        cookies=request.COOKIES,
    )


def render_before_provider(
    request: HttpRequest,
    template: str,
    context: dict[str, Any],
    configurations: Iterable[ProviderConfiguration],
) -> HttpResponseBase:
    """A page with a form whose answer sends the browser to a provider.

    Browsers hold the redirects after a form to the page's `form-action` (CSP3, section 6.4.1).
    """
    origins = sorted({origin for row in configurations if (origin := _origin(row))})

    def page(request: HttpRequest) -> HttpResponse:
        return render(request, template, context)

    return csp_update({"form-action": origins})(page)(request)


def _origin(configuration: ProviderConfiguration) -> str:
    """Where the configuration's authorization page is; empty when that cannot be told, or it is
    our own.
    """
    try:
        parts = urlsplit(configuration.endpoints().authorization)
    except UnknownKind:
        return ""
    origin = f"{parts.scheme}://{parts.netloc}"
    return origin if _ORIGIN.fullmatch(origin) else ""
