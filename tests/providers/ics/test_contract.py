"""The contract of listing, for feeds, against a real web server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.providers.contract_listing import ListingContract
from tests.providers.ics.server import FeedServer
from tests.providers.ics.world import IcsWorld


@pytest.fixture
def server() -> Iterator[FeedServer]:
    server = FeedServer()
    yield server
    server.close()


class TestIcs(ListingContract):
    @pytest.fixture
    def world(self, server: FeedServer) -> IcsWorld:
        return IcsWorld(server)
