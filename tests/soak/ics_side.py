"""Calendar feeds, each an address of a hostile web server."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from http.server import BaseHTTPRequestHandler

from tests.hostile import HostileServer, Reply
from tests.soak.objects import ZONE, Item, calendar
from tests.soak.sides import Field, Link, Seen, Trouble
from tests.soak.web_side import GRAVE, WebSide, unreadable

_HEAD = ("X-WR-CALNAME:Storm", f"X-WR-TIMEZONE:{ZONE}")
_TYPE = {"Content-Type": "text/calendar; charset=utf-8"}


class Feeds(HostileServer):
    """Texts by account, each at an address of its own, with validators."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: dict[str, str] = {}
        self.unchanged = 0  # so many were answered with 304

    def address(self, account: str) -> str:
        return f"{self.url}/{account}/secret/basic.ics"

    def account_of(self, request: BaseHTTPRequestHandler) -> str:
        return request.path.split("/")[1]

    def answer(self, request: BaseHTTPRequestHandler, body: bytes, kind: str) -> Reply:
        text = self.texts.get(self.account_of(request))
        if text is None:
            return Reply(404)
        content = (calendar([], *_HEAD) if kind == "emptied" else text).encode()
        if kind == "half":  # as a producer that fails while it writes: nothing says that it is
            return Reply(200, _TYPE, content[: len(content) // 2])
        etag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
        if request.headers.get("If-None-Match") == etag and kind != "without_validators":
            self.unchanged += 1
            return Reply(304, {"ETag": etag})
        validators = {} if kind == "without_validators" else {"ETag": etag}
        return Reply(200, {**_TYPE, **validators}, content)


class IcsSide(WebSide):
    """Edits are another text of the feed."""

    name = kind = "ics"
    preset = "feed"
    providers: tuple[str, ...] = ("feed",)
    grave = (*GRAVE, "gone")

    def __init__(self) -> None:
        super().__init__()
        self.server: Feeds = Feeds()

    def add_account(self, number: int, events: int) -> tuple[str, str]:
        account = f"feed{number}"
        self.fill(account, number, events)
        return account, "feed"

    def entered(self, account: str) -> dict[str, str]:
        return {"address": self.server.address(account)}

    def store(self, account: str, item: Item) -> None:
        self.shelf(account)[item.uid] = item

    def remove(self, account: str, uid: str) -> None:
        del self.shelf(account)[uid]

    def publish(self, account: str) -> None:
        self._show(account, *self.shelf(account).values())

    def troubles(self, field: Field) -> Mapping[str, Trouble]:
        own = {kind: self._orderer(field, kind) for kind in ("half", "without_validators")}
        return {**super().troubles(field), **own}

    def poison(self, field: Field, link: Link) -> None:
        item = unreadable(f"poison-{link.number}", field.chance)
        self._show(link.account, *self.shelf(link.account).values(), item)
        field.undo(lambda: self.publish(link.account))

    def expected(self, link: Link, start: datetime, end: datetime) -> dict[str, Seen]:
        return {
            key: seen
            for uid, item in self.shelf(link.account).items()
            for key, seen in item.seen(uid, "")
        }

    def held_etag(self, etag: str) -> str:
        """A feed tells none: the product makes them."""
        return ""

    def _show(self, account: str, *items: Item) -> None:
        self.server.texts[account] = calendar(list(items), *_HEAD)
