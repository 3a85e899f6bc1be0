"""What the calls of one connection carry: an access token, or what a person has typed in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec
from django.utils import timezone

from providers.base import Access, ClientRegistration, Http, OAuth2Provider
from providers.credentials import AccessTokens
from providers.errors import AuthorizationRevoked
from providers.models import ConnectionCredential, ProviderConnection
from talkover.encryption import seal, unseal


class Accesses(Protocol):
    """Where a run takes its access from."""

    def current(self) -> Access:
        """One that is good for some minutes. Raises ProviderErrors, and UnsealError."""

    def renew(self, rejected: Access) -> Access:
        """Another one than `rejected`, which the provider refused. Raises as `current`."""


def accesses_of(
    *, http: Http, connection: ProviderConnection, meanwhile: Callable[[], object] | None = None
) -> Accesses:
    """The accesses of one connection, for the length of one run. Raises UnsealError.

    `meanwhile` as of AccessTokens.
    """
    if isinstance(connection.configuration.provider, OAuth2Provider):
        tokens = AccessTokens(http=http, connection=connection, meanwhile=meanwhile)
        return _ByToken(tokens, connection.configuration.registration())
    return _AsEntered(connection)


def store_entered(*, connection: ProviderConnection, access: Access) -> None:
    """Keep what a person typed in, once it worked, inside the caller's transaction."""
    row = ConnectionCredential.objects.filter(connection=connection).first()
    if row is None:
        row = ConnectionCredential(
            connection=connection, environment_id=connection.environment_id, version=0
        )
    kept = {"address": access.address, "user": access.user, "secret": access.secret}
    seal(row, "entered", msgspec.json.encode(kept).decode())
    row.stored_at = timezone.now()
    row.version += 1
    row.save()


class _ByToken:
    def __init__(self, tokens: AccessTokens, registration: ClientRegistration) -> None:
        self._tokens = tokens
        self._registration = registration

    def current(self) -> Access:
        return self._registration.access(self._tokens.current())

    def renew(self, rejected: Access) -> Access:
        return self._registration.access(self._tokens.renew(rejected.secret))


class _AsEntered:
    def __init__(self, connection: ProviderConnection) -> None:
        self._connection = connection

    def current(self) -> Access:
        row = ConnectionCredential.objects.filter(connection=self._connection).first()
        entered = "" if row is None else unseal(row, "entered")
        if not entered:
            raise AuthorizationRevoked("The connection has no credentials any more.")
        return Access(**msgspec.json.decode(entered, type=dict[str, str]))

    def renew(self, rejected: Access) -> Access:
        """Others than were rejected, if the person has entered them meanwhile; nobody else can."""
        access = self.current()
        if access == rejected:
            raise AuthorizationRevoked("The server refuses the user name or the password.")
        return access
