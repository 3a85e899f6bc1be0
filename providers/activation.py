"""Making a connection active: from an authorization code to stored credentials.

The network part comes first and outside of any transaction; then one transaction stores, activates
and asks for the first sync. What a refused answer brought is given back.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from calendars.models import Event
from providers import audit, entry, grants, oauth2, scheduler, tasks
from providers.access import store_entered
from providers.audit import Action, Actor
from providers.base import (
    Access,
    Account,
    ClientRegistration,
    CredentialProvider,
    Endpoints,
    EventQuery,
    RemoteCalendar,
    TokenSet,
    Window,
)
from providers.credentials import store_credential
from providers.errors import CalendarNotFound, ProviderError, ScopeMissing
from providers.models import (
    AuthorizationRequest,
    ConnectionCredential,
    ExternalCalendar,
    NotificationChannel,
    ProviderConnection,
    SyncedObject,
)
from providers.outbound import http_client
from talkover.encryption import unseal

Status = ProviderConnection.Status


class Refused(Exception):
    """The handshake ends here with a documented code (`providers.causes`)."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def activate(request: AuthorizationRequest, code: str, actor: Actor) -> None:
    """Exchange the code, look at what was granted, and make the connection active.

    Raises Refused, the errors of `providers.errors`, and talkover.encryption.UnsealError. The code
    is used once, whatever comes of it.
    """
    configuration = request.configuration
    if isinstance(configuration.provider, CredentialProvider):
        _activate_entered(request, configuration.provider, code, actor)
        return
    registration = registration_of(request)
    tokens = oauth2.exchange_code(
        http_client(),
        configuration.oauth2_provider,
        registration,
        code=code,
        code_verifier=unseal(request, "code_verifier"),
        redirect_uri=request.provider_redirect_uri,
    )
    account: Account | None = None
    try:
        # Whose it is comes first: without it, a refused answer's grant could not be given back.
        account = configuration.oauth2_provider.identify(http_client(), registration, tokens)
        calendar = _inspect(request, registration, tokens, account)
        _store(request, tokens, account, [calendar], actor)
    except (Refused, ProviderError):
        _surrender(request, tokens, account)
        raise


def _activate_entered(
    request: AuthorizationRequest, provider: CredentialProvider, code: str, actor: Actor
) -> None:
    """The same with what a person has entered on our page; there is no grant to give back."""
    entered = entry.redeem(request, code)
    access, http = entered.access, http_client()
    account = provider.fetch_account(http, access)
    if not account.subject:
        raise Refused("identity_missing")
    _check_account(request, account)
    listed = {calendar.id: calendar for calendar in provider.list_calendars(http, access)}
    calendars = [listed[key] for key in entered.chosen if key in listed]
    if not calendars:
        raise CalendarNotFound("None of the chosen calendars is there any more.")
    _store(request, access, account, calendars, actor)


def registration_of(request: AuthorizationRequest) -> ClientRegistration:
    """Client and endpoints as they were at the start, whatever staff changed meanwhile."""
    return ClientRegistration(
        client_id=request.client_id,
        client_secret=unseal(request.configuration, "client_secret"),
        endpoints=Endpoints(**request.endpoints),
        scopes=tuple(request.scopes),
    )


def _inspect(
    request: AuthorizationRequest,
    registration: ClientRegistration,
    tokens: TokenSet,
    account: Account,
) -> RemoteCalendar:
    """Look at what was granted: whose it is, the scopes, and that the calendar can be read."""
    http, provider = http_client(), request.configuration.oauth2_provider
    if not account.subject:
        raise Refused("identity_missing")
    _check_account(request, account)
    if missing := provider.missing_scopes(tokens.scopes):
        raise ScopeMissing("The person left scopes out.", missing=missing)
    if not tokens.refresh_token and not _has_refresh_token(request.connection):
        raise Refused("refresh_token_missing")
    access = registration.access(tokens.access_token)
    calendar = provider.fetch_calendar(http, access, request.connection.external_calendar_id)
    now = timezone.now()
    provider.fetch_events(
        http,
        access,
        EventQuery(calendar_id=calendar.id, window=Window(now, now + timedelta(hours=1))),
    )
    return calendar


def _check_account(request: AuthorizationRequest, account: Account) -> None:
    pinned = request.connection.account_subject
    if pinned:
        if pinned != account.subject:
            raise Refused("account_mismatch")
        return
    expected = request.expected_account
    if not expected:
        return
    same_address = account.email_verified and account.email.lower() == expected.lower()
    if not same_address and account.subject != expected:
        raise Refused("account_mismatch")


def _has_refresh_token(connection: ProviderConnection) -> bool:
    return ConnectionCredential.objects.filter(connection=connection, refresh_token__gt="").exists()


@transaction.atomic
def _store(
    request: AuthorizationRequest,
    granted: TokenSet | Access,
    account: Account,
    calendars: list[RemoteCalendar],
    actor: Actor,
) -> None:
    """Keep what was granted, and begin to sync these calendars of the account."""
    # First: it locks in the order in which a sync does.
    scheduler.revoke_leases(request.connection_id)
    connection = (
        ProviderConnection.objects.select_for_update(of=("self",))
        .select_related("configuration", "environment", "calendar")
        .filter(pk=request.connection_id)
        .exclude(status=Status.DISCONNECTED)
        .first()
    )
    if connection is None:
        raise Refused("connection_removed")
    now = timezone.now()
    earlier = [_same_calendar_elsewhere(connection, account, calendar) for calendar in calendars]
    if any(other.connection.status == Status.ACTIVE for others in earlier for other in others):
        raise Refused("already_connected")
    if isinstance(granted, Access):
        store_entered(connection=connection, access=granted)
        connection.external_calendar_id = calendars[0].id
    else:
        store_credential(connection=connection, tokens=granted)
        connection.granted_scopes = list(granted.scopes)
    connection.status = Status.ACTIVE
    connection.account_subject = account.subject
    connection.account_email = account.email
    connection.account_name = account.name
    connection.last_error_code = ""
    connection.last_error_at = None
    connection.pending_until = None
    connection.activated_at = now
    connection.save()
    synced = [_begin_to_sync(connection, calendar) for calendar in calendars]
    for external, others in zip(synced, earlier, strict=True):
        for other in others:
            _take_over(other, external)
            audit.record(connection, Action.CALENDAR_TAKEN_OVER, actor=actor)
    if request.purpose == AuthorizationRequest.Purpose.RECONNECT:
        audit.record(connection, Action.RECONNECTED, actor=actor)
    else:
        audit.record(connection, Action.CONNECTED, actor=actor)
        audit.report_shared_account(connection, actor)
        tasks.notify_account(connection, address_verified=account.email_verified)
    for external in synced:
        tasks.start_syncing(external)


def _begin_to_sync(connection: ProviderConnection, calendar: RemoteCalendar) -> ExternalCalendar:
    external, _ = ExternalCalendar.objects.update_or_create(
        connection=connection,
        external_id=calendar.id,
        defaults={
            "name": calendar.name,
            "time_zone": calendar.time_zone,
            "access_role": calendar.access_role,
            "color": calendar.color,
            "is_primary": calendar.is_primary,
        },
    )
    return external


def _same_calendar_elsewhere(
    connection: ProviderConnection, account: Account, calendar: RemoteCalendar
) -> list[ExternalCalendar]:
    """Other connections of this calendar to the very same one at the provider, dead or alive."""
    return list(
        ExternalCalendar.objects.select_for_update(of=("self",))
        .select_related("connection")
        .filter(
            external_id=calendar.id,
            connection__calendar_id=connection.calendar_id,
            connection__configuration_id=connection.configuration_id,
            connection__account_subject=account.subject,
        )
        .exclude(connection=connection)
    )


def _take_over(old: ExternalCalendar, new: ExternalCalendar) -> None:
    """Let `new` continue `old`, a dead connection's, so that its events are not there twice."""
    known = Event.objects.filter(source=new).values("external_id")
    Event.objects.filter(source=old, external_id__in=known).delete()
    Event.objects.filter(source=old).update(source=new)
    # What `old` kept of its own listing does not order with that of `new`.
    Event.objects.filter(source=new).update(listing=0)
    known_objects = SyncedObject.objects.filter(external_calendar=new).values("object_id")
    objects = SyncedObject.objects.filter(external_calendar=old)
    objects.filter(object_id__in=known_objects).delete()
    objects.update(external_calendar=new, listing=0)
    # To be stopped: with the new grant, which is of the same account and client.
    NotificationChannel.objects.filter(external_calendar=old).update(external_calendar=new)
    remaining = ExternalCalendar.objects.filter(connection=old.connection).exclude(pk=old.pk)
    old.delete()
    if not remaining.exists():
        old.connection.delete()


def _surrender(request: AuthorizationRequest, tokens: TokenSet, account: Account | None) -> None:
    """Give back what a refused answer brought: nothing of it is kept."""
    connection = ProviderConnection.objects.filter(pk=request.connection_id).first()
    if connection is None or account is None or connection.account_subject == account.subject:
        return
    with transaction.atomic():
        grants.revoke_later(
            connection=connection,
            subject=account.subject,
            token=tokens.refresh_token or tokens.access_token,
        )
        transaction.on_commit(tasks.enqueue_revocations)
