"""What every provider's adapter must make of trouble, against a real server of its protocol.

Used as `contract_listing`.
"""

from __future__ import annotations

import pytest

from providers.errors import (
    AccessTokenRejected,
    AnswerLost,
    AnswerTooLarge,
    CursorExpired,
    InvalidResponse,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)
from tests.providers.contract_world import Session, World

TROUBLES: dict[str, type[ProviderError]] = {
    "rate_limited": RateLimited,
    "server_error": ProviderUnavailable,
    "html": InvalidResponse,
    "nothing": InvalidResponse,
    "too_much": AnswerTooLarge,
    "cut_off": AnswerLost,
}


class TroubleContract:
    """Inherit as `Test…` with a fixture `world`; pytest does the rest."""

    @pytest.fixture
    def connected(self, world: World) -> Session:
        return world.connect()

    @pytest.mark.parametrize("kind", TROUBLES)
    @pytest.mark.parametrize("target", World.targets)
    def test_trouble(self, connected: Session, target: str, kind: str) -> None:
        self._needs(connected, target)
        if (target, kind) == ("events", "too_much"):
            pytest.skip("such a page may be asked for in parts: each adapter's own tests")
        error = connected.world.own_errors.get(kind, TROUBLES[kind])
        connected.world.trouble(kind, target)
        with pytest.raises(error) as raised:
            connected.call(target)
        assert type(raised.value) is error
        if kind == "rate_limited":
            assert raised.value.retry_after is not None
        connected.call(target)  # it was one request's trouble

    @pytest.mark.parametrize("target", World.targets)
    def test_a_refusal(self, connected: Session, target: str) -> None:
        """An access token that has expired, or a server that has lost its mind for a moment."""
        self._needs(connected, target)
        connected.world.trouble("unauthorized", target)
        with pytest.raises(self._refused(connected)):
            connected.call(target)
        connected.world.calm()
        connected.call(target)

    def test_a_limit_of_the_provider_is_no_refusal(self, connected: Session) -> None:
        connected.world.trouble("quota", "events")
        with pytest.raises(connected.world.own_errors.get("quota", RateLimited)):
            connected.call("events")

    def test_silence(self, connected: Session) -> None:
        connected.world.trouble("hang", "events")
        with pytest.raises(ProviderUnavailable):
            connected.call("events", connected.world.patient_for(0.3))

    def test_a_lost_cursor(self, connected: Session) -> None:
        if reason := connected.world.keeps_no_cursors:
            pytest.skip(reason)
        cursor = connected.listing().cursor
        connected.world.trouble("gone", "events")
        with pytest.raises(CursorExpired):
            connected.page(cursor=cursor)
        assert connected.listing(cursor).events == []

    def test_a_wrong_access(self, connected: Session) -> None:
        if reason := connected.world.is_open_to_all:
            pytest.skip(reason)
        connected.spoil()
        for target in connected.world.targets:
            with pytest.raises(connected.world.own_errors.get("wrong", AccessTokenRejected)):
                connected.call(target)

    def test_access_taken_back(self, connected: Session) -> None:
        connected.world.take_access_back()
        for target in connected.world.targets:
            with pytest.raises(self._refused(connected)):
                connected.call(target)

    @staticmethod
    def _refused(connected: Session) -> type[ProviderError]:
        return connected.world.own_errors.get("unauthorized", AccessTokenRejected)

    @staticmethod
    def _needs(connected: Session, target: str) -> None:
        if target not in connected.world.targets:
            pytest.skip("a feed has no account that could be asked for")
