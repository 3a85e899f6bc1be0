"""A provider that costs next to nothing: `python -m benchmarks.prepared` prints its port, and
serves bytes that were made before. One calendar of each size, at `/microsoft/N`, `/caldav/N` and
`/ics/N`, of single events alone: a server that expanded or searched would be what is measured.

`GET /make/KIND/N` makes one; `POST /ics/N/touch` changes a hundredth of a feed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import lru_cache

from benchmarks import texts

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_DEPTH_ONE = re.compile(rb"\r\ndepth: *1", re.IGNORECASE)
_HREF = re.compile(rb"<(?:\w+:)?href>([^<]+)</")
_JSON, _XML, _TEXT = b"application/json", b"application/xml; charset=utf-8", b"text/calendar"
_MULTISTATUS = (
    b'<?xml version="1.0"?><multistatus xmlns="DAV:" '
    b'xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:CS="http://calendarserver.org/ns/">'
)

Answer = tuple[int, bytes, bytes]


@lru_cache(2)
def _microsoft(size: int, root: str) -> list[bytes]:
    return texts.graph_pages(size, root)


@lru_cache(2)
def _caldav(size: int) -> tuple[bytes, dict[bytes, bytes]]:
    """The listing, and each object's response to a multiget, by its path."""
    listed, bodies = [], {}
    for number in range(size):
        href = texts.object_path(size, number).encode()
        head = b'<response><href>%s</href><propstat><prop><getetag>"%d-1"</getetag>' % (
            href, number,
        )  # fmt: skip
        tail = b"</prop><status>HTTP/1.1 200 OK</status></propstat></response>"
        data = texts.escaped(texts.calendar_object(number))
        kind = b"<resourcetype/><getcontenttype>text/calendar;component=vevent</getcontenttype>"
        listed.append(head + kind + tail)
        bodies[href] = head + b"<C:calendar-data>" + data + b"</C:calendar-data>" + tail
    return _MULTISTATUS + b"".join(listed) + b"</multistatus>", bodies


@lru_cache(2)
def _feed(size: int, version: int) -> bytes:
    return texts.feed(size, version)


class Provider(asyncio.Protocol):
    """One connection; requests come one after the other."""

    versions: dict[int, int] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""
        self._kinds: dict[str, Callable[[bytes, list[str], bytes, bytes], Answer]] = {
            "make": self.on_make,
            "microsoft": self.on_microsoft,
            "caldav": self.on_caldav,
            "ics": self.on_ics,
        }

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[: end + 2]
            length = int(found[1]) if (found := _LENGTH.search(head)) else 0
            if len(self._received) < end + 4 + length:
                return
            body = self._received[end + 4 : end + 4 + length]
            self._received = self._received[end + 4 + length :]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        method, target, _ = head.split(b" ", 2)
        _, kind, *rest = target.decode().split("/")
        status, content_type, content = self._kinds[kind](method, rest, head, body)
        etag = b'ETag: "%d"\r\n' % hash(content) if kind == "ics" else b""
        self._transport.writelines([
            b"HTTP/1.1 %d OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n"
            % (status, content_type, len(content), etag),
            content,
        ])  # fmt: skip

    def on_make(self, _method: bytes, rest: list[str], _head: bytes, _body: bytes) -> Answer:
        kind, size = rest[0], int(rest[1])
        if kind == "microsoft":
            _microsoft(size, self._root(size))
        elif kind == "caldav":
            _caldav(size)
        else:
            _feed(size, self.versions.get(size, 1))
        return 200, _TEXT, b""

    def on_microsoft(self, _method: bytes, rest: list[str], _head: bytes, _body: bytes) -> Answer:
        pages = _microsoft(int(rest[0]), self._root(int(rest[0])))
        number = rest[-1].partition("skiptoken=")[2]
        return 200, _JSON, pages[int(number or 0)]

    def on_caldav(self, method: bytes, rest: list[str], head: bytes, body: bytes) -> Answer:
        size = int(rest[0])
        if method == b"REPORT":
            bodies = _caldav(size)[1]
            members = b"".join([bodies[href] for href in _HREF.findall(body)])
            return 207, _XML, _MULTISTATUS + members + b"</multistatus>"
        if _DEPTH_ONE.search(head):
            return 207, _XML, _caldav(size)[0]
        path = f"/caldav/{'/'.join(rest)}".encode()
        return 207, _XML, _MULTISTATUS + texts.COLLECTION % path + b"</multistatus>"

    def on_ics(self, method: bytes, rest: list[str], _head: bytes, _body: bytes) -> Answer:
        size = int(rest[0])
        if method == b"POST":
            self.versions[size] = self.versions.get(size, 1) + 1
            _feed(size, self.versions[size])
            return 200, _TEXT, b""
        return 200, _TEXT, _feed(size, self.versions.get(size, 1))

    def _root(self, size: int) -> str:
        port = self._transport.get_extra_info("sockname")[1]
        return f"http://127.0.0.1:{port}/microsoft/{size}"


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
