"""What CalDAV and feeds have in common: a hostile server, and people who enter something."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import parse_qsl

from tests.hostile import HostileServer, Order
from tests.sandbox.browser import FormBrowser, Page
from tests.soak.object_edits import ObjectEdits, Shelf
from tests.soak.objects import Entry, Item
from tests.soak.sides import Field, Link, Manage, Seen, Trouble
from tests.stack.product import REDIRECT_URI

# After these a sync goes on by itself.
PASSING = (
    "server_error", "rate_limited", "too_many_requests", "bad_gateway", "html", "nothing",
    "redirect", "gzip_bomb", "cut_off", "broken_off", "hang", "latency", "drip",
)  # fmt: skip
# After these a connection may need its person.
GRAVE = ("unauthorized", "forbidden", "not_found")
_SECONDS = {"hang": 5.0, "latency": 0.7}


class WebSide(ABC):
    """`server` is what the product talks to. `grave` are the troubles that may end a connection."""

    name: str
    providers: tuple[str, ...]
    kind: str
    preset: str
    grave: tuple[str, ...] = GRAVE
    has_pages = False
    server: HostileServer

    def __init__(self) -> None:
        self._shelves: dict[str, Shelf] = {}

    @property
    def hosts(self) -> tuple[str, ...]:
        return (self.server.host,)

    @abstractmethod
    def entered(self, account: str) -> dict[str, str]:
        """What a person enters on the credential page."""

    @abstractmethod
    def store(self, account: str, item: Item) -> None: ...

    @abstractmethod
    def remove(self, account: str, uid: str) -> None: ...

    @abstractmethod
    def publish(self, account: str) -> None: ...

    @abstractmethod
    def expected(self, link: Link, start: datetime, end: datetime) -> dict[str, Seen]: ...

    @abstractmethod
    def poison(self, field: Field, link: Link) -> None:
        """An object that nobody can read, until the end of the round."""

    def shelf(self, account: str) -> Shelf:
        return self._shelves[account]

    def fill(self, account: str, number: int, events: int) -> None:
        """So many events for a new account, the same for the same number."""
        self._shelves[account] = {}
        ObjectEdits(self, random.Random(f"first events {number}")).fill(account, events)

    def register(self, manage: Manage, environment: str) -> None:
        for name in self.providers:
            manage("add_provider", environment, name, "--kind", self.kind)

    def authorize(self, url: str, account: str) -> dict[str, str]:
        browser = FormBrowser()
        browser.get(f"{url}&preset={self.preset}")
        page = browser.submit("Continue", **self.entered(account))
        if page.location is None:  # more than one calendar could be meant
            page = self.choose(browser, account)
        assert page.location is not None, page.text
        address, _, query = page.location.partition("?")
        assert address == REDIRECT_URI
        return dict(parse_qsl(query))

    def choose(self, browser: FormBrowser, account: str) -> Page:
        return browser.submit("Connect")

    def editor(self, links: Sequence[Link], chance: random.Random) -> ObjectEdits:
        return ObjectEdits(self, chance)

    def troubles(self, field: Field) -> Mapping[str, Trouble]:
        return {
            **{kind: self._orderer(field, kind) for kind in (*PASSING, *self.grave)},
            "revoked": lambda link: self._revoke(field, link),
            "emptied": lambda link: self._empty(field, link),
            "poison": lambda link: self.poison(field, link),
        }

    def lengthen_listing(self, link: Link, milliseconds: int) -> None:
        order = Order(link.account, "latency", times=4, seconds=milliseconds / 1000)
        self.server.order(order)

    def calm(self) -> None:
        self.server.calm()

    def begin(self, token_seconds: int) -> None:  # noqa: B027
        """There are no tokens."""

    def heal(self) -> None:
        self.calm()

    def close(self) -> None:
        self.server.close()

    def held_etag(self, etag: str) -> str:
        return etag

    def _orderer(self, field: Field, kind: str) -> Trouble:
        return lambda link: self._order(field, kind, link)

    def _order(self, field: Field, kind: str, link: Link) -> None:
        times, after = field.chance.randint(1, 3), field.chance.randint(0, 2)
        if kind in self.grave:
            field.needs_person(link)
        seconds = _SECONDS.get(kind, 0)
        self.server.order(Order(link.account, kind, times, after, seconds))

    def _revoke(self, field: Field, link: Link) -> None:
        """What was entered is not taken any more, until the end of the round."""
        field.needs_person(link)
        field.undo(self.server.order(Order(link.account, "unauthorized", times=None)))

    def _empty(self, field: Field, link: Link) -> None:
        field.undo(self.server.order(Order(link.account, "emptied", times=None)))


def unreadable(uid: str, chance: random.Random) -> Item:
    """An object that every server takes, and that has no sane reading."""
    return Item(uid, chance.choice(_UNREADABLE))


class _Endless(Entry):
    """Every minute, for ever."""

    def lines(self) -> Iterator[str]:
        yield from super().lines()
        yield "RRULE:FREQ=MINUTELY"


_NINE, _HOUR = datetime.fromisoformat("2026-01-01T09:00:00"), timedelta(hours=1)
_UNREADABLE: tuple[Entry, ...] = (
    _Endless("Every minute", _NINE, _HOUR),
    Entry("Long ago", _NINE.replace(year=1800), _HOUR),
    Entry("Backwards", _NINE, -_HOUR),
)
