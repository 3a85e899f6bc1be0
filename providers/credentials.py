"""A connection's tokens: stored sealed, refreshed by one process at a time.

The recipe is that of docs/security.md, "Refreshing": a lease in the database, a second look before
asking, and a compare-and-set on the version when storing. The new refresh token is stored before
the new access token is used, a refusal counts only if nobody else succeeded meanwhile, and after a
failure nobody asks for a while.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from providers import oauth2
from providers.base import Http, TokenSet
from providers.errors import (
    AnswerLost,
    AuthorizationRevoked,
    ProviderError,
    ProviderUnavailable,
    ScopeMissing,
)
from providers.models import ConnectionCredential, ProviderConnection
from talkover.encryption import seal, unseal
from talkover.statements import Select, parameter

# A lease outlives the longest request by this, so that it outlives the answer it waits for.
LEASE_BEYOND_REQUEST = timedelta(seconds=15)
# Shorter than the shortest back-off of a sync, which is thus never held up by it; longer when the
# provider says so.
COOL_DOWN = timedelta(seconds=15)
LONGEST_COOL_DOWN = timedelta(hours=1)
WAIT_SECONDS = 10.0
POLL_SECONDS = 0.1
MEANWHILE_SECONDS = 1.0
# A token is renewed this long before it ends, or in the last fifth of a shorter life; by chance
# inside the span, so that connections made together do not refresh together.
MARGIN_SECONDS = (180, 360)
_of_connection = Select(
    lambda: ConnectionCredential.objects.filter(
        connection=parameter("connection", ProviderConnection._meta.pk)
    ).order_by()
)


def store_credential(*, connection: ProviderConnection, tokens: TokenSet) -> None:
    """Keep the tokens of a finished authorization, inside the caller's transaction.

    A refresh that is under way for the replaced tokens finds another version and drops its result.
    A missing refresh token never overwrites one that is there.
    """
    row = ConnectionCredential.objects.filter(connection=connection).first()
    if row is None:
        row = ConnectionCredential(
            connection=connection, environment_id=connection.environment_id, version=0
        )
    seal(row, "access_token", tokens.access_token)
    if tokens.refresh_token:
        seal(row, "refresh_token", tokens.refresh_token)
    row.expires_at = tokens.expires_at
    row.stored_at = timezone.now()
    row.version += 1
    row.refresh_lease_id = row.refresh_lease_until = None
    row.save()


class AccessTokens:
    """The access tokens of one connection, for the length of one run.

    `meanwhile` is called every so often while another process refreshes: whoever holds something
    that runs out prolongs it there. What it raises ends the waiting.
    """

    def __init__(
        self,
        *,
        http: Http,
        connection: ProviderConnection,
        meanwhile: Callable[[], object] | None = None,
    ) -> None:
        self._http = http
        self._connection = connection
        self._meanwhile = meanwhile

    def current(self) -> str:
        """An access token that is good for some minutes.

        Raises AuthorizationRevoked, ScopeMissing, ProviderUnavailable, RateLimited, Misconfigured
        and talkover.encryption.UnsealError.
        """
        row = self._row()
        if row.expires_at is None:
            return self._refresh(row)
        lifetime = (row.expires_at - row.stored_at).total_seconds()
        margin = min(random.uniform(*MARGIN_SECONDS), lifetime / 5)  # noqa: S311  spreads load
        if row.expires_at - timezone.now() > timedelta(seconds=margin):
            return unseal(row, "access_token")
        return self._refresh(row)

    def renew(self, rejected: str) -> str:
        """Another access token than `rejected`, which the API refused. Raises as `current`."""
        row = self._row()
        token = unseal(row, "access_token")
        return token if token != rejected else self._refresh(row)

    def _row(self) -> ConnectionCredential:
        for row in _of_connection(connection=self._connection.pk):
            return row
        raise AuthorizationRevoked("The connection has no tokens any more.")

    def _refresh(self, seen: ConnectionCredential) -> str:
        deadline, next_call = time.monotonic() + WAIT_SECONDS, time.monotonic()
        lease_id = uuid.uuid4()
        row = seen
        while not self._take_lease(seen, lease_id):
            row = self._row()
            if row.version != seen.version:
                return unseal(row, "access_token")
            _check_cool_down(row)
            if time.monotonic() > deadline:
                raise ProviderUnavailable(
                    "Another process has been refreshing the token for too long.",
                    code="refresh_in_progress",
                )
            if self._meanwhile and time.monotonic() >= next_call:
                self._meanwhile()
                next_call = time.monotonic() + MEANWHILE_SECONDS
            time.sleep(POLL_SECONDS)
        pause: timedelta | None = None
        try:
            self._check_not_dead()
            return self._refresh_under_lease(lease_id)
        except ProviderError as error:
            pause = _cool_down(error)
            raise
        finally:
            # A lease without a holder: nobody asks until it ends.
            self._leased(lease_id).update(
                refresh_lease_id=None,
                refresh_lease_until=None if pause is None else timezone.now() + pause,
            )

    def _take_lease(self, seen: ConnectionCredential, lease_id: uuid.UUID) -> bool:
        now = timezone.now()
        return bool(
            ConnectionCredential.objects.filter(
                Q(refresh_lease_until__isnull=True) | Q(refresh_lease_until__lt=now),
                pk=seen.pk,
                version=seen.version,
            ).update(refresh_lease_id=lease_id, refresh_lease_until=now + _lease_length())
        )

    def _check_not_dead(self) -> None:
        """Raise AuthorizationRevoked when that was found out before: a dead grant is not asked
        about again. Reconnecting makes the connection active.
        """
        if ProviderConnection.objects.filter(
            pk=self._connection.pk,
            status=ProviderConnection.Status.REAUTHORIZATION_REQUIRED,
        ).exists():
            raise AuthorizationRevoked("The connection waits for a new authorization.")

    def _refresh_under_lease(self, lease_id: uuid.UUID) -> str:
        row = self._row()
        try:
            tokens = self._ask(row, lease_id)
        except AuthorizationRevoked:
            latest = self._row()
            if latest.version != row.version:
                return unseal(latest, "access_token")
            if latest.refresh_lease_id != lease_id:
                # Our lease ran out, and whoever has it now may be about to store new tokens.
                raise ProviderUnavailable(
                    "Another process refreshes the token.", code="refresh_in_progress"
                ) from None
            raise
        return self._store_refreshed(row, tokens)

    def _ask(self, row: ConnectionCredential, lease_id: uuid.UUID) -> TokenSet:
        """The provider's answer. Asked a second time, with the same token, when an answer was lost:
        most providers do not rotate, or let the old token live on for a moment; where it is refused
        the new one is lost for good, and the grant with it.
        """
        configuration = self._connection.configuration
        registration = configuration.registration()
        refresh_token = unseal(row, "refresh_token")
        if not refresh_token:
            raise AuthorizationRevoked("There is no refresh token.")
        try:
            return oauth2.refresh(
                self._http, configuration.oauth2_provider, registration, refresh_token=refresh_token
            )
        except AnswerLost:
            if not self._leased(lease_id).update(
                refresh_lease_until=timezone.now() + _lease_length()
            ):
                raise
        return oauth2.refresh(
            self._http, configuration.oauth2_provider, registration, refresh_token=refresh_token
        )

    def _store_refreshed(self, row: ConnectionCredential, tokens: TokenSet) -> str:
        """Store, unless somebody else has; returns the access token that is stored then.

        The version alone decides. Who asked last does not: an answer that comes after the end of
        its lease may hold the only refresh token that is still good.
        """
        seal(row, "access_token", tokens.access_token)
        if tokens.refresh_token:
            seal(row, "refresh_token", tokens.refresh_token)
        stored = ConnectionCredential.objects.filter(pk=row.pk, version=row.version).update(
            access_token=row.access_token,
            refresh_token=row.refresh_token,
            expires_at=tokens.expires_at,
            stored_at=timezone.now(),
            version=F("version") + 1,
        )
        if not stored:
            return unseal(self._row(), "access_token")
        self._check_scopes(tokens)
        return tokens.access_token

    def _check_scopes(self, tokens: TokenSet) -> None:
        """A refresh may return fewer scopes than before; none named means all (RFC 6749, 6)."""
        if not tokens.scopes:
            return
        ProviderConnection.objects.filter(pk=self._connection.pk).update(
            granted_scopes=list(tokens.scopes)
        )
        missing = self._connection.configuration.oauth2_provider.missing_scopes(tokens.scopes)
        if missing:
            raise ScopeMissing("The provider withdrew scopes.", missing=missing)

    def _leased(self, lease_id: uuid.UUID) -> models.QuerySet[ConnectionCredential]:
        return ConnectionCredential.objects.filter(
            connection=self._connection, refresh_lease_id=lease_id
        )


def _lease_length() -> timedelta:
    return timedelta(seconds=settings.OUTBOUND_TOTAL_TIMEOUT_SECONDS) + LEASE_BEYOND_REQUEST


def _cool_down(error: ProviderError) -> timedelta | None:
    """How long nobody asks after this failure."""
    if isinstance(error, ScopeMissing) or error.code == "refresh_in_progress":
        return None  # The refresh itself has worked, or is somebody else's.
    return min(max(timedelta(seconds=error.retry_after or 0), COOL_DOWN), LONGEST_COOL_DOWN)


def _check_cool_down(row: ConnectionCredential) -> None:
    if row.refresh_lease_id is not None or row.refresh_lease_until is None:
        return
    left = (row.refresh_lease_until - timezone.now()).total_seconds()
    if left > 0:
        raise ProviderUnavailable(
            "The last refresh of the token has just failed.", retry_after=left
        )
