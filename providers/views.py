"""The OAuth callback: where a provider sends the browser back to us.

It reads the query, lets `providers.handshake` decide, and leaves with a 303 to a clean URL: no
code or state stays in the address bar, a referrer, or a cache (RFC 9700 sections 4.2 and 4.3).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from csp.constants import NONE, SELF
from csp.decorators import csp_replace
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from providers import causes, handshake

# Well above what providers send: Google's codes are at most 256 bytes, our states 43 characters.
MAX_LENGTHS = {"code": 4096, "state": 256, "error": 256, "iss": 512}


P = ParamSpec("P")


class SeeOther(HttpResponseRedirect):
    """303: the browser goes on with GET, whatever brought it here."""

    status_code = 303


def leaves_no_trace(view: Callable[P, HttpResponseBase]) -> Callable[P, HttpResponseBase]:
    """For pages whose URL, or whose neighbours', carries a secret: no cache, no referrer."""

    @wraps(view)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        response = view(*args, **kwargs)
        response["Referrer-Policy"] = "no-referrer"
        response["Cache-Control"] = "no-store, private"
        return response

    return wrapped


@require_GET
@leaves_no_trace
@never_cache
def callback(request: HttpRequest, kind: str, configuration_id: uuid.UUID) -> HttpResponseBase:
    """Finish a handshake and send the browser on."""
    answer = _read_answer(request)
    if answer is None:
        return SeeOther(reverse("connect-error", args=["invalid_request"]))
    try:
        outcome = handshake.complete(kind=kind, configuration_id=configuration_id, answer=answer)
    except handshake.UnknownRequest as problem:
        return SeeOther(reverse("connect-error", args=[problem.code]))
    if url := outcome.return_url():
        return SeeOther(url)
    if outcome.error == "session_mismatch":
        return SeeOther(reverse("connect-error", args=[outcome.error]))
    return SeeOther(reverse("connection-detail", args=[outcome.request.connection_id]))


@leaves_no_trace
# django-csp types its decorators for views without URL arguments.
@csp_replace({"default-src": [NONE], "style-src": [SELF], "frame-ancestors": [NONE]})  # type: ignore[arg-type]
def connect_error(request: HttpRequest, code: str) -> HttpResponse:
    """The plain page for a handshake that failed with nowhere to go. Shows our words only."""
    known = code in causes.CAUSES
    context = {"code": code if known else "", "explanation": causes.explain(code)}
    return render(request, "connect/error.html", context, status=400 if known else 404)


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
        issuer=values["iss"],
        user_id=request.user.pk if request.user.is_authenticated else None,
    )
