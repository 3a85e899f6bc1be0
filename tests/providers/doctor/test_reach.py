"""What the doctor says of our public address, the clocks and the providers' hosts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from providers.doctor import reach
from providers.doctor.findings import Level
from tests.factories import ProviderConfigurationFactory
from tests.providers.http_server import Server
from tests.services import free_port


def found(check: Any) -> list[tuple[Level, str, str]]:
    return [(finding.level, finding.what, finding.remedy) for finding in check()]


def answer(status: str, *headers: str, off: timedelta = timedelta()) -> bytes:
    """An answer of a machine whose clock is off by so much."""
    date = format_datetime(datetime.now(UTC) + off, usegmt=True)
    lines = [f"HTTP/1.1 {status}", f"Date: {date}", "Content-Length: 0", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


@pytest.fixture
def public(server: Server, settings: Any) -> Server:
    """What answers at PUBLIC_BASE_URL."""
    settings.PUBLIC_BASE_URL = f"http://{server.host}"
    return server


@pytest.mark.django_db
def test_our_own_callback_is_reached(live_server: Any, settings: Any) -> None:
    settings.PUBLIC_BASE_URL = live_server.url
    assert found(reach.check_public_address) == []
    assert found(reach.check_clocks) == []


@pytest.mark.parametrize(
    ("reply", "what", "remedy"),
    [
        (answer("200 OK"), "somebody else answers", "Let the proxy send /oauth/callback/"),
        (answer("404 Not Found"), "somebody else answers", "Let the proxy send"),
        (answer("303 See Other", "Location: /elsewhere"), "somebody else answers", ""),
        (answer("502 Bad Gateway"), "our callback (502)", "see that it runs"),
        (answer("400 Bad Request"), "refuses the host name", "ALLOWED_HOSTS"),
        (
            answer("301 Moved", "Location: https://www.example.com/x?code=canary"),
            "redirect to https://www.example.com.",
            "Set PUBLIC_BASE_URL",
        ),
    ],
    ids=["200", "404", "303", "502", "400", "301"],
)
def test_something_else_answers(public: Server, reply: bytes, what: str, remedy: str) -> None:
    public.replies = [reply]
    ((level, said, mends),) = found(reach.check_public_address)
    assert level == Level.ERROR
    assert what in said
    assert remedy in mends
    assert "canary" not in said
    assert b"GET /oauth/callback/doctor/" in public.requests[0]


def test_a_redirect_to_itself_is_the_proxys_fault(public: Server, settings: Any) -> None:
    path = "/oauth/callback/doctor/00000000-0000-0000-0000-000000000000"
    public.replies = [answer("301 Moved", f"Location: {settings.PUBLIC_BASE_URL}{path}")]
    ((_, _, remedy),) = found(reach.check_public_address)
    assert "X-Forwarded-Proto" in remedy


def test_nobody_answers(settings: Any) -> None:
    settings.PUBLIC_BASE_URL = f"http://127.0.0.1:{free_port()}"
    ((level, what, remedy),) = found(reach.check_public_address)
    assert level == Level.ERROR
    assert "was not reached from here" in what
    assert "try from another one: curl -i http" in remedy


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("off", "levels"),
    [
        (0, []),
        (-4, []),
        (12, [Level.WARNING]),
        (-12, [Level.WARNING]),
        (90, [Level.ERROR]),
        (-90, [Level.ERROR]),
    ],
)
def test_the_clock_of_who_answers_for_us(public: Server, off: int, levels: list[Level]) -> None:
    public.replies = [answer("200 OK", off=timedelta(seconds=off))]
    assert [level for level, _, _ in found(reach.check_clocks)] == levels


@pytest.mark.django_db
def test_the_databases_clock(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has this machine's clock")
    settings.PUBLIC_BASE_URL = f"http://127.0.0.1:{free_port()}"
    assert found(reach.check_clocks) == []
    ours = datetime.now(UTC) + timedelta(seconds=40)
    monkeypatch.setattr(timezone, "now", lambda: ours)
    ((level, what, _),) = found(reach.check_clocks)
    assert level == Level.ERROR
    assert "the database's differ by 40 seconds" in what


@pytest.mark.django_db
class TestProviders:
    @pytest.fixture(autouse=True)
    def _configured(self, server: Server, settings: Any) -> Any:
        settings.OUTBOUND_ALLOWED_HOSTS = frozenset({server.host})
        for _ in range(2):
            ProviderConfigurationFactory(token_endpoint=server.url("/token?secret=canary"))
        return

    def test_a_host_that_answers_is_asked_once(self, server: Server) -> None:
        server.replies = [answer("404 Not Found")]
        assert found(reach.check_providers) == []
        assert len(server.requests) == 1
        assert server.requests[0].startswith(b"GET / ")

    def test_a_host_that_does_not(self, server: Server) -> None:
        server.replies = [lambda sock: sock.close()]
        ((level, what, _),) = found(reach.check_providers)
        assert level == Level.WARNING
        assert f"http://{server.host} was not reached" in what

    def test_a_host_that_may_not_be_asked(self, settings: Any) -> None:
        settings.OUTBOUND_ALLOWED_HOSTS = frozenset()
        ((level, what, remedy),) = found(reach.check_providers)
        assert level == Level.ERROR
        assert "may not be asked" in what
        assert "OUTBOUND_ALLOWED_HOSTS" in remedy
        assert "canary" not in what

    def test_a_clock_that_differs(self, server: Server) -> None:
        server.replies = [answer("200 OK", off=timedelta(seconds=-60))]
        ((level, what, _),) = found(reach.check_providers)
        assert level == Level.ERROR
        assert f"that of http://{server.host} differ by" in what
