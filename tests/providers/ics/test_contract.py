"""The contract of listing, for feeds, against a real web server, and those of entering and of
trouble against one that makes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from tests.hostile import HostileServer, Reply
from tests.providers.contract_entering import EnteringContract
from tests.providers.contract_listing import ListingContract
from tests.providers.contract_trouble import TroubleContract
from tests.providers.ics.server import SECRET, FeedServer
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


class HostileFeed(HostileServer):
    text = ""

    @property
    def url(self) -> str:
        return f"http://{self.host}{SECRET}"

    def account_of(self, request: BaseHTTPRequestHandler) -> str:
        return ""

    def answer(self, request: BaseHTTPRequestHandler, body: bytes, kind: str) -> Reply:
        return Reply(200, {}, self.text.encode()) if request.path == SECRET else Reply(404)


@pytest.fixture
def hostile() -> Iterator[IcsWorld]:
    server = HostileFeed()
    made = IcsWorld(server)
    made.hostile = server
    yield made
    server.close()


class TestIcsTrouble(TroubleContract):
    @pytest.fixture
    def world(self, hostile: IcsWorld) -> IcsWorld:
        return hostile


class TestIcsEntering(EnteringContract):
    @pytest.fixture
    def world(self, hostile: IcsWorld) -> IcsWorld:
        return hostile
