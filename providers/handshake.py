"""Finishing an authorization: from the provider's answer to an active connection.

The order of the checks is that of docs/security.md. The request is consumed by one conditional
UPDATE before anything else, also when the answer is an error; the code is exchanged outside any
transaction; then one transaction stores the credentials, activates, and asks for the first sync.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.db import transaction
from django.utils import timezone

from calendars.models import Event
from providers import grants, oauth2, scheduler, tasks
from providers.base import (
    Account,
    ClientRegistration,
    Endpoints,
    EventQuery,
    RemoteCalendar,
    TokenSet,
    Window,
)
from providers.connect import state_digest
from providers.credentials import store_credential
from providers.errors import Misconfigured, ProviderError, ScopeMissing
from providers.models import (
    AuthorizationRequest,
    ConnectionCredential,
    ExternalCalendar,
    ProviderConnection,
)
from providers.outbound import http_client
from talkover.encryption import UnsealError, unseal
from talkover.environments.models import Environment

logger = logging.getLogger(__name__)

Status = ProviderConnection.Status
Purpose = AuthorizationRequest.Purpose

# RFC 6749 section 4.1.2.1 and OpenID Connect Core section 3.1.2.6: only what is on this list is
# taken from the callback's `error`; its description and URI are never shown.
_ANSWER_ERRORS = {
    "access_denied": "access_denied",
    "consent_required": "access_denied",
    "interaction_required": "access_denied",
    "login_required": "access_denied",
    "account_selection_required": "access_denied",
    "admin_policy_enforced": "refused_by_policy",
    "org_internal": "refused_by_policy",
    "server_error": "provider_unavailable",
    "temporarily_unavailable": "provider_unavailable",
    "invalid_request": "provider_misconfigured",
    "invalid_scope": "provider_misconfigured",
    "unauthorized_client": "provider_misconfigured",
    "unsupported_response_type": "provider_misconfigured",
}


class UnknownRequest(Exception):
    """There is no such authorization request here, or it was used: there is nowhere to go."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Refused(Exception):
    """The handshake ends here with a documented code (`providers.causes`)."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the provider's redirect brought, as it stands in the query."""

    state: str
    code: str = ""
    error: str = ""
    issuer: str | None = None
    user_id: uuid.UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the handshake ended. `error` is empty when the connection is active."""

    request: AuthorizationRequest
    error: str = ""

    def return_url(self) -> str:
        """The caller's redirect URI with the signed outcome; empty when there is none.

        `signature` is the hexadecimal HMAC-SHA256, under the environment's signing key, of
        connection_id, status, error and state joined by line feeds (state last: it may hold any).
        """
        if not self.request.return_uri:
            return ""
        fields = {
            "connection_id": str(self.request.connection_id),
            "status": "error" if self.error else "connected",
            "error": self.error,
            "state": self.request.caller_state,
        }
        signature = sign(self.request.environment, fields.values())
        sent = {name: value for name, value in fields.items() if value} | {"signature": signature}
        separator = "&" if "?" in self.request.return_uri else "?"
        return f"{self.request.return_uri}{separator}{urlencode(sent)}"


def sign(environment: Environment, values: Iterable[str]) -> str:
    """The signature of a redirect's values, in the order given. Raises UnsealError."""
    key = environment.read_signing_key().encode()
    return hmac.new(key, "\n".join(values).encode(), hashlib.sha256).hexdigest()


def complete(*, kind: str, configuration_id: uuid.UUID, answer: Answer) -> Outcome:
    """Finish the handshake that `answer` belongs to. Raises UnknownRequest."""
    now = timezone.now()
    request = _consume(kind, configuration_id, answer.state, now)
    try:
        if request.expires_at <= now:
            raise Refused("request_expired")
        _activate(request, answer)
    except (Refused, ProviderError) as problem:
        if isinstance(problem, Misconfigured):
            logger.error("Configuration %s: %s", request.configuration_id, problem.detail)
        return _fail(request, problem.code)
    except UnsealError as problem:
        logger.error("Authorization request %s: %s", request.pk, problem)
        return _fail(request, "credentials_unreadable")
    AuthorizationRequest.objects.filter(pk=request.pk).update(outcome="connected")
    return Outcome(request=request)


def _consume(
    kind: str, configuration_id: uuid.UUID, state: str, now: datetime
) -> AuthorizationRequest:
    mine = AuthorizationRequest.objects.filter(
        state_digest=state_digest(state),
        configuration_id=configuration_id,
        configuration__kind=kind,
    )
    request = mine.select_related("connection", "configuration", "environment").first()
    if request is None:
        raise UnknownRequest("request_unknown")
    consumed = AuthorizationRequest.objects.filter(pk=request.pk, consumed_at__isnull=True).update(
        consumed_at=now
    )
    if not consumed:
        raise UnknownRequest("request_used")
    return request


def _activate(request: AuthorizationRequest, answer: Answer) -> None:
    configuration = request.configuration
    _check_answer(request, answer)
    registration = _registration_of(request)
    tokens = oauth2.exchange_code(
        http_client(),
        configuration.provider,
        registration,
        code=answer.code,
        code_verifier=unseal(request, "code_verifier"),
        redirect_uri=request.provider_redirect_uri,
    )
    account: Account | None = None
    try:
        # Whose it is comes first: without it, a refused answer's grant could not be given back.
        account = configuration.provider.fetch_account(
            http_client(), registration, tokens.access_token
        )
        calendar = _inspect(request, registration, tokens, account)
        _store(request, tokens, account, calendar)
    except (Refused, ProviderError):
        _surrender(request, tokens, account)
        raise


def _check_answer(request: AuthorizationRequest, answer: Answer) -> None:
    if request.started_by_id and request.started_by_id != answer.user_id:
        raise Refused("session_mismatch")
    oauth2.check_issuer(request.configuration.provider, _registration_of(request), answer.issuer)
    if answer.error:
        if answer.code:
            raise Refused("invalid_request")
        raise Refused(_ANSWER_ERRORS.get(answer.error, "provider_error"))
    if not answer.code:
        raise Refused("invalid_request")
    if request.connection.status == Status.DISCONNECTED:
        raise Refused("connection_removed")


def _registration_of(request: AuthorizationRequest) -> ClientRegistration:
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
    http, provider = http_client(), request.configuration.provider
    if not account.subject:
        raise Refused("identity_missing")
    _check_account(request, account)
    if missing := provider.missing_scopes(tokens.scopes):
        raise ScopeMissing("The person left scopes out.", missing=missing)
    if not tokens.refresh_token and not _has_refresh_token(request.connection):
        raise Refused("refresh_token_missing")
    calendar = provider.fetch_calendar(
        http, registration, tokens.access_token, request.connection.external_calendar_id
    )
    now = timezone.now()
    provider.fetch_events(
        http,
        registration,
        tokens.access_token,
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
    request: AuthorizationRequest, tokens: TokenSet, account: Account, calendar: RemoteCalendar
) -> None:
    # First: it locks in the order in which a sync does.
    scheduler.revoke_leases(request.connection_id)
    connection = (
        ProviderConnection.objects.select_for_update(of=("self",))
        .filter(pk=request.connection_id)
        .exclude(status=Status.DISCONNECTED)
        .first()
    )
    if connection is None:
        raise Refused("connection_removed")
    now = timezone.now()
    earlier = _same_calendar_elsewhere(connection, account, calendar)
    if any(other.connection.status == Status.ACTIVE for other in earlier):
        raise Refused("already_connected")
    store_credential(connection=connection, tokens=tokens)
    connection.status = Status.ACTIVE
    connection.account_subject = account.subject
    connection.account_email = account.email
    connection.account_name = account.name
    connection.granted_scopes = list(tokens.scopes)
    connection.last_error_code = ""
    connection.last_error_at = None
    connection.pending_until = None
    connection.activated_at = now
    connection.save()
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
    for other in earlier:
        _take_over(other, external)
    tasks.request_sync([external.pk])


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


def _fail(request: AuthorizationRequest, code: str) -> Outcome:
    """Note how it ended. A connection that was authorised before stays as it was."""
    now = timezone.now()
    with transaction.atomic():
        AuthorizationRequest.objects.filter(pk=request.pk).update(outcome=code)
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
    return Outcome(request=request, error=code)
