"""The contract of listing, for the CalDAV adapter, against Radicale and Xandikos, and those of
entering and of trouble with a proxy in front of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from tests.caldav_proxy import Proxy
from tests.caldav_servers import CalDavServer
from tests.hostile import Order
from tests.providers.caldav.world import CalDavWorld
from tests.providers.contract_entering import EnteringContract
from tests.providers.contract_listing import ListingContract
from tests.providers.contract_trouble import TroubleContract


class TestCalDav(ListingContract):
    """All of it; the fixture `world` is one of each server."""


class OneAccountsProxy(Proxy):
    """Whatever comes is the one account's."""

    def account_of(self, request: BaseHTTPRequestHandler) -> str:
        return ""


class ProxiedWorld(CalDavWorld):
    """The account as it is behind the proxy."""

    def __init__(self, server: CalDavServer) -> None:
        self.hostile = OneAccountsProxy(server)
        super().__init__(server)
        self.path = self.calendar_id.removeprefix(server.url)
        self.address, self.calendar_id = self.hostile.url, f"{self.hostile.url}{self.path}"
        if server.name != "radicale":
            self.is_open_to_all = "Xandikos asks for no password here"

    @property
    def hosts(self) -> frozenset[str]:
        return frozenset({self.hostile.host})

    def trouble(self, kind: str, target: str) -> None:
        if kind == "gone":
            self.hostile.order(Order("", "refused_token", strikes=_is_report))
        elif kind == "unauthorized":  # one alone is a challenge, a few are looked into
            self.trouble_until_calm(kind)
        else:
            super().trouble(kind, target)


def _is_report(request: BaseHTTPRequestHandler) -> bool:
    return request.command == "REPORT"  # as what brings a sync token is


@pytest.fixture
def proxied(server: CalDavServer) -> Iterator[ProxiedWorld]:
    made = ProxiedWorld(server)
    yield made
    made.hostile.close()
    server.delete(made.path)


class TestCalDavTrouble(TroubleContract):
    @pytest.fixture
    def world(self, proxied: ProxiedWorld) -> ProxiedWorld:
        return proxied


class TestCalDavEntering(EnteringContract):
    @pytest.fixture
    def world(self, proxied: ProxiedWorld) -> ProxiedWorld:
        return proxied
