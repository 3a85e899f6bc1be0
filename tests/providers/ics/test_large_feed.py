"""A feed of 200 MB: refused before it is there, in little memory, in words that help."""

from __future__ import annotations

import gzip
import re
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.test import Client

from providers.ics.transport import MAX_BYTES
from providers.models import ProviderConnection
from talkover.environments.models import RedirectURI
from tests.factories import CalendarFactory, ProviderConfigurationFactory
from tests.providers.conftest import CALLBACK
from tests.providers.http_server import Server, answer

LARGE = 200_000_000
_EVENT = b"BEGIN:VEVENT\r\nUID:1\r\nDTSTART:20260601T100000Z\r\nSUMMARY:Lunch\r\nEND:VEVENT\r\n"
_BLOCK = _EVENT * 500
_START = b"HTTP/1.1 200 OK\r\nContent-Type: text/calendar\r\n"


class Endless:
    """Sends a feed until nobody listens any more; `sent` counts the bytes."""

    def __init__(self, head: bytes, block: bytes) -> None:
        self.head, self.block, self.sent = head, block, 0

    def __call__(self, sock: socket.socket) -> None:
        try:
            sock.sendall(_START + self.head)
            while self.sent < LARGE:
                sock.sendall(self.block)
                self.sent += len(self.block)
        finally:
            sock.close()


def told() -> Endless:
    return Endless(b"Content-Length: %d\r\n\r\nBEGIN:VCALENDAR\r\n" % (LARGE + 17), _BLOCK)


def in_chunks() -> Endless:
    head = b"Transfer-Encoding: chunked\r\n\r\n11\r\nBEGIN:VCALENDAR\r\n\r\n"
    return Endless(head, b"%x\r\n%s\r\n" % (len(_BLOCK), _BLOCK))


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def enter(api, environment, server: Server, settings) -> Callable[[], str]:
    """What the page says of the server's feed."""
    settings.OUTBOUND_ALLOWED_HOSTS = frozenset({server.host})
    RedirectURI.objects.create(environment=environment, uri=CALLBACK)
    provider = ProviderConfigurationFactory(environment=environment, kind="ics", client_id="")
    calendar = CalendarFactory(environment=environment)
    created = api.post(
        f"/api/v1/calendars/{calendar.pk}/providers",
        {"provider": provider.identifier, "redirect_uri": CALLBACK},
        format="json",
    ).json()["data"]
    parts = urlsplit(created["authorization_url"])
    given = {**dict(parse_qsl(parts.query)), "action": "enter", "address": server.url("/x.ics")}

    def enter() -> str:
        page = Client().post(parts.path, given)
        assert page.status_code == 422
        return re.sub(r"\s+", " ", page.content.decode())

    return enter


def said_and_peak(enter: Callable[[], str]) -> tuple[str, int]:
    """What the page says, and the most memory that was in use meanwhile, in bytes."""
    tracemalloc.start()
    try:
        return enter(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def assert_said(text: str) -> None:
    assert "The calendar feed is larger than what is read (25 MB" in text
    assert "Publish a smaller one" in text
    assert ProviderConnection.objects.get().status == ProviderConnection.Status.PENDING


def test_a_feed_that_says_its_size_is_not_read(server: Server, enter: Callable[[], str]) -> None:
    feed = told()
    server.replies = [feed]
    text, peak = said_and_peak(enter)
    assert_said(text)
    # What lies in the buffers between the two.
    assert feed.sent < 20_000_000
    assert peak < 10_000_000


def test_a_feed_that_does_not_is_read_up_to_the_limit(
    server: Server, enter: Callable[[], str]
) -> None:
    feed = in_chunks()
    server.replies = [feed]
    text, peak = said_and_peak(enter)
    assert_said(text)
    assert MAX_BYTES < feed.sent < MAX_BYTES + 20_000_000
    assert peak < 3 * MAX_BYTES


def test_a_feed_that_is_small_on_the_way(server: Server, enter: Callable[[], str]) -> None:
    packed = gzip.compress(_EVENT * (LARGE // len(_EVENT)), compresslevel=1)
    server.replies = [answer(packed, "200 OK", "Content-Encoding: gzip")]
    text, peak = said_and_peak(enter)
    assert_said(text)
    assert peak < 3 * MAX_BYTES
