"""What every adapter must do with what a person enters, against a real server of its protocol.

Used as `contract_listing`, with a world of `contract_entered`.
"""

from __future__ import annotations

import pytest

from providers.base import Access
from providers.errors import (
    CredentialsRejected,
    NotACalendar,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)
from tests.providers.contract_entered import EnteredWorld


class EnteringContract:
    """Inherit as `Test…` with a fixture `world`; pytest does the rest."""

    def test_entering(self, world: EnteredWorld) -> None:
        access = self._enter(world)
        given = world.http, access
        assert world.calendar_id in {one.id for one in world.provider.list_calendars(*given)}

    def test_entering_the_same_again_is_the_same_account(self, world: EnteredWorld) -> None:
        first, second = (
            world.provider.fetch_account(world.http, self._enter(world)) for _ in range(2)
        )
        assert first == second
        assert first.subject

    def test_spaces_that_were_pasted_along(self, world: EnteredWorld) -> None:
        assert self._enter(world, address=f"  {world.address}\n") == self._enter(world)

    def test_a_wrong_password(self, world: EnteredWorld) -> None:
        if reason := world.is_open_to_all or world.asks_for_no_password:
            pytest.skip(reason)
        with pytest.raises(CredentialsRejected):
            self._enter(world, secret="wrong")

    @pytest.mark.parametrize("address", ["not an address", "https://", "ftp://example.com/a"])
    def test_what_is_no_address(self, world: EnteredWorld, address: str) -> None:
        with pytest.raises(NotACalendar) as raised:
            self._enter(world, address=address)
        assert raised.value.permanent

    @pytest.mark.parametrize(
        ("kind", "error"),
        [
            ("html", NotACalendar),  # an ordinary web page
            ("nothing", NotACalendar),
            ("server_error", ProviderUnavailable),
            ("rate_limited", RateLimited),
            ("cut_off", ProviderUnavailable),
        ],
    )
    def test_a_server_that_answers_something_else(
        self, world: EnteredWorld, kind: str, error: type[ProviderError]
    ) -> None:
        world.trouble_until_calm(kind)
        with pytest.raises(error):
            self._enter(world)
        world.calm()
        self._enter(world)

    def test_silence_while_entering(self, world: EnteredWorld) -> None:
        world.trouble_until_calm("hang")
        world.http = world.patient_for(0.3)
        with pytest.raises(ProviderUnavailable):
            self._enter(world)

    def test_what_is_secret_is_not_shown(self, world: EnteredWorld) -> None:
        access = self._enter(world)
        assert access.secret not in repr(access) or not access.secret
        for secret in filter(None, (world.secret, world.secret_part)):
            assert secret not in repr(access)

    @staticmethod
    def _enter(world: EnteredWorld, **changed: str) -> Access:
        entered = {"address": world.address, "user": world.user, "secret": world.secret}
        return world.provider.sign_in(world.http, **(entered | changed))
