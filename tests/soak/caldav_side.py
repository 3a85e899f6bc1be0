"""Accounts at a real CalDAV server, Radicale, with a hostile proxy in front of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from xml.etree import ElementTree

from tests.caldav_proxy import Proxy
from tests.caldav_servers import PASSWORD, CalDavServer
from tests.hostile import Order
from tests.sandbox.browser import FormBrowser, Page
from tests.soak.objects import ZONE, Item, calendar
from tests.soak.sides import Field, Link, Seen, Trouble
from tests.soak.web_side import WebSide, unreadable

_DAV = "{DAV:}"


def _refusal(link: Link, *, times: int = 1) -> Order:
    """The next sync tokens are refused; the first report of a run brings one."""
    return Order(
        link.account, "refused_token", times, strikes=lambda request: request.command == "REPORT"
    )


class CalDavSide(WebSide):
    """Edits go straight to the server, as another program's."""

    name = kind = preset = "caldav"
    providers: tuple[str, ...] = ("caldav",)

    def __init__(self, radicale: CalDavServer) -> None:
        super().__init__()
        self.server = Proxy(radicale)
        self._radicale = radicale
        self._calendars: dict[str, str] = {}  # paths by account

    @staticmethod
    def user(number: int) -> str:
        """The account of this number."""
        return f"storm{number}"

    def add_account(self, number: int, events: int) -> tuple[str, str]:
        account = self.user(number)
        hands = self._hands(account)
        url = hands.make_calendar(f"Storm {number}", zone=ZONE)
        self._calendars[account] = path = url.removeprefix(hands.url)
        self.fill(account, number, events)
        return account, f"{self.server.url}{path}"

    def entered(self, account: str) -> dict[str, str]:
        return {"address": f"{self.server.url}/", "user": account, "secret": PASSWORD}

    def choose(self, browser: FormBrowser, account: str) -> Page:
        url = f"{self.server.url}{self._calendars[account]}"
        return browser.submit("Connect", calendar=[url])

    def store(self, account: str, item: Item) -> None:
        self._put(account, item)
        self.shelf(account)[item.uid] = item

    def remove(self, account: str, uid: str) -> None:
        self._hands(account).delete(self._path(account, uid))
        del self.shelf(account)[uid]

    def publish(self, account: str) -> None:
        """Each object was stored by itself."""

    def troubles(self, field: Field) -> Mapping[str, Trouble]:
        return {
            **super().troubles(field),
            "gone": lambda link: self._refuse_token(field, link),
            "server killed": lambda link: self._kill(field, link),
            "server killed while it answers": lambda link: self._kill_at_work(field, link),
        }

    def lengthen_listing(self, link: Link, milliseconds: int) -> None:
        super().lengthen_listing(link, milliseconds)
        self.server.order(_refusal(link))

    def poison(self, field: Field, link: Link) -> None:
        item = unreadable(f"poison-{link.number}", field.chance)
        self._put(link.account, item)
        path = self._path(link.account, item.uid)
        field.undo(lambda: self._hands(link.account).delete(path))

    def expected(self, link: Link, start: datetime, end: datetime) -> dict[str, Seen]:
        """What the edits have left, in the versions that the server names."""
        etags = self._etags(link.account)
        items = {
            self._path(link.account, uid): item for uid, item in self.shelf(link.account).items()
        }
        assert etags.keys() == items.keys(), "the server does not hold what was stored there"
        return {
            key: seen for path, item in items.items() for key, seen in item.seen(path, etags[path])
        }

    def heal(self) -> None:
        super().heal()
        self._radicale.process.start()

    def _hands(self, account: str) -> CalDavServer:
        """Its server as this account uses it; who edits waits until it is there."""
        self._radicale.process.start()
        home = f"/{account}/"
        return replace(self._radicale, user=account, principal=home, home=home)

    def _path(self, account: str, uid: str) -> str:
        return f"{self._calendars[account]}{uid}.ics"

    def _put(self, account: str, item: Item) -> None:
        hands = self._hands(account)
        hands.put(f"{hands.url}{self._calendars[account]}", calendar([item]), f"{item.uid}.ics")

    def _etags(self, account: str) -> dict[str, str]:
        body = '<d:propfind xmlns:d="DAV:"><d:prop><d:getetag/></d:prop></d:propfind>'
        path = self._calendars[account]
        answer = self._hands(account).request("PROPFIND", path, body, {"Depth": "1"})
        assert answer.status == 207, answer
        found = {
            each.findtext(f"{_DAV}href", ""): each.findtext(f".//{_DAV}getetag", "")
            for each in ElementTree.fromstring(answer.body).iter(f"{_DAV}response")
        }
        return {href: etag for href, etag in found.items() if re.search(r"\.ics$", href)}

    def _refuse_token(self, field: Field, link: Link) -> None:
        field.edit(link)
        self.server.order(_refusal(link, times=field.chance.randint(1, 3)))

    def _kill(self, field: Field, link: Link) -> None:
        """Kill -9 the server, until somebody edits or the round ends."""
        self._radicale.process.kill()
        field.undo(self._radicale.process.start)

    def _kill_at_work(self, field: Field, link: Link) -> None:
        """The same at one of the next requests."""
        server, after = self._radicale.process, field.chance.randint(0, 3)
        order = Order(link.account, "killed", after=after, before=server.kill)
        field.undo(server.start)
        field.undo(self.server.order(order))
