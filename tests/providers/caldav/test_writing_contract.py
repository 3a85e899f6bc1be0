"""The contract of writing, for the CalDAV adapter, against Radicale and Xandikos."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from providers.base import Http, Response
from providers.caldav.provider import CalDavProvider
from tests.caldav_servers import CalDavServer, read_only_copy
from tests.providers.caldav.dav import reply
from tests.providers.caldav.world import CalDavWorld
from tests.providers.contract_world import HOUR, MONDAY
from tests.providers.contract_writing import WritingContract
from tests.providers.contract_writing_world import WritingWorld

TROUBLES = {
    "rate_limited": reply(429, Retry_After="3"),
    "quota": reply(503, Retry_After="60"),
    "server_error": reply(502),
}


@dataclass
class Troubled:
    """An `Http` that gives `next` for an answer, once."""

    http: Http
    next: Response | None = None

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_bytes: int | None = None,
    ) -> Response:
        if self.next is not None:
            found, self.next = self.next, None
            return found
        return self.http.request(method, url, headers=headers, body=body, max_bytes=max_bytes)


class CalDavWritingWorld(CalDavWorld, WritingWorld):
    """The same account, which may write."""

    provider: CalDavProvider

    def __init__(self, server: CalDavServer) -> None:
        super().__init__(server)
        self.http = self.troubled = Troubled(self.http)
        self.access = self.provider.sign_in(
            self.http, address=self.address, user=self.user, secret=self.secret
        )

    def read_only_calendar(self) -> tuple[str, str]:
        if self.server.name != "radicale":
            pytest.skip("Xandikos has no rights: whoever gets in may write")
        self.add("Fixed", MONDAY, MONDAY + HOUR)
        [path] = self.objects
        calendar = read_only_copy(self.server, self.calendar_id)
        return calendar, f"{self.server.home}read-only/{path.rpartition('/')[2]}"

    def rename(self, event_id: str, title: str) -> None:
        text = self.server.get(event_id)
        self._put(event_id, re.sub(r"SUMMARY:.*\r\n", f"SUMMARY:{title}\r\n", text))

    def delete(self, event_id: str) -> None:
        self.server.delete(event_id)

    def answer(self, event_id: str, email: str, response: str) -> None:
        text = self.server.get(event_id).replace("\r\n ", "")
        guest = rf"(ATTENDEE[^\r\n]*)PARTSTAT=NEEDS-ACTION([^\r\n]*{email})"
        self._put(event_id, re.sub(guest, rf"\1PARTSTAT={response.upper()}\2", text))

    def _put(self, event_id: str, text: str) -> None:
        self.server.put(self.calendar_id, text, event_id.rpartition("/")[2])

    def told(self) -> bool:
        raise NotImplementedError

    def trouble(self, kind: str, target: str = "events") -> None:
        self.troubled.next = TROUBLES[kind]


@pytest.fixture
def world(server: CalDavServer) -> Iterator[CalDavWritingWorld]:
    made = CalDavWritingWorld(server)
    path = made.calendar_id.removeprefix(server.url)
    yield made
    server.delete(path)


class TestCalDavWriting(WritingContract):
    """All of the contract, but for one test: only Radicale asks for a password."""

    @pytest.mark.parametrize("name", ["create", "read", "change", "delete"])
    def test_an_access_that_is_refused(self, world: WritingWorld, name: str) -> None:
        assert isinstance(world, CalDavWritingWorld)
        if world.server.name != "radicale":
            pytest.skip("Xandikos asks for no password here")
        super().test_an_access_that_is_refused(world, name)
