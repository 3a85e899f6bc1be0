"""Beginning and ending a connection; `providers.handshake` finishes what begins here.

Whoever starts an authorization is not the browser that ends it, so its record is an
AuthorizationRequest in the database, found by the digest of `state`. In a confirmed handshake it is
found by the digest of a ticket first (`providers.opening`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import secrets
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.conf import settings
from django.db import transaction
from django.db.models import DateTimeField, UUIDField
from django.urls import reverse
from django.utils import timezone

from calendars.models import Calendar
from providers import audit, grants, oauth2, scheduler, tasks
from providers.audit import Action, Actor
from providers.base import ClientRegistration, HoldsSecrets, OAuth2Provider
from providers.models import AuthorizationRequest, ProviderConfiguration, ProviderConnection
from providers.tenants import HasTenants
from talkover.encryption import seal
from talkover.environments.models import User
from talkover.statements import Select, insert, parameter

Status = ProviderConnection.Status
Handshake = AuthorizationRequest.Handshake

# Over which span the starts of a calendar are counted.
STARTS_SPAN = timedelta(minutes=1)
# The state of an administrator's consent. It is no secret: it comes back and connects nothing.
ADMIN_CONSENT_STATE = "admin_consent"


class TooManyAttempts(Exception):
    """The calendar has as many open authorization attempts as it may have."""


class CalendarGone(Exception):
    """The calendar, or the connection, was removed meanwhile."""


class TooManyStarts(Exception):
    """The calendar's authorizations are begun too fast: wait `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"wait {retry_after} seconds")
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Begun(HoldsSecrets):
    """A handshake that waits for its person. The URL holds a state or a ticket."""

    connection: ProviderConnection
    authorization_url: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What the one who starts may say, and who that is. Validated by the caller."""

    actor: Actor
    handshake: AuthorizationRequest.Handshake = Handshake.AUTOMATIC
    return_uri: str = ""
    state: str = ""
    expected_account: str = ""
    started_by: User | None = None


def begin(
    *,
    calendar_id: uuid.UUID,
    configuration: ProviderConfiguration,
    start: Start,
    external_calendar_id: str = "primary",
) -> Begun:
    """Create an inactive connection and the URL where a person authorises it.

    Raises TooManyAttempts, TooManyStarts, CalendarGone and talkover.encryption.UnsealError.
    """
    now = timezone.now()
    with transaction.atomic():
        _check_attempts(calendar_id, configuration.environment_id, now)
        connection = ProviderConnection(
            environment_id=configuration.environment_id,
            calendar_id=calendar_id,
            configuration=configuration,
            external_calendar_id=external_calendar_id,
            pending_until=_expiry(now),
        )
        return _request_authorization(
            connection, start=start, purpose=AuthorizationRequest.Purpose.CONNECT, now=now
        )


def reconnect(*, connection: ProviderConnection, start: Start) -> Begun:
    """Start anew for a connection that exists: same id, same events, and the same account.

    A connection that was never authorised simply gets another attempt. Raises as `begin`.
    """
    now = timezone.now()
    with transaction.atomic():
        _check_attempts(connection.calendar_id, connection.environment_id, now)
        locked = _lock_connection(connection.pk)
        purpose = AuthorizationRequest.Purpose.RECONNECT
        if not locked.account_subject:
            purpose = AuthorizationRequest.Purpose.CONNECT
            locked.status = Status.PENDING
            locked.pending_until = _expiry(now)
            locked.save(update_fields=["status", "pending_until", "updated_at"])
        elif not start.expected_account:
            start = dataclasses.replace(start, expected_account=locked.account_email)
        return _request_authorization(locked, start=start, purpose=purpose, now=now)


def disconnect(*, connection: ProviderConnection, actor: Actor) -> None:
    """End a connection: no more syncs, secrets wiped at once, the grant revoked upstream.

    The events stay, without updates. The upstream revocation runs in the background and never
    holds up the rest; it is left out while another connection lives on the same grant, because
    providers end the grant as a whole (https://developers.google.com/identity/protocols/oauth2).
    """
    now = timezone.now()
    with transaction.atomic():
        # First: it locks in the order in which a sync does, and ends one that is under way.
        scheduler.revoke_leases(connection.pk)
        try:
            locked = _lock_connection(connection.pk)
        except CalendarGone:
            return
        grants.surrender(connection=locked)
        locked.status = Status.DISCONNECTED
        locked.disconnected_at = now
        locked.pending_until = None
        locked.calendars_due_at = None
        locked.save(
            update_fields=[
                "status", "disconnected_at", "pending_until", "calendars_due_at", "updated_at",
            ]
        )  # fmt: skip
        locked.authorization_requests.filter(outcome="").update(
            consumed_at=now,
            outcome="connection_removed",
            code_verifier="",
            code="",
            entered="",
            result_code_digest=None,
        )
        audit.record(locked, Action.DISCONNECTED, actor=actor)
        transaction.on_commit(tasks.enqueue_revocations)


def note_failure(request: AuthorizationRequest, code: str, *, actor: Actor) -> None:
    """Note how an attempt ended, in the caller's transaction; its secrets go.

    A connection that was authorised before stays as it was.
    """
    now = timezone.now()
    AuthorizationRequest.objects.filter(pk=request.pk).update(
        outcome=code, code_verifier="", entered=""
    )
    ProviderConnection.objects.filter(
        pk=request.connection_id,
        account_subject="",
        status__in=[Status.PENDING, Status.EXPIRED],
    ).update(
        status=Status.EXPIRED if code == "request_expired" else Status.ERROR,
        last_error_code=code,
        last_error_at=now,
        pending_until=None,
        updated_at=now,
    )
    audit.record(request.connection, Action.AUTHORIZATION_FAILED, actor=actor, code=code)


def secret_digest(secret: str) -> str:
    """What is kept of a state, ticket, result code or cookie: 256 random bits need no salt."""
    return hashlib.sha256(secret.encode()).hexdigest()


def callback_url(configuration: ProviderConfiguration) -> str:
    """The redirect URI to register at the provider; one per configuration (RFC 9700, 4.4).

    Built from PUBLIC_BASE_URL, never from a request's Host header.
    """
    return f"{settings.PUBLIC_BASE_URL}/oauth/callback/{configuration.kind}/{configuration.pk}"


def admin_consent_url(connection: ProviderConnection, code: str) -> str:
    """The link that whoever is told `code` sends to an administrator; empty where none helps."""
    if code != "admin_consent_required":
        return ""
    configuration = connection.configuration
    provider = configuration.provider
    if not isinstance(provider, HasTenants):
        return ""
    registration = ClientRegistration(  # without the secret: the link needs none
        configuration.client_id, "", configuration.endpoints(), configuration.requested_scopes()
    )
    return provider.admin_consent_url(
        registration, redirect_uri=callback_url(configuration), state=ADMIN_CONSENT_STATE
    )


def _expiry(now: datetime) -> datetime:
    return now + timedelta(seconds=settings.AUTHORIZATION_REQUEST_SECONDS)


# The lock on the calendar makes counting and creating one step; the count is a statement of its own
# because one that waits for a lock goes on seeing what was there before it waited.
_lock_calendar: Select[Calendar] = Select(
    lambda: (
        Calendar.objects.for_environment(parameter("environment", UUIDField()))
        .select_for_update(no_key=True)
        .filter(pk=parameter("calendar", UUIDField()))
        .only("pk")
    )
)
# By one index, and no more rows than there may be starts in the life of an attempt.
_attempts: Select[AuthorizationRequest] = Select(
    lambda: (
        AuthorizationRequest.objects.filter(
            calendar_id=parameter("calendar", UUIDField()),
            created_at__gt=parameter("since", DateTimeField()),
        )
        .only("consumed_at", "expires_at", "created_at")
        .order_by("created_at")
    )
)


def _check_attempts(calendar_id: uuid.UUID, environment_id: uuid.UUID, now: datetime) -> None:
    if not _lock_calendar(environment=environment_id, calendar=calendar_id):
        raise CalendarGone
    life = timedelta(seconds=settings.AUTHORIZATION_REQUEST_SECONDS)
    attempts = _attempts(calendar=calendar_id, since=now - max(life, STARTS_SPAN))
    is_open = [row for row in attempts if row.consumed_at is None and row.expires_at > now]
    if len(is_open) >= settings.PENDING_CONNECTIONS_PER_CALENDAR:
        raise TooManyAttempts
    starts = [row.created_at for row in attempts if row.created_at > now - STARTS_SPAN]
    if len(starts) >= settings.AUTHORIZATION_STARTS_PER_MINUTE:
        frees_up = starts[-settings.AUTHORIZATION_STARTS_PER_MINUTE] + STARTS_SPAN
        raise TooManyStarts(math.ceil((frees_up - now).total_seconds()))


def _lock_connection(connection_id: uuid.UUID) -> ProviderConnection:
    connection = (
        ProviderConnection.objects.select_for_update(no_key=True, of=("self",))
        .select_related("configuration")
        .filter(pk=connection_id)
        .exclude(status=Status.DISCONNECTED)
        .first()
    )
    if connection is None:
        raise CalendarGone
    return connection


def _request_authorization(
    connection: ProviderConnection,
    *,
    start: Start,
    purpose: AuthorizationRequest.Purpose,
    now: datetime,
) -> Begun:
    configuration = connection.configuration
    request = AuthorizationRequest(
        environment_id=connection.environment_id,
        connection=connection,
        calendar_id=connection.calendar_id,
        configuration=configuration,
        purpose=purpose,
        handshake=start.handshake,
        provider_redirect_uri=(
            start.return_uri if start.handshake == Handshake.DIRECT else callback_url(configuration)
        ),
        return_uri=start.return_uri,
        caller_state=start.state,
        expected_account=start.expected_account,
        started_by=start.started_by,
        expires_at=_expiry(now),
    )
    registration = snapshot(request)
    if start.handshake == Handshake.CONFIRMED:
        ticket = secrets.token_urlsafe(32)
        request.ticket_digest = secret_digest(ticket)
        url = (
            f"{settings.PUBLIC_BASE_URL}{reverse('connect-start')}?{urlencode({'ticket': ticket})}"
        )
    else:
        url = mint(request, registration)
    again = purpose == AuthorizationRequest.Purpose.RECONNECT
    action = Action.RECONNECT_STARTED if again else Action.CONNECT_STARTED
    entry = audit.entry(connection, action, actor=start.actor)
    # A new connection goes to the database together with its request.
    insert(*(row for row in (connection, request, entry) if row._state.adding))
    return Begun(connection=connection, authorization_url=url)


def snapshot(request: AuthorizationRequest) -> ClientRegistration | None:
    """Client and endpoints as they are now, for the length of the handshake; None of a provider
    without OAuth. Raises UnsealError.
    """
    if not isinstance(request.configuration.provider, OAuth2Provider):
        return None
    registration = request.configuration.registration()
    request.client_id = registration.client_id
    request.endpoints = dataclasses.asdict(registration.endpoints)
    request.scopes = list(registration.scopes)
    return registration


def mint(request: AuthorizationRequest, registration: ClientRegistration | None) -> str:
    """Give the request a new state and verifier (not saved); returns where the person goes: the
    provider's page, or without a registration our credential page.
    """
    state, verifier = oauth2.new_state(), oauth2.new_code_verifier()
    request.state_digest = secret_digest(state)
    if registration is None:
        query = urlencode({"state": state})
        return f"{settings.PUBLIC_BASE_URL}{reverse('connect-credentials')}?{query}"
    seal(request, "code_verifier", verifier)
    return oauth2.authorization_url(
        request.configuration.oauth2_provider,
        registration,
        redirect_uri=request.provider_redirect_uri,
        state=state,
        code_verifier=verifier,
        login_hint=request.expected_account,
    )
