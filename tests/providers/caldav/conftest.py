"""Radicale and Xandikos, one of each for all tests of a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.caldav_servers import CalDavServer, open_radicale, open_xandikos
from tests.providers.caldav.world import CalDavWorld


@pytest.fixture(scope="session")
def radicale() -> Iterator[CalDavServer]:
    with open_radicale("anna@example.com") as server:
        yield server


@pytest.fixture(scope="session")
def xandikos() -> Iterator[CalDavServer]:
    with open_xandikos("anna@example.com") as server:
        yield server


@pytest.fixture(params=["radicale", "xandikos"])
def server(request: pytest.FixtureRequest) -> CalDavServer:
    found: CalDavServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def world(server: CalDavServer) -> Iterator[CalDavWorld]:
    """An account with an empty calendar, which is gone afterwards."""
    made = CalDavWorld(server)
    path = made.calendar_id.removeprefix(server.url)
    yield made
    server.delete(path)
