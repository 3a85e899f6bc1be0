"""A connection's tokens: stored sealed, refreshed by one process at a time.

The recipe is that of docs/security.md, "Refreshing": a lease in the database, a second look before
asking, and a compare-and-set on the version when storing. The new refresh token is stored before
the new access token is used, and a refusal counts only if nobody else succeeded meanwhile.
"""

from __future__ import annotations

import random
import time
import uuid
from datetime import timedelta

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from providers import oauth2
from providers.base import Http, TokenSet
from providers.errors import AuthorizationRevoked, ProviderUnavailable, ScopeMissing
from providers.models import ConnectionCredential, ProviderConnection
from talkover.encryption import seal, unseal
from talkover.statements import Select, parameter

# Longer than the longest request, so that a lease outlives the answer it waits for.
LEASE = timedelta(seconds=45)
WAIT_SECONDS = 10.0
POLL_SECONDS = 0.1
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
    """The access tokens of one connection, for the length of one run."""

    def __init__(self, *, http: Http, connection: ProviderConnection) -> None:
        self._http = http
        self._connection = connection

    def current(self) -> str:
        """An access token that is good for some minutes.

        Raises AuthorizationRevoked, ScopeMissing, ProviderUnavailable, RateLimited, Misconfigured
        and talkover.encryption.UnsealError.
        """
        row = self._row()
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
        deadline = time.monotonic() + WAIT_SECONDS
        lease_id = uuid.uuid4()
        while not self._take_lease(seen, lease_id):
            if time.monotonic() > deadline:
                raise ProviderUnavailable(
                    "Another process has been refreshing the token for too long.",
                    code="refresh_in_progress",
                )
            time.sleep(POLL_SECONDS)
            row = self._row()
            if row.version != seen.version:
                return unseal(row, "access_token")
        try:
            return self._refresh_under_lease(lease_id)
        finally:
            self._leased(lease_id).update(refresh_lease_id=None, refresh_lease_until=None)

    def _take_lease(self, seen: ConnectionCredential, lease_id: uuid.UUID) -> bool:
        now = timezone.now()
        return bool(
            ConnectionCredential.objects.filter(
                Q(refresh_lease_until__isnull=True) | Q(refresh_lease_until__lt=now),
                pk=seen.pk,
                version=seen.version,
            ).update(refresh_lease_id=lease_id, refresh_lease_until=now + LEASE)
        )

    def _refresh_under_lease(self, lease_id: uuid.UUID) -> str:
        row = self._row()
        configuration = self._connection.configuration
        refresh_token = unseal(row, "refresh_token")
        if not refresh_token:
            raise AuthorizationRevoked("There is no refresh token.")
        try:
            tokens = oauth2.refresh(
                self._http,
                configuration.provider,
                configuration.registration(),
                refresh_token=refresh_token,
            )
        except AuthorizationRevoked:
            latest = self._row()
            if latest.version != row.version:
                return unseal(latest, "access_token")
            raise
        return self._store_refreshed(row, lease_id, tokens)

    def _store_refreshed(
        self, row: ConnectionCredential, lease_id: uuid.UUID, tokens: TokenSet
    ) -> str:
        seal(row, "access_token", tokens.access_token)
        if tokens.refresh_token:
            seal(row, "refresh_token", tokens.refresh_token)
        stored = (
            self._leased(lease_id)
            .filter(version=row.version)
            .update(
                access_token=row.access_token,
                refresh_token=row.refresh_token,
                expires_at=tokens.expires_at,
                stored_at=timezone.now(),
                version=F("version") + 1,
            )
        )
        if not stored:
            return unseal(self._row(), "access_token")
        self._check_scopes(tokens)
        return tokens.access_token

    def _check_scopes(self, tokens: TokenSet) -> None:
        """A refresh may return fewer scopes than before; none named means all (RFC 6749, 6)."""
        if not tokens.scopes:
            return
        missing = self._connection.configuration.provider.missing_scopes(tokens.scopes)
        if missing:
            raise ScopeMissing("The provider withdrew scopes.", missing=missing)

    def _leased(self, lease_id: uuid.UUID) -> models.QuerySet[ConnectionCredential]:
        return ConnectionCredential.objects.filter(
            connection=self._connection, refresh_lease_id=lease_id
        )
