"""The credential page's part of a handshake, for providers without an authorization page.

Our page stands where the provider's would: it is opened with the request's state, tries what the
person enters, lets the person choose calendars, and answers with a code at the redirect URI. From
there on everything is as with OAuth (`providers.handshake`). What was entered waits sealed in the
request's row until the code is brought, and goes with it.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from urllib.parse import urlencode

import msgspec
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from providers.base import Access, CredentialProvider, HoldsSecrets, RemoteCalendar
from providers.connect import secret_digest
from providers.errors import CodeRejected, NoCalendars
from providers.models import AuthorizationRequest
from providers.opening import TicketRefused, is_bound_to
from providers.outbound import http_client
from talkover.encryption import seal, unseal

# Passwords that may be tried on one page: enough for typing errors, too few for guessing.
MOST_TRIES = 10
# Longer lists are cut: nobody chooses from them, and the page and its row stay small.
MOST_CALENDARS = 500


class Entered(msgspec.Struct, HoldsSecrets, frozen=True, kw_only=True):
    """What a person has entered and chosen, once it worked. `chosen` are ids of `calendars`."""

    address: str
    user: str
    secret: str
    calendars: tuple[tuple[str, str, str], ...]
    chosen: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Entered({len(self.calendars)} calendars)"

    @property
    def access(self) -> Access:
        return Access(address=self.address, user=self.user, secret=self.secret)


class TooManyTries(Exception):
    """So many wrong passwords on one page: the attempt is over."""


def find(state: str, cookies: Mapping[str, str]) -> AuthorizationRequest:
    """The request that this page belongs to; nothing changes. Raises TicketRefused."""
    request = (
        AuthorizationRequest.objects.filter(state_digest=secret_digest(state))
        .select_related("environment", "configuration", "connection__calendar__owner")
        .select_related("started_by")
        .first()
    )
    if request is None or not isinstance(request.configuration.provider, CredentialProvider):
        raise TicketRefused("request_unknown")
    if request.outcome or request.consumed_at is not None:
        raise TicketRefused("request_used")
    if request.expires_at <= timezone.now():
        raise TicketRefused("request_expired")
    if request.browser_digest and not is_bound_to(request, cookies):
        raise TicketRefused("browser_mismatch")
    return request


def provider_of(request: AuthorizationRequest) -> CredentialProvider:
    """The adapter of a request that `find` has found."""
    provider = request.configuration.provider
    assert isinstance(provider, CredentialProvider)  # noqa: S101  tells mypy what `find` checked
    return provider


def try_credentials(
    request: AuthorizationRequest, *, address: str, user: str, secret: str
) -> Entered:
    """Sign in with what was entered, list the calendars, and keep both for the choice.

    Raises TooManyTries, NoCalendars, CredentialsRejected and other ProviderErrors: nothing is kept.
    """
    row = AuthorizationRequest.objects.filter(pk=request.pk, consumed_at__isnull=True)
    # Counted before it is tried: many at once are no way around the limit.
    if not row.filter(entry_tries__lt=MOST_TRIES).update(entry_tries=F("entry_tries") + 1):
        raise TooManyTries
    provider, http = provider_of(request), http_client()
    access = provider.sign_in(http, address=address, user=user, secret=secret)
    calendars = provider.list_calendars(http, access)[:MOST_CALENDARS]
    if not calendars:
        raise NoCalendars("The account has no calendar of events.")
    entered = Entered(
        address=access.address,
        user=access.user,
        secret=access.secret,
        calendars=tuple((item.id, item.name, item.color) for item in calendars),
        chosen=_proposed(request, calendars),
    )
    _keep(request, entered)
    return entered


def entered_of(request: AuthorizationRequest) -> Entered | None:
    """What was entered on this request's page so far. Raises UnsealError."""
    kept = unseal(request, "entered")
    return msgspec.json.decode(kept, type=Entered) if kept else None


def choose(request: AuthorizationRequest, state: str, chosen: Collection[str]) -> str:
    """End the page with these calendars, in the account's order; returns where the browser goes.

    Raises ValueError: nothing was chosen, too much, or something that was not offered.
    """
    entered = entered_of(request)
    if entered is None:
        raise ValueError("Enter your credentials first.")
    offered = [calendar_id for calendar_id, *_ in entered.calendars]
    if not chosen or not set(chosen) <= set(offered):
        raise ValueError("Choose at least one of the calendars.")
    most = settings.SELECTED_CALENDARS_PER_CONNECTION
    if len(set(chosen)) > most:
        raise ValueError(f"You have chosen {len(set(chosen))} calendars. Choose at most {most}.")
    ordered = tuple(calendar_id for calendar_id in offered if calendar_id in set(chosen))
    _keep(request, msgspec.structs.replace(entered, chosen=ordered))
    code = secrets.token_urlsafe(32)
    AuthorizationRequest.objects.filter(pk=request.pk).update(entry_code_digest=secret_digest(code))
    return _answer(request, state=state, code=code)


def decline(request: AuthorizationRequest, state: str, error: str = "access_denied") -> str:
    """End the page without anything; returns where the browser goes."""
    AuthorizationRequest.objects.filter(pk=request.pk).update(entered="", entry_code_digest="")
    return _answer(request, state=state, error=error)


def redeem(request: AuthorizationRequest, code: str) -> Entered:
    """What was entered, for the code that the page gave. It is good once.

    Raises CodeRejected: the code is not this request's. Raises UnsealError.
    """
    entered = entered_of(request)
    digest = secret_digest(code)
    with transaction.atomic():
        row = AuthorizationRequest.objects.filter(pk=request.pk, entry_code_digest=digest)
        redeemed = row.exclude(entered="").update(entered="", entry_code_digest="")
    if entered is None or not redeemed or not entered.chosen:
        raise CodeRejected("The code is not one that the page gave.")
    return entered


def _proposed(request: AuthorizationRequest, calendars: list[RemoteCalendar]) -> tuple[str, ...]:
    """What is synced of the account already; else what was asked for, or the main calendar."""
    connection = request.connection
    selected = {row.external_id for row in connection.selected_calendars}
    wanted = selected or {connection.external_calendar_id}
    known = tuple(item.id for item in calendars if item.id in wanted)
    return known or (calendars[0].id,)


def _keep(request: AuthorizationRequest, entered: Entered) -> None:
    seal(request, "entered", msgspec.json.encode(entered).decode())
    AuthorizationRequest.objects.filter(pk=request.pk, consumed_at__isnull=True).update(
        entered=request.entered
    )


def _answer(request: AuthorizationRequest, **parameters: str) -> str:
    """The redirect URI with the answer, as a provider's page would give it (RFC 6749, 4.1.2)."""
    uri = request.provider_redirect_uri
    separator = "&" if "?" in uri else "?"
    return f"{uri}{separator}{urlencode(parameters)}"
