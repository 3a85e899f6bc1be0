"""A provider in memory that lists iCalendar objects and is reached with a password."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from providers.access import store_entered
from providers.base import (
    Access,
    Account,
    Capability,
    CredentialProvider,
    EventQuery,
    Http,
    InvalidEvent,
    Preset,
    RemoteCalendar,
    RemoteEvent,
    RemoteObject,
)
from providers.errors import CredentialsRejected, CursorExpired
from providers.models import ExternalCalendar
from tests.providers.sync_remote import make_source, remote_event


@dataclass
class Series:
    """An object: its version, and when it occurs. `broken`: it cannot be read."""

    key: str
    starts: list[datetime]
    version: int = 1
    endless: bool = False
    broken: bool = False

    @property
    def etag(self) -> str:
        return f"{self.key}-{self.version}"

    def read(self, query: EventQuery) -> RemoteObject:
        window = query.window
        inside = [at for at in self.starts if window.start <= at < window.end]
        alone = len(self.starts) == 1
        events = tuple(self._event(at, alone=alone) for at in inside)
        return RemoteObject(
            id=self.key,
            etag=self.etag,
            events=events,
            starts_at=min(self.starts, default=None),
            ends_at=None if self.endless else max(self.starts, default=timezone.now()),
        )

    def _event(self, at: datetime, *, alone: bool) -> RemoteEvent:
        more: dict[str, Any] = {"start_at": at, "etag": self.etag}
        title = f"{self.key} v{self.version}"
        if alone:
            return remote_event(self.key, title=title, **more)
        key = f"{self.key}_{at:%Y%m%dT%H%M%S}"
        return remote_event(key, title=title, series_id=self.key, **more)


@dataclass
class Page:
    """What the engine reads; `reads` are the ids it wanted."""

    remote: ScriptedObjects
    query: EventQuery
    versions: Mapping[str, str]
    removed: tuple[str, ...] = ()
    next_page_token: str = ""
    next_cursor: str = ""
    complete: bool = False
    poll_after: timedelta | None = None
    reads: list[list[str]] = field(default_factory=list)

    def read(self, ids: Collection[str]) -> tuple[list[RemoteObject], list[InvalidEvent]]:
        self.reads.append(list(ids))
        self.remote.on_read(list(ids))
        there = [self.remote.objects[key] for key in ids if key in self.remote.objects]
        return (
            [item.read(self.query) for item in there if not item.broken],
            [InvalidEvent(item.key, "no rule") for item in there if item.broken],
        )


class ScriptedObjects(CredentialProvider):
    """Objects with a change log; a cursor is a position in it. With `snapshots` it is a feed: a
    cursor only tells whether anything changed, and what changed comes as a whole.
    """

    kind = "objects"
    name = "Objects"
    capabilities = frozenset({Capability.EVENTS_READ})
    presets = (Preset(key="server", name="A server", example="https://dav.example.com"),)
    asks_for = ("address", "user", "secret")

    def __init__(self, *, page_size: int = 1000, snapshots: bool = False) -> None:
        self.page_size = page_size
        self.snapshots = snapshots
        self.objects: dict[str, Series] = {}
        self.log: list[str] = []
        self.expired_before = 0
        self.poll_after: timedelta | None = None
        self.password = "right"
        self.calendars = [
            RemoteCalendar("home", "Home", "Europe/Berlin", "owner", True, "#ff0000"),
            RemoteCalendar("team", "Team", "", "reader", False),
        ]
        self.pages: list[Page] = []
        self.on_read: Callable[[list[str]], object] = lambda _ids: None

    def put(self, *items: Series) -> None:
        for item in items:
            self.objects[item.key] = item
            self.log.append(item.key)

    def change(self, key: str, **changes: Any) -> None:
        item = self.objects[key]
        for name, value in {"version": item.version + 1, **changes}.items():
            setattr(item, name, value)
        self.log.append(key)

    def delete(self, key: str) -> None:
        del self.objects[key]
        self.log.append(key)

    def sign_in(self, http: Http, *, address: str, user: str, secret: str) -> Access:
        if secret != self.password:
            raise CredentialsRejected("The server answered 401.")
        return Access(address=f"{address}/principals/{user}", user=user, secret=secret)

    def fetch_account(self, http: Http, access: Access) -> Account:
        return Account(access.address, access.user, email_verified=False)

    def fetch_calendar(self, http: Http, access: Access, calendar_id: str) -> RemoteCalendar:
        return next(item for item in self.calendars if item.id == calendar_id)

    def list_calendars(self, http: Http, access: Access) -> list[RemoteCalendar]:
        return self.calendars

    def fetch_events(self, http: Http, access: Access, query: EventQuery) -> Page:
        page = self._page(query)
        page.poll_after = self.poll_after
        self.pages.append(page)
        return page

    def _page(self, query: EventQuery) -> Page:
        position = len(self.log)
        since = int(query.cursor or "0")
        if query.cursor and since < self.expired_before:
            raise CursorExpired
        if query.cursor and not self.snapshots:
            keys = set(self.log[since:])
            return Page(
                self,
                query,
                {key: self.objects[key].etag for key in sorted(keys & self.objects.keys())},
                removed=tuple(keys - self.objects.keys()),
                next_cursor=str(position),
            )
        if query.cursor and since == position:
            return Page(self, query, {}, next_cursor=query.cursor)
        keys_left = sorted(key for key in self.objects if key > query.page_token)
        part = keys_left[: self.page_size]
        page = Page(
            self, query, {key: self.objects[key].etag for key in part}, complete=bool(query.cursor)
        )
        if len(keys_left) > self.page_size:
            page.next_page_token = part[-1]
        else:
            page.next_cursor = str(position)
        return page

    def offered(self, source: ExternalCalendar) -> dict[str, str]:
        """Titles by external id, inside the window as the source has it."""
        assert source.window_start is not None
        assert source.window_end is not None
        return {
            event.id: event.title
            for item in self.objects.values()
            if not item.broken
            for event in item.read(self.pages[-1].query).events
            if event.end_at > source.window_start
        }


def single(key: str, *, days: float = 1) -> Series:
    return Series(key, [_at(days)])


def daily(key: str, *, first: float = 1, count: int = 5, endless: bool = False) -> Series:
    return Series(key, [_at(first + day) for day in range(count)], endless=endless)


def make_object_source() -> ExternalCalendar:
    """A connected external calendar of this provider that is due."""
    source = make_source(kind="objects")
    access = Access(address="https://dav.example.com", user="anna", secret="right")
    store_entered(connection=source.connection, access=access)
    return source


def _at(days: float) -> datetime:
    return timezone.now().replace(microsecond=0) + timedelta(days=days)
