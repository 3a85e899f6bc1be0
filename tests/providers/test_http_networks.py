"""Networks that the operator opens, and what they do not open."""

from __future__ import annotations

import socket
from ipaddress import ip_network
from typing import Any

import pytest

from providers import outbound
from providers.checks import check_outbound_allowed_networks
from providers.errors import AddressBlocked, ProviderUnavailable
from providers.http import HttpClient
from providers.sockets import is_allowed_address
from tests.providers.http_server import Server, answer, resolver
from tests.providers.test_http_addresses import INNER_V4, INNER_V6, OUTER

LAN = (ip_network("192.168.10.0/24"), ip_network("fd12:3456::/32"), ip_network("100.64.0.0/16"))
EVERYTHING = (ip_network("0.0.0.0/0"), ip_network("::/0"))


@pytest.mark.parametrize("address", ["192.168.10.7", "fd12:3456::7", "100.64.3.4", *OUTER])
def test_addresses_within_are_allowed(address: str) -> None:
    assert is_allowed_address(address, LAN)


@pytest.mark.parametrize(
    "address",
    ["192.168.11.7", "10.0.0.1", "fd12:3457::7", "100.65.0.1", "::ffff:192.168.10.7",
     "64:ff9b::c0a8:a07", "2002:c0a8:a07::", "127.0.0.1", "::1", "169.254.169.254"],
)  # fmt: skip
def test_addresses_outside_and_other_spellings_stay_closed(address: str) -> None:
    assert not is_allowed_address(address, LAN)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.8.8.8", "::1", "169.254.169.254", "fe80::1", "fe80::1%eth0", "0.0.0.0", "::",
     "224.0.0.1", "ff02::1", "255.255.255.255", "::127.0.0.1", "::ffff:127.0.0.1",
     "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::", "100.100.100.200", "168.63.129.16",
     "fd00:ec2::254", "fd20:ce::254"],
)  # fmt: skip
def test_no_network_opens_this_machine_or_its_cloud(address: str) -> None:
    assert not is_allowed_address(address, EVERYTHING)


@pytest.mark.parametrize("address", INNER_V4 + INNER_V6)
def test_without_networks_nothing_inner_is_open(address: str) -> None:
    assert not is_allowed_address(address, ())


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    seen: list[object] = []

    def connect(self: socket.socket, address: object) -> None:
        seen.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    return seen


def lan_client() -> HttpClient:
    return HttpClient(user_agent="t", allowed_networks=LAN, connect_timeout=0.1)


def test_a_host_within_is_connected_to(
    monkeypatch: pytest.MonkeyPatch, connected: list[object]
) -> None:
    resolver(monkeypatch, ["192.168.10.7"])
    with pytest.raises(ProviderUnavailable):
        lan_client().request("GET", "https://cloud.lan/")
    assert connected == [("192.168.10.7", 443)]


@pytest.mark.parametrize("answers", [["192.168.10.7", "192.168.11.7"], ["192.168.10.7", "::1"]])
def test_one_address_outside_blocks_the_host(
    monkeypatch: pytest.MonkeyPatch, connected: list[object], answers: list[str]
) -> None:
    resolver(monkeypatch, answers)
    with pytest.raises(AddressBlocked):
        lan_client().request("GET", "https://cloud.lan/")
    assert connected == []


@pytest.mark.parametrize(
    "url", ["http://cloud.lan/", "https://cloud.lan:22/", "http://192.168.10.7/"]
)
def test_tls_and_the_usual_ports_are_still_required(
    monkeypatch: pytest.MonkeyPatch, connected: list[object], url: str
) -> None:
    asked = resolver(monkeypatch, ["192.168.10.7"])
    with pytest.raises(AddressBlocked):
        lan_client().request("GET", url)
    assert connected == asked == []


def test_loopback_is_opened_by_host_and_port_alone(server: Server) -> None:
    server.replies = [answer()]
    everything = HttpClient(user_agent="t", allowed_networks=EVERYTHING)
    with pytest.raises(AddressBlocked):
        everything.request("GET", f"https://127.0.0.1:{8443}/")
    named = HttpClient(user_agent="t", allowed_hosts=frozenset({server.host}))
    assert named.request("GET", server.url()).status == 200


def test_the_setting_reaches_the_door(
    settings: Any, monkeypatch: pytest.MonkeyPatch, connected: list[object]
) -> None:
    settings.OUTBOUND_ALLOWED_NETWORKS = frozenset({"192.168.10.0/24"})
    settings.OUTBOUND_TOTAL_TIMEOUT_SECONDS = 0.2
    resolver(monkeypatch, ["192.168.10.7"], ["192.168.11.7"])
    with pytest.raises(ProviderUnavailable):
        outbound.http_client().request("GET", "https://cloud.lan/")
    with pytest.raises(AddressBlocked):
        outbound.http_client().request("GET", "https://cloud.lan/")


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("192.168.10.0/24", ""),
        ("192.168.10.7", ""),
        ("fd12:3456::/32", ""),
        ("192.168.10.7/24", "is not a network"),
        ("cloud.lan", "is not a network"),
        ("", "is not a network"),
        ("127.0.0.0/8", "stays closed"),
        ("::1/128", "stays closed"),
        ("169.254.0.0/16", "stays closed"),
        ("fe80::/10", "stays closed"),
    ],
)
def test_the_setting_is_checked(settings: Any, entry: str, says: str) -> None:
    settings.OUTBOUND_ALLOWED_NETWORKS = frozenset({entry})
    found = check_outbound_allowed_networks(None)
    assert bool(found) is bool(says)
    assert all(says in error.msg and error.id == "talkover.E005" for error in found)
