"""Finishing an authorization: from the provider's answer to an active connection.

One path for the three handshakes, in the order of docs/security.md: the request is consumed by one
conditional UPDATE before anything else, also when the answer is an error; the answer is checked;
then its code is used at once (automatic, direct), or waits, sealed, for the word of the
application's backend (confirmed).
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from providers import audit, oauth2
from providers.activation import Refused, activate, registration_of
from providers.audit import Action, Actor
from providers.base import HoldsSecrets, OAuth2Provider
from providers.connect import note_failure, secret_digest
from providers.errors import Misconfigured, ProviderError
from providers.models import AuthorizationRequest, ProviderConnection
from providers.opening import browser_cookie
from talkover.encryption import UnsealError, seal, unseal
from talkover.environments.models import Environment

logger = logging.getLogger(__name__)

Status = ProviderConnection.Status
Handshake = AuthorizationRequest.Handshake

# How long the application's backend may take to confirm, within the life of the whole attempt.
RESULT_CODE_LIFE = timedelta(minutes=5)

# RFC 6749 section 4.1.2.1 and OpenID Connect Core section 3.1.2.6: only what is on this list is
# taken from the callback's `error`; its description and URI are never shown, though a provider may
# find one of our own codes in the description.
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
    "too_many_tries": "too_many_tries",  # from our own credential page
}


class UnknownRequest(Exception):
    """There is no such authorization request here, or it was used: there is nowhere to go."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(HoldsSecrets):
    """What the provider's redirect brought, and who brought it to us.

    `cookies` are the browser's, `user_id` the person's who is signed in there.
    """

    state: str = field(repr=False)
    code: str = field(default="", repr=False)
    error: str = ""
    error_description: str = field(default="", repr=False)
    issuer: str | None = None
    user_id: uuid.UUID | None = None
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(HoldsSecrets):
    """How the handshake ended. Without `error` the connection is active, or, with a `result_code`,
    waits for the application's confirmation.
    """

    request: AuthorizationRequest
    error: str = ""
    result_code: str = field(default="", repr=False)

    def return_url(self) -> str:
        """The caller's redirect URI with the signed outcome; empty when there is none.

        `signature` is the hexadecimal HMAC-SHA256, under the environment's signing key, of
        connection_id, status, error and state joined by line feeds (state last: it may hold any).
        What waits for confirmation is not named: the application's backend has to know from its
        own user's session which connection that user began.
        """
        if not self.request.return_uri:
            return ""
        fields = {
            "connection_id": "" if self.result_code else str(self.request.connection_id),
            "status": self._status(),
            "error": self.error,
            "state": self.request.caller_state,
        }
        signature = sign(self.request.environment, fields.values())
        sent = {**fields, "result_code": self.result_code, "signature": signature}
        query = urlencode({name: value for name, value in sent.items() if value})
        separator = "&" if "?" in self.request.return_uri else "?"
        return f"{self.request.return_uri}{separator}{query}"

    def _status(self) -> str:
        if self.error:
            return "error"
        return "authorized" if self.result_code else "connected"


def sign(environment: Environment, values: Iterable[str]) -> str:
    """The signature of a redirect's values, in the order given. Raises UnsealError."""
    key = environment.read_signing_key().encode()
    return hmac.new(key, "\n".join(values).encode(), hashlib.sha256).hexdigest()


def complete(
    *, kind: str, configuration_id: uuid.UUID, answer: Answer, address: str | None
) -> Outcome:
    """Take the answer that a browser brought to our callback. Raises UnknownRequest."""
    mine = AuthorizationRequest.objects.filter(
        configuration_id=configuration_id, configuration__kind=kind
    )
    request = _consume(mine, answer.state)
    person = request.started_by
    actor = Actor.of_person(person, address) if person else Actor.of_browser(address)
    return _take(request, answer, actor)


def hand_on(*, connection: ProviderConnection, answer: Answer, actor: Actor) -> Outcome:
    """Take the answer that the application received at its own redirect URI (direct handshake).

    Raises UnknownRequest, also for a state of another connection or of another handshake.
    """
    mine = AuthorizationRequest.objects.filter(connection=connection, handshake=Handshake.DIRECT)
    return _take(_consume(mine, answer.state), answer, actor)


def confirm(*, connection: ProviderConnection, result_code: str, actor: Actor) -> Outcome:
    """Finish what waits for this result code.

    Raises UnknownRequest: nothing of this connection waits for it, or no longer.
    """
    waiting = AuthorizationRequest.objects.filter(
        connection=connection, result_code_digest=secret_digest(result_code)
    )
    request = waiting.select_related("connection", "configuration", "environment").first()
    # The code leaves the database by the same statement that decides who may use it.
    if request is None or not waiting.update(result_code_digest=None, code=""):
        raise UnknownRequest("result_code_invalid")
    audit.record(request.connection, Action.CONFIRMED, actor=actor)

    def use() -> None:
        _check_time(request.result_expires_at)
        activate(request, unseal(request, "code"), actor)

    return _settle(request, use, actor)


def _take(request: AuthorizationRequest, answer: Answer, actor: Actor) -> Outcome:
    result_code = ""
    if request.handshake == Handshake.CONFIRMED:
        result_code = secrets.token_urlsafe(32)

    def use() -> None:
        _check_answer(request, answer)
        if result_code:
            _park(request, answer.code, result_code)
        else:
            activate(request, answer.code, actor)

    return _settle(request, use, actor, result_code)


def _settle(
    request: AuthorizationRequest, use: Callable[[], None], actor: Actor, result_code: str = ""
) -> Outcome:
    """Do what is to be done with the answer, and note how it ended."""
    try:
        use()
    except (Refused, ProviderError) as problem:
        if isinstance(problem, Misconfigured):
            logger.error("Configuration %s: %s", request.configuration_id, problem.detail)
        return _fail(request, problem.code, actor)
    except UnsealError as problem:
        logger.error("Authorization request %s: %s", request.pk, problem)
        return _fail(request, "credentials_unreadable", actor)
    if result_code:
        audit.record(request.connection, Action.AUTHORIZATION_ANSWERED, actor=actor)
    else:
        AuthorizationRequest.objects.filter(pk=request.pk).update(
            outcome="connected", code_verifier=""
        )
    return Outcome(request=request, result_code=result_code)


def _consume(mine: QuerySet[AuthorizationRequest], state: str) -> AuthorizationRequest:
    known = mine.filter(state_digest=secret_digest(state))
    request = known.select_related(
        "connection__configuration", "configuration", "environment", "started_by"
    ).first()
    if request is None:
        raise UnknownRequest("request_unknown")
    # By its own key alone: a join would put the rows into a subquery, which PostgreSQL does not
    # read again after waiting for another's update, and both would have consumed it.
    fresh = AuthorizationRequest.objects.filter(pk=request.pk, consumed_at__isnull=True)
    if not fresh.update(consumed_at=timezone.now()):
        raise UnknownRequest("request_used")
    return request


def _check_answer(request: AuthorizationRequest, answer: Answer) -> None:
    _check_time(request.expires_at)
    _check_browser(request, answer)
    if isinstance(provider := request.configuration.provider, OAuth2Provider):
        oauth2.check_issuer(provider, registration_of(request), answer.issuer)
    if answer.error:
        if answer.code:
            raise Refused("invalid_request")
        known = ""
        if isinstance(provider, OAuth2Provider):
            known = provider.read_answer_error(answer.error, answer.error_description)
        raise Refused(known or _ANSWER_ERRORS.get(answer.error, "provider_error"))
    if not answer.code:
        raise Refused("invalid_request")
    if request.connection.status == Status.DISCONNECTED:
        raise Refused("connection_removed")


def _check_time(end: datetime | None) -> None:
    if end is None or end <= timezone.now():
        raise Refused("request_expired")


def _check_browser(request: AuthorizationRequest, answer: Answer) -> None:
    """Whoever comes back is who was sent: the same person, or the same browser."""
    if request.started_by_id and request.started_by_id != answer.user_id:
        raise Refused("session_mismatch")
    if request.handshake == Handshake.CONFIRMED:
        given = secret_digest(answer.cookies.get(browser_cookie(request), ""))
        if not hmac.compare_digest(given, request.browser_digest):
            raise Refused("browser_mismatch")


def _park(request: AuthorizationRequest, code: str, result_code: str) -> None:
    """Keep the code, sealed, until the application's backend confirms. Nothing is exchanged."""
    seal(request, "code", code)
    request.result_code_digest = secret_digest(result_code)
    # Within the life of the whole attempt: what nobody confirms ends with it.
    request.result_expires_at = min(request.expires_at, timezone.now() + RESULT_CODE_LIFE)
    request.save(update_fields=["code", "result_code_digest", "result_expires_at"])


def _fail(request: AuthorizationRequest, code: str, actor: Actor) -> Outcome:
    with transaction.atomic():
        note_failure(request, code, actor=actor)
    return Outcome(request=request, error=code)
