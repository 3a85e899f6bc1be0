"""Calendar feeds: one iCalendar file behind an address (RFC 5545), read-only.

The address is the credential. A feed comes whole or not at all: what is asked for with a cursor is
either unchanged (304, or the same content under new validators) or a complete listing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import ClassVar
from urllib.parse import urlsplit

import msgspec

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
    RemoteObject,
    Window,
)
from providers.errors import (
    AddressBlocked,
    CalendarNotFound,
    CursorExpired,
    FeedTooLarge,
    InvalidResponse,
    NotACalendar,
)
from providers.http import clean_text
from providers.ical import feed as ical
from providers.ical.feed import Feed
from providers.ical.reader import Reading, read_object
from providers.ical.values import Unreadable, duration
from providers.ical.zones import Zones, named_zone
from providers.ics import transport
from providers.ics.transport import Fetched, Validators

# The only calendar of a feed. Its address is a secret, and so names nothing.
CALENDAR_ID = "feed"
# How often a feed is asked for, whatever it says itself; without a word every hour.
SHORTEST, USUAL, LONGEST = timedelta(minutes=15), timedelta(hours=1), timedelta(hours=24)
_NAME_LENGTH = 255


class _Cursor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was known of the feed: its validators, a digest of its content, its pace in seconds."""

    etag: str
    modified: str
    digest: str
    pace: int


class FeedPage:
    """A feed as it came, or nothing when it is unchanged. Objects are read when they are wanted."""

    def __init__(
        self, *, cursor: _Cursor, feed: Feed | None = None, window: Window, complete: bool
    ) -> None:
        self.next_page_token = ""
        self.next_cursor = msgspec.json.encode(cursor).decode()
        self.poll_after: timedelta | None = timedelta(seconds=cursor.pace)
        self.complete = complete
        self.removed: tuple[str, ...] = ()
        self._feed = feed
        if feed is not None:
            self._reading = Reading(window, Zones(feed.zones, calendar_zone=feed.time_zone))
        objects = feed.objects if feed else {}
        self.versions: Mapping[str, str] = {key: item.etag for key, item in objects.items()}

    def read(self, ids: Collection[str]) -> tuple[list[RemoteObject], list[InvalidEvent]]:
        objects: list[RemoteObject] = []
        invalid: list[InvalidEvent] = []
        for key in ids:
            if self._feed is None or key not in self._feed.objects:
                continue
            item = self._feed.objects[key]
            found = read_object(key, item.etag, item.components, self._reading)
            if isinstance(found, InvalidEvent):
                invalid.append(found)
            else:
                objects.append(found)
        return objects, invalid


class IcsProvider(CredentialProvider):
    """A subscription to a feed, by its address."""

    kind = "ics"
    name = "Calendar feed (ICS)"
    capabilities = frozenset({Capability.CALENDARS_READ, Capability.EVENTS_READ})
    shortest_interval = SHORTEST
    asks_for: ClassVar[tuple[str, ...]] = ("address",)
    presets: ClassVar[tuple[Preset, ...]] = (
        Preset(
            key="feed",
            name="Calendar feed",
            example="https://calendar.example.com/secret/basic.ics",
            hint=(
                "Your calendar's settings show it, often as “secret address in iCal format” or"
                " “publish”. Whoever knows it can read the calendar, so it is kept encrypted."
            ),
        ),
    )

    def sign_in(self, http: Http, *, address: str, user: str, secret: str) -> Access:  # noqa: ARG002
        """Fetch the feed once, by https where http is not allowed. Raises NotACalendar,
        FeedTooLarge, and as `transport.fetch`.
        """
        url = transport.address_of(address)
        try:
            fetched = transport.fetch(http, url)
        except AddressBlocked:
            if not url.startswith("http://"):
                raise
            url = url.replace("http://", "https://", 1)
            fetched = transport.fetch(http, url)
        _split(fetched)
        return Access(address=url, secret="")

    def fetch_account(self, http: Http, access: Access) -> Account:  # noqa: ARG002
        """A feed has no account; its address, which is secret, stands for one as a digest."""
        digest = hashlib.sha256(access.address.encode()).hexdigest()
        return Account(subject=f"feed:{digest}", email="", email_verified=False)

    def fetch_calendar(self, http: Http, access: Access, calendar_id: str) -> RemoteCalendar:
        if calendar_id not in {CALENDAR_ID, "primary"}:
            raise CalendarNotFound("A feed is one calendar.")
        feed = _split(transport.fetch(http, access.address))
        color = feed.properties.get("COLOR")
        return RemoteCalendar(
            id=CALENDAR_ID,
            name=clean_text(feed.name, _NAME_LENGTH) or urlsplit(access.address).hostname or "Feed",
            time_zone=named_zone(feed.time_zone),
            access_role="reader",
            is_primary=True,
            color=clean_text(color.value, 16) if color else "",
        )

    def list_calendars(self, http: Http, access: Access) -> list[RemoteCalendar]:
        return [self.fetch_calendar(http, access, CALENDAR_ID)]

    def fetch_events(self, http: Http, access: Access, query: EventQuery) -> FeedPage:
        """The whole feed, or a page that says nothing when it is as it was."""
        if query.calendar_id != CALENDAR_ID:
            raise CalendarNotFound("A feed is one calendar.")
        known = _read_cursor(query.cursor) if query.cursor else None
        validators = Validators(known.etag, known.modified) if known else None
        fetched = transport.fetch(http, access.address, validators)
        if fetched.body is None and known:
            return FeedPage(cursor=known, window=query.window, complete=False)
        feed = _split(fetched)
        cursor = _Cursor(
            etag=fetched.validators.etag,
            modified=fetched.validators.modified,
            digest=_digest(feed),
            pace=int(_pace(feed, fetched).total_seconds()),
        )
        if known and known.digest == cursor.digest:
            # New validators, and for many a producer a new DTSTAMP, but nothing that it says.
            return FeedPage(cursor=cursor, window=query.window, complete=False)
        return FeedPage(cursor=cursor, feed=feed, window=query.window, complete=bool(known))


def _read_cursor(text: str) -> _Cursor:
    try:
        return msgspec.json.decode(text, type=_Cursor)
    except msgspec.DecodeError:
        raise CursorExpired("This is no cursor of a feed.") from None


def _split(fetched: Fetched) -> Feed:
    """Raises NotACalendar, InvalidResponse (broken off), FeedTooLarge."""
    try:
        return ical.split(fetched.body or b"")
    except ical.NotACalendar:
        raise NotACalendar("The address answers with something that is no calendar.") from None
    except ical.DamagedCalendar:
        raise InvalidResponse("The feed ends before its end.") from None
    except ical.OversizedCalendar as error:
        raise FeedTooLarge(str(error)) from None


def _digest(feed: Feed) -> str:
    said = "\n".join(f"{key} {item.etag}" for key, item in sorted(feed.objects.items()))
    return hashlib.sha256(said.encode(errors="replace")).hexdigest()


def _pace(feed: Feed, fetched: Fetched) -> timedelta:
    """How often the feed wants to be asked for: its own word, else the server's, within limits."""
    return min(max(_own_word(feed) or fetched.max_age or USUAL, SHORTEST), LONGEST)


def _own_word(feed: Feed) -> timedelta | None:
    try:
        wanted = duration(feed.refresh_interval)
    except Unreadable:  # or none at all
        return None
    return timedelta(days=wanted.days, seconds=wanted.seconds)
