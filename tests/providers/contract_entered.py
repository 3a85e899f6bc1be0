"""What the contract is tested with where a person enters something, an address or a password."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from providers.base import (
    Access,
    Account,
    CredentialProvider,
    EventQuery,
    Http,
    ObjectPage,
    RemoteEvent,
)
from tests.hostile import HostileServer, Order
from tests.providers.contract_world import WINDOW, Listing, Session, World

# Troubles of the contract, as a hostile server calls them.
REPLIES_BY_KIND = {
    "rate_limited": "too_many_requests",
    "quota": "rate_limited",
    "too_much": "gzip_bomb",
    "gone": "refused_token",
}


class EnteredWorld(World):
    """One that is reached with what a person enters."""

    provider: CredentialProvider
    address: str
    user: str
    secret: str
    email_is_verified = False
    lists_in_pages = False
    hostile: HostileServer
    # Why there is no password; empty where there is.
    asks_for_no_password = ""
    # What of the address is secret.
    secret_part = ""

    def connect(self) -> Session:
        return Entered(self)

    def spoilt(self, access: Access) -> Access:
        return replace(access, secret="wrong")

    def trouble(self, kind: str, target: str) -> None:
        self.hostile.order(Order("", REPLIES_BY_KIND.get(kind, kind), seconds=20))

    def trouble_until_calm(self, kind: str) -> None:
        order = Order("", REPLIES_BY_KIND.get(kind, kind), times=None, seconds=20)
        self.hostile.order(order)

    def calm(self) -> None:
        self.hostile.calm()

    def take_access_back(self) -> None:
        self.trouble_until_calm("unauthorized")


class Entered(Session):
    """A session by address and password. A listing of changes is compared with the one before, as
    the sync does it: an object's version says nothing of its single occurrences.
    """

    provider: CredentialProvider
    world: EnteredWorld

    def __init__(self, world: EnteredWorld) -> None:
        super().__init__(world)
        self._access = world.provider.sign_in(
            world.http, address=world.address, user=world.user, secret=world.secret
        )
        self._objects: dict[str, dict[str, RemoteEvent]] = {}

    @property
    def access(self) -> Access:
        return self._access

    def spoil(self) -> None:
        self._access = self.world.spoilt(self._access)

    def account(self) -> Account:
        return self.provider.fetch_account(self.world.http, self._access)

    def page(
        self, *, http: Http | None = None, cursor: str = "", page_token: str = ""
    ) -> ObjectPage:
        return self.provider.fetch_events(
            http or self.world.http,
            self._access,
            EventQuery(self.world.calendar_id, WINDOW, cursor, page_token),
        )

    def listing(self, cursor: str = "", *, http: Http | None = None) -> Listing:
        before = {key: dict(events) for key, events in self._objects.items()} if cursor else {}
        now = dict(before)
        pages: list[ObjectPage] = []
        found = Listing(pages, [], [])
        page_token = ""
        while True:
            page = self.page(http=http, cursor=cursor, page_token=page_token)
            assert bool(page.next_page_token) != bool(page.next_cursor)
            objects, invalid = page.read(page.versions)
            assert {item.id: item.etag for item in objects}.items() <= page.versions.items()
            pages.append(page)
            found.invalid += invalid
            if page.complete:
                now = {}
            now |= {item.id: {event.id: event for event in item.events} for item in objects}
            for key in page.removed:
                now.pop(key, None)
            if not (page_token := page.next_page_token):
                break
        self._objects = now
        earlier = {key: event for events in before.values() for key, event in events.items()}
        living = {key: event for events in now.values() for key, event in events.items()}
        found.events += [
            event
            for key, event in living.items()
            if key not in earlier or not _same(event, earlier[key])
        ]
        found.gone = earlier.keys() - living.keys()
        return found


def _same(event: RemoteEvent, other: RemoteEvent) -> bool:
    """Whether both say the same, whatever their version is."""
    one, two = (
        msgspec.structs.replace(each, etag="", remote_updated_at=None, details={})
        for each in (event, other)
    )
    return one == two
