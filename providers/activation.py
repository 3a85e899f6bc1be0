"""Making a connection active: from an authorization code to stored credentials.

The network part comes first and outside of any transaction; then one transaction stores, activates
and asks for the first sync. What a refused answer brought is given back.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from providers import (
    audit,
    entry,
    external_calendars,
    grants,
    oauth2,
    scheduler,
    selection,
    tasks,
    vanishing,
)
from providers.access import store_entered
from providers.audit import Action, Actor
from providers.base import (
    Access,
    Account,
    ClientRegistration,
    CredentialProvider,
    Endpoints,
    EventQuery,
    OAuth2Provider,
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
    ProviderConnection,
)
from providers.outbound import http_client
from talkover.encryption import unseal

logger = logging.getLogger(__name__)

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
    _keep_list(request, registration.access(tokens.access_token))


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
    external_calendars.keep(request.connection_id, list(listed.values()))


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
    calendar = _first_there(request.connection, provider, access)
    now = timezone.now()
    provider.fetch_events(
        http,
        access,
        EventQuery(calendar_id=calendar.id, window=Window(now, now + timedelta(hours=1))),
    )
    return calendar


def _first_there(
    connection: ProviderConnection, provider: OAuth2Provider, access: Access
) -> RemoteCalendar:
    """The connection's own calendar; of one that is reconnected another that is selected, if that
    is gone. Raises CalendarNotFound and other ProviderErrors.
    """
    own = connection.external_calendar_id
    selected = ExternalCalendar.objects.filter(connection=connection, is_selected=True)
    others = selected.exclude(external_id=own).order_by("pk").values_list("external_id", flat=True)
    for external_id in (own, *others):
        with suppress(CalendarNotFound):
            return provider.fetch_calendar(http_client(), access, external_id)
    raise CalendarNotFound("None of the chosen calendars is there.")


def _keep_list(request: AuthorizationRequest, access: Access) -> None:
    """Which calendars there are to choose from. Without it the connection is as good: the list is
    read again when somebody looks at it.
    """
    try:
        listed = request.configuration.provider.list_calendars(http_client(), access)
    except ProviderError as error:
        logger.info(
            "connection %s: its calendars were not listed: %s", request.connection_id, error
        )
        later = timezone.now() + external_calendars.RETRY
        ProviderConnection.objects.filter(pk=request.connection_id).update(calendars_due_at=later)
    else:
        external_calendars.keep(request.connection_id, listed)


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
    wanted = {calendar.id for calendar in calendars}
    selected = list(connection.external_calendars.filter(is_selected=True))
    if not isinstance(granted, Access):
        # The person has authorised, and chosen no calendars: what was selected stays so.
        wanted |= {row.external_id for row in selected}
    earlier = selection.same_elsewhere(connection, wanted, account.subject)
    if any(other.connection.status == Status.ACTIVE for other in earlier):
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
    selection.unselect([row for row in selected if row.external_id not in wanted])
    # What was wrong with a calendar may have been the old grant's fault.
    connection.external_calendars.filter(vanished_at__isnull=True).update(last_error_code="")
    for calendar in calendars:
        selection.begin(connection, calendar)
    synced = {
        row.external_id: row for row in connection.external_calendars.filter(is_selected=True)
    }
    for other in earlier:
        selection.take_over(other, synced[other.external_id])
        audit.record(connection, Action.CALENDAR_TAKEN_OVER, actor=actor)
    vanishing.show_error(connection.pk)
    if request.purpose == AuthorizationRequest.Purpose.RECONNECT:
        audit.record(connection, Action.RECONNECTED, actor=actor)
    else:
        audit.record(connection, Action.CONNECTED, actor=actor)
        audit.report_shared_account(connection, actor)
        tasks.notify_account(connection, address_verified=account.email_verified)
    for external in synced.values():
        if external.vanished_at is None:
            tasks.start_syncing(external)


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
