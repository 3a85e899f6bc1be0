"""What every OAuth provider's adapter must do, against a real server of its protocol.

A test module subclasses `World` of `contract_world` for its server and `ProviderContract` as a test
class with a fixture `world`. Every test gets a world with an account of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from providers import oauth2
from providers.base import TokenSet
from providers.errors import (
    AuthorizationRevoked,
    CodeRejected,
    Misconfigured,
    ProviderError,
    ScopeMissing,
)
from tests.providers.contract_listing import ListingContract
from tests.providers.contract_trouble import TROUBLES, TroubleContract
from tests.providers.contract_world import Connected, OAuth2World


class ProviderContract(TroubleContract, ListingContract):
    """Inherit as `Test…` with a fixture `world`; pytest does the rest."""

    @pytest.fixture
    def connected(self, world: OAuth2World) -> Connected:
        return world.connect()

    # Authorisation

    def test_the_default_scopes_suffice(self, world: OAuth2World) -> None:
        assert world.provider.missing_scopes(world.provider.default_scopes) == ()
        assert world.provider.missing_scopes(()) != ()

    def test_authorising(self, connected: Connected) -> None:
        assert connected.back["state"] == connected.state
        oauth2.check_issuer(connected.provider, connected.registration, connected.back.get("iss"))
        tokens = connected.tokens
        assert tokens.refresh_token
        assert connected.provider.missing_scopes(tokens.scopes) == ()
        assert datetime.now(UTC) < tokens.expires_at < datetime.now(UTC) + timedelta(days=1)

    def test_a_code_works_once(self, connected: Connected) -> None:
        with pytest.raises(CodeRejected):
            connected.exchange()

    def test_a_code_needs_its_verifier(
        self, world: OAuth2World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            Connected, "exchange", lambda _, **__: TokenSet("", datetime.now(UTC), None, ())
        )
        connected = Connected(world)
        monkeypatch.undo()
        with pytest.raises(CodeRejected):
            connected.exchange(code_verifier=oauth2.new_code_verifier())

    def test_refreshing(self, connected: Connected) -> None:
        fresh = connected.refresh()
        assert fresh.access_token != connected.tokens.access_token
        connected.tokens = replace(fresh, refresh_token=connected.tokens.refresh_token)
        assert connected.listing().events == []

    def test_scopes_that_were_not_granted(self, world: OAuth2World) -> None:
        needed = world.provider.missing_scopes(())
        connected = Connected(world, scopes=needed[:1])
        assert connected.provider.missing_scopes(connected.tokens.scopes) == needed[1:]
        with pytest.raises(ScopeMissing):
            connected.page()

    def test_nothing_is_refreshed_when_access_was_taken_back(self, connected: Connected) -> None:
        connected.world.take_access_back()
        with pytest.raises(AuthorizationRevoked):
            connected.refresh()

    def test_revoking_twice(self, connected: Connected) -> None:
        connected.revoke()
        connected.revoke()
        with pytest.raises(AuthorizationRevoked):
            connected.refresh()

    def test_a_wrong_client_secret(self, connected: Connected) -> None:
        with pytest.raises(Misconfigured):
            connected.refresh(replace(connected.registration, client_secret="wrong"))
        connected.refresh()  # the connection is none the worse

    # Trouble

    @pytest.mark.parametrize(
        ("target", "kind", "error"),
        [
            (target, kind, error)
            for target in ("token", "revoke")
            for kind, error in TROUBLES.items()
            # RFC 7009 section 2.2: what a revocation's 200 says is ignored.
            if (target, kind) not in {("revoke", "html"), ("revoke", "nothing")}
        ],
    )
    def test_trouble_with_tokens(
        self, connected: Connected, target: str, kind: str, error: type[ProviderError]
    ) -> None:
        if target == "revoke" and not connected.registration.endpoints.revocation:
            pytest.skip("the provider has no revocation endpoint")
        call: Callable[[], object] = connected.refresh if target == "token" else connected.revoke
        connected.world.trouble(kind, target)
        with pytest.raises(error) as raised:
            call()
        assert type(raised.value) is error
        assert not raised.value.permanent
        if kind == "rate_limited":
            assert raised.value.retry_after is not None
        call()  # it was one request's trouble

    @pytest.mark.parametrize(
        ("kind", "error"),
        [("invalid_client", Misconfigured), ("invalid_grant", AuthorizationRevoked)],
    )
    def test_refused_refreshes(
        self, connected: Connected, kind: str, error: type[ProviderError]
    ) -> None:
        connected.world.trouble(kind, "token")
        with pytest.raises(error):
            connected.refresh()
