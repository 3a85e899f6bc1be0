"""The floor: the least code that does the same to the same pages and the same table.

F1 fetches pages with urllib3 and decodes them into typed Structs. F2 also copies each page, in
binary, into a temporary stage, and upserts it from there into the events table: one commit a page.
No leases, no errors, no time-outs, no comparison, no token refresh, no Django.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import psycopg
import urllib3

from providers.base import RemoteEvent
from providers.google.wire import EVENT_FIELDS


class Base(msgspec.Struct, rename="camel", gc=False):
    """What is absent has the default."""


class Moment(Base):
    date: dt.date | None = None
    date_time: dt.datetime | None = None
    time_zone: str = ""


class Person(Base):
    email: str = ""
    self: bool = False


class Guest(Base, omit_defaults=True):
    email: str = ""
    display_name: str = ""
    organizer: bool = False
    self: bool = False
    response_status: str = ""


class Details(Base, omit_defaults=True):
    created: str = ""
    html_link: str = ""
    creator_email: str = ""
    organizer_self: bool = False


class Item(Base):
    """In the order in which the provider sends them: decoded fastest."""

    etag: str = ""
    id: str = ""
    status: str = ""
    html_link: str = ""
    created: str = ""
    updated: dt.datetime | None = None
    summary: str = ""
    description: str = ""
    location: str = ""
    creator: Person | None = None
    organizer: Person | None = None
    start: Moment | None = None
    end: Moment | None = None
    recurring_event_id: str = ""
    transparency: str = ""
    visibility: str = ""
    ical_uid: str = msgspec.field(default="", name="iCalUID")
    attendees: list[Guest] = []
    hangout_link: str = ""
    event_type: str = ""


class Listing(Base):
    items: list[Item] = []
    next_page_token: str = ""
    next_sync_token: str = ""


_decode = msgspec.json.Decoder(Listing).decode
_encode = msgspec.json.Encoder().encode

# The columns of the events table that a provider fills, as the stage has them.
STAGE = {
    "external_id": "text", "etag": "text", "status": "text", "type": "text", "title": "text",
    "description": "text", "location": "text", "start_at": "timestamptz", "end_at": "timestamptz",
    "all_day": "bool", "start_date": "date", "end_date": "date", "time_zone": "text",
    "busy": "bool", "visibility": "text", "ical_uid": "text", "series_id": "text",
    "original_start": "text", "organizer_email": "text", "meeting_url": "text",
    "attendees": "text", "details": "text", "remote_updated_at": "timestamptz",
}  # fmt: skip
_NAMES = ", ".join(STAGE)
_UPSERT = f"""
    INSERT INTO calendars_event
        (id, calendar_id, source_id, listing, created_at, updated_at, {_NAMES})
    SELECT gen_random_uuid(), %s, %s, 1, now(), now(),
        {_NAMES.replace("attendees", "attendees::jsonb").replace("details", "details::jsonb")}
    FROM stage
    ON CONFLICT (source_id, external_id) DO UPDATE SET
        {", ".join(f"{name} = excluded.{name}" for name in [*STAGE, "listing", "updated_at"])}
    WHERE calendars_event.etag IS DISTINCT FROM excluded.etag
"""
_read = attrgetter(
    "id", "etag", "status", "event_type", "title", "description", "location", "start_at", "end_at",
    "all_day", "start_date", "end_date", "time_zone", "busy", "visibility", "ical_uid", "series_id",
    "original_start", "organizer_email", "meeting_url",
)  # fmt: skip


class Remote:
    """The provider's listing of one calendar, over one kept connection: the adapter's requests."""

    def __init__(self, *, api_root: str, calendar_id: str, token: str) -> None:
        self._url = f"{api_root}/calendars/{quote(calendar_id, safe='')}/events"
        self._http = urllib3.PoolManager(maxsize=1, retries=False)
        self._headers = {"Authorization": f"Bearer {token}"}

    def bodies(self, *, start: dt.datetime, end: dt.datetime, cursor: str = "") -> Iterator[bytes]:
        """The pages as they come, one after the other."""
        if cursor:
            yield from self.changes(cursor)
        else:
            yield from self._pages({"timeMin": _rfc3339(start), "timeMax": _rfc3339(end)})

    def changes(self, cursor: str) -> Iterator[bytes]:
        """The pages of what has changed since."""
        return self._pages({"syncToken": cursor})

    def _pages(self, query: dict[str, str]) -> Iterator[bytes]:
        parameters = {"singleEvents": "true", "maxResults": "2500", "fields": EVENT_FIELDS} | query
        while True:
            answer = self._http.request(
                "GET", f"{self._url}?{urlencode(parameters, safe='(),:')}", headers=self._headers
            )
            assert answer.status == 200, answer.data[:500]
            yield answer.data
            token = _next_page_token(answer.data)
            if not token:
                return
            parameters["pageToken"] = token

    def listings(self, **query: Any) -> Iterator[Listing]:
        """The pages, decoded: F1."""
        return map(_decode, self.bodies(**query))


class Writer:
    """Pages into the events table: copied to a stage, upserted from there, committed."""

    def __init__(self, *, database: str, calendar_id: Any, source_id: Any) -> None:
        self._connection = psycopg.connect(database)
        self._keys = (calendar_id, source_id)
        columns = ", ".join(f"{name} {kind}" for name, kind in STAGE.items())
        self._connection.execute(f"CREATE TEMP TABLE stage ({columns}) ON COMMIT DELETE ROWS")
        self._connection.commit()

    def write(self, rows: Iterable[Sequence[Any]]) -> None:
        with self._connection.cursor() as cursor:
            with cursor.copy(f"COPY stage ({_NAMES}) FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(list(STAGE.values()))
                for row in rows:
                    copy.write_row(row)
            cursor.execute(_UPSERT, self._keys)
        self._connection.commit()

    def versions(self) -> dict[str, str]:
        """What the table has of the source, by external id."""
        query = "SELECT external_id, etag FROM calendars_event WHERE source_id = %s"
        found: dict[str, str] = dict(self._connection.execute(query, self._keys[1:]).fetchall())
        self._connection.commit()
        return found

    def close(self) -> None:
        self._connection.close()


def rows_of_items(items: Iterable[Item]) -> Iterator[tuple[Any, ...]]:
    """Decoded items as rows of the stage: timed events only, the account has no others."""
    for item in items:
        start, end = item.start, item.end
        assert start is not None
        assert end is not None
        details = Details(
            item.created,
            item.html_link,
            item.creator.email if item.creator else "",
            bool(item.organizer and item.organizer.self),
        )
        yield (
            item.id, item.etag, item.status, item.event_type, item.summary, item.description,
            item.location, start.date_time, end.date_time, False, None, None, start.time_zone,
            item.transparency != "transparent", item.visibility or "default", item.ical_uid,
            item.recurring_event_id, "", item.organizer.email if item.organizer else "",
            item.hangout_link, _encode(item.attendees).decode(), _encode(details).decode(),
            item.updated,
        )  # fmt: skip


def rows_of_events(events: Iterable[RemoteEvent]) -> Iterator[tuple[Any, ...]]:
    """The product's own events as rows of the stage, for the writers' comparison."""
    for event in events:
        yield (
            *_read(event),
            _encode(event.attendees).decode(),
            _encode(event.details).decode(),
            event.remote_updated_at,
        )


def _rfc3339(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _next_page_token(body: bytes) -> str:
    return msgspec.json.decode(body, type=_Tokens).next_page_token


class _Tokens(Base):
    next_page_token: str = ""
