"""The start page of a confirmed handshake: a ticket, opened in one browser.

Looking at the page changes nothing, so that scanners of links do no harm. Its button binds the
request to the browser with a cookie, and only then are state and verifier made: who only knows the
link has nothing that the provider or our callback would take.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from providers import audit
from providers.audit import Action, Actor
from providers.base import HoldsSecrets
from providers.connect import mint, note_failure, secret_digest, snapshot
from providers.models import AuthorizationRequest


class TicketRefused(Exception):
    """The page of a confirmed handshake cannot be used; `code` is one of `providers.causes`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Opened(HoldsSecrets):
    """A ticket in the browser that opened it: where to go, and the cookie that binds them."""

    authorization_url: str = field(repr=False)
    cookie: str
    secret: str = field(repr=False)
    expires_at: datetime


def find_ticket(ticket: str) -> AuthorizationRequest:
    """The request of a confirmed handshake's page, for showing it: nothing changes.

    Raises TicketRefused: it is unknown, over, or ran out.
    """
    request = (
        AuthorizationRequest.objects.filter(ticket_digest=secret_digest(ticket))
        .select_related("environment", "configuration", "connection__configuration")
        .select_related("connection__calendar__owner")
        .first()
    )
    if request is None:
        raise TicketRefused("request_unknown")
    if request.outcome:
        raise TicketRefused("request_used")
    if request.expires_at <= timezone.now():
        raise TicketRefused("request_expired")
    return request


def open_ticket(ticket: str, cookies: Mapping[str, str], *, address: str | None) -> Opened:
    """Bind the request to the browser that asks, and only now make state and verifier.

    That browser may do so again (a second press of the button): what it got before is void then.
    Another one ends the attempt for both: one of them is not the person's, and nobody can tell
    which. Raises TicketRefused and talkover.encryption.UnsealError.
    """
    actor = Actor.of_browser(address)
    request = find_ticket(ticket)
    if request.opened_at is not None and not is_bound_to(request, cookies):
        _give_up(request, actor)
        raise TicketRefused("opened_elsewhere")
    if request.consumed_at is not None:
        raise TicketRefused("request_used")
    seen = {"opened_at": request.opened_at, "state_digest": request.state_digest}
    secret = secrets.token_urlsafe(32)
    first = request.opened_at is None
    request.opened_at = timezone.now()
    request.browser_digest = secret_digest(secret)
    url = mint(request, snapshot(request))
    with transaction.atomic():
        taken = AuthorizationRequest.objects.filter(
            pk=request.pk, consumed_at__isnull=True, **seen
        ).update(
            opened_at=request.opened_at,
            browser_digest=request.browser_digest,
            state_digest=request.state_digest,
            code_verifier=request.code_verifier,
            client_id=request.client_id,
            endpoints=request.endpoints,
            scopes=request.scopes,
        )
        if not taken:
            raise TicketRefused("opened_elsewhere")
        if first:
            audit.record(request.connection, Action.AUTHORIZATION_OPENED, actor=actor)
    return Opened(
        authorization_url=url,
        cookie=browser_cookie(request),
        secret=secret,
        expires_at=request.expires_at,
    )


def _give_up(request: AuthorizationRequest, actor: Actor) -> None:
    """End the attempt, also when its answer is there and waits for confirmation."""
    with transaction.atomic():
        undecided = AuthorizationRequest.objects.filter(pk=request.pk, outcome="")
        if undecided.update(consumed_at=timezone.now(), code="", result_code_digest=None):
            note_failure(request, "opened_elsewhere", actor=actor)


def browser_cookie(request: AuthorizationRequest) -> str:
    """The name of the cookie that binds this request to a browser.

    One per request: two tabs do not destroy each other's. With `__Host-` a browser takes it from
    this host alone and over TLS only (RFC 6265bis section 4.1.3.2); without TLS, which is for
    trying things out, it could not be set.
    """
    prefix = "__Host-" if settings.PUBLIC_BASE_URL.startswith("https://") else ""
    return f"{prefix}connect-{request.pk.hex}"


def is_bound_to(request: AuthorizationRequest, cookies: Mapping[str, str]) -> bool:
    """Whether these are the cookies of the browser that opened the request's ticket."""
    given = cookies.get(browser_cookie(request), "")
    return hmac.compare_digest(secret_digest(given), request.browser_digest)
