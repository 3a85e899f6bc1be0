"""The addresses and URLs that may be asked, and those that are blocked."""

from __future__ import annotations

import socket

import pytest

from providers.errors import AddressBlocked, ProviderUnavailable
from providers.http import HttpClient
from providers.sockets import is_allowed_address
from tests.providers.http_server import Server, answer, client, resolver, text_chain

INNER_V4 = [
    "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0",
    "100.64.0.1", "192.0.0.1", "192.0.0.9", "192.0.0.170", "192.0.2.1", "192.88.99.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
    "100.100.100.200", "168.63.129.16",
]  # fmt: skip
INNER_V6 = [
    "::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "fe80::1",
    "fe80::1%eth0", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "ff0e::1", "2001:db8::1",
    "2001::1", "2001:0:7f00:1::", "2002:7f00:1::", "2002:808:808::", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "fd00:ec2::254",
    "fd20:ce::254",
]  # fmt: skip
OUTER = ["8.8.8.8", "1.1.1.1", "142.250.74.110", "2a00:1450:4001:82f::200e", "2606:4700::1111"]


@pytest.mark.parametrize("address", INNER_V4 + INNER_V6)
def test_inner_addresses_are_refused(address: str) -> None:
    assert not is_allowed_address(address)


@pytest.mark.parametrize("address", OUTER)
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_allowed_address(address)


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "8.8.8.8:80"])
def test_what_is_no_address_is_refused(text: str) -> None:
    assert not is_allowed_address(text)


@pytest.mark.parametrize(
    "host",
    [*INNER_V4, *(f"[{v6}]" for v6 in INNER_V6 if "%" not in v6), "localhost"],
)
def test_urls_with_inner_hosts_are_blocked(host: str) -> None:
    with pytest.raises(AddressBlocked):
        HttpClient(user_agent="t", connect_timeout=1).request("GET", f"https://{host}/")


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "0x7f000001"])
def test_other_spellings_of_loopback_are_blocked(host: str) -> None:
    with pytest.raises(AddressBlocked):
        HttpClient(user_agent="t", connect_timeout=1).request("GET", f"https://{host}/")


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The addresses that sockets were told to connect to; none of them answers."""
    seen: list[object] = []

    def connect(self: socket.socket, address: object) -> None:
        seen.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    return seen


@pytest.mark.parametrize(
    "answers", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["10.0.0.1", "8.8.8.8"], ["8.8.8.8", "::1"]]
)
def test_one_inner_answer_of_the_name_server_blocks_the_host(
    monkeypatch: pytest.MonkeyPatch, connected: list[object], answers: list[str]
) -> None:
    resolver(monkeypatch, answers)
    with pytest.raises(AddressBlocked) as raised:
        HttpClient(user_agent="t").request("GET", "https://calendar.example/?q=canary")
    assert connected == []
    assert not any(address in text_chain(raised.value) for address in answers)


def test_the_checked_address_is_the_one_connected_to(
    monkeypatch: pytest.MonkeyPatch, connected: list[object]
) -> None:
    asked = resolver(monkeypatch, ["8.8.8.8", "1.1.1.1"], ["127.0.0.1"])
    http = HttpClient(user_agent="t", connect_timeout=0.2)
    with pytest.raises(ProviderUnavailable):
        http.request("GET", "https://calendar.example/")
    assert asked == ["calendar.example"]
    assert connected == [("8.8.8.8", 443), ("1.1.1.1", 443)]
    with pytest.raises(AddressBlocked):  # the name now points inside: the flip is seen
        http.request("GET", "https://calendar.example/")
    assert len(connected) == 2


def test_a_listed_host_may_be_inner_a_neighbouring_port_not(server: Server) -> None:
    server.replies = [answer()]
    assert client(server).request("GET", server.url()).status == 200
    other = HttpClient(user_agent="t", allowed_hosts=frozenset({f"127.0.0.1:{server.port + 1}"}))
    with pytest.raises(AddressBlocked):
        other.request("GET", server.url())
    with pytest.raises(AddressBlocked):
        client(server).request("GET", server.url().replace("127.0.0.1", "localhost"))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/relative",
        "//calendar.example/",
        "calendar.example",
        "http://calendar.example/",
        "http://calendar.example:443/",
        "ftp://calendar.example/",
        "file:///etc/passwd",
        "webcal://calendar.example/",
        "https:///path",
        "https://calendar.example:22/",
        "https://calendar.example:80/",
        "https://calendar.example:99999/",
        "https://user@calendar.example/",
        "https://user:password@calendar.example/",
        "https://calendar.example@127.0.0.1/",
        "https://calendar.example/#fragment",
        "https://calendar.example/ path",
        "https://calendar.example/\npath",
        "https://calendar.example/\x00",
        "https://calendar.example\\@127.0.0.1/",
        "https://ⓔxample.com/",
        "https://①②⑦.0.0.1/",
        "https://[fe80::1%25eth0]/",
        "https://[::1/",
        "https://calendar.example/?" + "x" * 9000,
    ],
)
def test_urls_that_are_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    asked = resolver(monkeypatch)
    with pytest.raises(AddressBlocked):
        HttpClient(user_agent="t").request("GET", url)
    assert asked == []


@pytest.mark.parametrize(
    "host", ["calendar.example", "calendar.example:443", "calendar.example:8443"]
)
def test_urls_that_are_allowed(
    monkeypatch: pytest.MonkeyPatch, connected: list[object], host: str
) -> None:
    resolver(monkeypatch, ["8.8.8.8"])
    with pytest.raises(ProviderUnavailable):
        HttpClient(user_agent="t", connect_timeout=0.1).request("GET", f"HTTPS://{host.upper()}/")
    assert len(connected) == 1
