"""Writing what a provider lists: many rows a statement, and only rows that differ.

All functions belong inside a transaction of the caller's, who makes sure (by the lease of
`providers.scheduler`) that nobody else writes the same source meanwhile.

PostgreSQL gets each chunk as one `INSERT … SELECT FROM unnest(…) ON CONFLICT` with one array a
column, on psycopg's own cursor: Django's cursor would write every value into the statement's text,
and `bulk_create` builds a model and an expression per value. SQLite gets the same statement by
`executemany`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from itertools import islice
from operator import attrgetter
from typing import Any, Protocol, TypeVar

import msgspec
from django.db import DataError, IntegrityError, OperationalError, connection, transaction
from django.utils import timezone

from calendars.models import Event

# Measured: smaller ones cost more statements, larger ones leave the server waiting for the first.
CHUNK = 500

# What the database says of a value that it does not take; `is_refusal` has the last word.
REFUSALS = (DataError, IntegrityError, UnicodeEncodeError, OperationalError)
# program_limit_exceeded, such as an id that is too long for its index: an OperationalError, among
# them lost connections and deadlocks, which are nothing of the row's.
_TOO_LARGE = "54000"

T = TypeVar("T")


class EventRow(Protocol):
    """An event as a provider tells it; `providers.base.RemoteEvent` says what each field means."""

    @property
    def id(self) -> str: ...
    @property
    def etag(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def start_at(self) -> datetime: ...
    @property
    def end_at(self) -> datetime: ...
    @property
    def all_day(self) -> bool: ...
    @property
    def start_date(self) -> date | None: ...
    @property
    def end_date(self) -> date | None: ...
    @property
    def time_zone(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def location(self) -> str: ...
    @property
    def busy(self) -> bool: ...
    @property
    def visibility(self) -> str: ...
    @property
    def event_type(self) -> str: ...
    @property
    def ical_uid(self) -> str: ...
    @property
    def series_id(self) -> str: ...
    @property
    def original_start(self) -> str: ...
    @property
    def organizer_email(self) -> str: ...
    @property
    def meeting_url(self) -> str: ...
    @property
    def attendees(self) -> Sequence[object]: ...
    @property
    def details(self) -> Mapping[str, Any]: ...
    @property
    def remote_updated_at(self) -> datetime | None: ...


# column → (attribute of the row, PostgreSQL type)
_COLUMNS = {
    "external_id": ("id", "text"),
    "etag": ("etag", "text"),
    "status": ("status", "text"),
    "type": ("event_type", "text"),
    "title": ("title", "text"),
    "description": ("description", "text"),
    "location": ("location", "text"),
    "start_at": ("start_at", "timestamptz"),
    "end_at": ("end_at", "timestamptz"),
    "all_day": ("all_day", "bool"),
    "start_date": ("start_date", "date"),
    "end_date": ("end_date", "date"),
    "time_zone": ("time_zone", "text"),
    "busy": ("busy", "bool"),
    "visibility": ("visibility", "text"),
    "ical_uid": ("ical_uid", "text"),
    "series_id": ("series_id", "text"),
    "original_start": ("original_start", "text"),
    "organizer_email": ("organizer_email", "text"),
    "meeting_url": ("meeting_url", "text"),
    "attendees": ("attendees", "jsonb"),
    "details": ("details", "jsonb"),
    "remote_updated_at": ("remote_updated_at", "timestamptz"),
}
# The same for every row of a statement. `created_at` stays as it was when the row is there.
_COMMON = ("calendar_id", "source_id", "listing", "updated_at", "created_at")
_IDENTITY = ("external_id", "calendar_id", "source_id", "created_at")
_read = attrgetter(*(attribute for attribute, _ in _COLUMNS.values()))
_encode = msgspec.json.Encoder().encode
_TABLE = Event._meta.db_table
_KNOWN = (
    f"SELECT external_id, etag, status FROM {_TABLE}"
    " WHERE source_id = %b AND external_id = ANY(%b::text[])"
)
# A cancelled occurrence comes with little more than its identity: a row that is there keeps what
# it says, and turns cancelled.
_SET_LIVE = tuple(name for name in (*_COLUMNS, *_COMMON) if name not in _IDENTITY)
_SET_CANCELLED = ("etag", "status", "listing", "updated_at")


def known_versions(
    *, source_id: uuid.UUID, ids: Iterable[str], meanwhile: Callable[[], object] = lambda: None
) -> dict[str, tuple[str, str]]:
    """(etag, status) of those of a source's events that are stored, by external id.

    `meanwhile` is called, once, while the database looks them up.
    """
    known: dict[str, tuple[str, str]] = {}
    if connection.vendor == "postgresql":
        with connection.wrap_database_errors, _psycopg_cursor() as cursor:
            with cursor.connection.pipeline():
                cursor.execute(_KNOWN, (source_id, list(ids)))
                meanwhile()
            for external_id, etag, status in cursor:
                known[external_id] = etag, status
        return known
    meanwhile()
    events = Event.objects.filter(source_id=source_id)
    for chunk in _chunks(ids):
        rows = events.filter(external_id__in=chunk).values_list("external_id", "etag", "status")
        known.update((external_id, (etag, status)) for external_id, etag, status in rows)
    return known


def write_events(
    *, calendar_id: uuid.UUID, source_id: uuid.UUID, listing: int, events: Iterable[EventRow]
) -> int:
    """Insert or update events; returns how many rows changed. Of a repeated id the last counts.

    `events` are consumed as they are written. A row whose etag is the same is not rewritten, unless
    the provider gives no etags. `listing` is noted on each written row, for the sweep. Raises
    one of REFUSALS when a value does not fit its column: if it `is_refusal`, `write_events_singly`
    finds out which.
    """
    now = timezone.now()
    common = (calendar_id, source_id, listing, now, now)
    write = _write_postgresql if connection.vendor == "postgresql" else _write_sqlite
    with connection.wrap_database_errors:
        return write(_batches(events), common)


def write_events_singly(
    *, calendar_id: uuid.UUID, source_id: uuid.UUID, listing: int, events: Iterable[EventRow]
) -> tuple[int, list[str]]:
    """As `write_events`, row by row: how many changed, and the ids the database would not take."""
    changed = 0
    refused: list[str] = []
    for event in events:
        try:
            with transaction.atomic():
                changed += write_events(
                    calendar_id=calendar_id, source_id=source_id, listing=listing, events=[event]
                )
        except REFUSALS as error:
            if not is_refusal(error):
                raise
            refused.append(event.id)
    return changed, refused


def is_refusal(error: BaseException) -> bool:
    """Whether the database refuses what a row says; else it is the database that is in trouble."""
    if isinstance(error, OperationalError):
        return getattr(error.__cause__, "sqlstate", None) == _TOO_LARGE
    return isinstance(error, REFUSALS)


def remove_events(*, source_id: uuid.UUID, ids: Iterable[str]) -> int:
    """Delete a source's events by external id; returns how many there were."""
    removed = 0
    for chunk in _chunks(ids):
        removed += Event.objects.filter(source_id=source_id, external_id__in=chunk).delete()[0]
    return removed


def _batches(events: Iterable[EventRow]) -> Iterator[tuple[list[EventRow], tuple[str, ...]]]:
    """Rows for one statement each, no id twice in one, and the columns it updates."""
    for chunk in _chunks(events):
        latest = {event.id: event for event in chunk}.values()
        live = [event for event in latest if event.status != Event.Status.CANCELLED]
        if live:
            yield live, _SET_LIVE
        if len(live) < len(latest):
            cancelled = [event for event in latest if event.status == Event.Status.CANCELLED]
            yield cancelled, _SET_CANCELLED


def _write_postgresql(
    batches: Iterable[tuple[list[EventRow], tuple[str, ...]]], common: tuple[Any, ...]
) -> int:
    cursors = []
    # While the server executes one statement, the events of the next are read and encoded.
    with _psycopg_cursor().connection.pipeline():
        for events, updated in batches:
            columns = dict(zip(_COLUMNS, zip(*map(_read, events), strict=True), strict=True))
            for name in ("attendees", "details"):
                columns[name] = tuple(_encode(value).decode() for value in columns[name])
            parameters = (*common, *map(list, columns.values()))
            statement = _postgresql_statement(updated)
            cursors.append(_psycopg_cursor().execute(statement, parameters))
    return sum(cursor.rowcount for cursor in cursors)


def _write_sqlite(
    batches: Iterable[tuple[list[EventRow], tuple[str, ...]]], common: tuple[Any, ...]
) -> int:
    calendar_id, source_id, listing, *times = common
    start = (calendar_id.hex, source_id.hex, listing, *map(_sqlite_value, times))
    changed = 0
    with connection.cursor() as cursor:
        for events, updated in batches:
            rows = [
                (uuid.uuid4().hex, *start, *(_sqlite_value(value) for value in _read(event)))
                for event in events
            ]
            cursor.executemany(_sqlite_statement(updated), rows)
            changed += cursor.rowcount
    return changed


def _sqlite_value(value: Any) -> Any:
    """A value as Django's own fields store it there."""
    if isinstance(value, str | bool) or value is None:
        return value
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    if isinstance(value, date):
        return value.isoformat()
    return _encode(value).decode()


@cache
def _postgresql_statement(updated: tuple[str, ...]) -> str:
    # Binary parameters (%b): arrays of text are dumped without looking for what to escape.
    arrays = ", ".join(
        f"%b::{'text' if type_ == 'jsonb' else type_}[]" for _, type_ in _COLUMNS.values()
    )
    values = ", ".join(
        f"fresh.{name}::jsonb" if type_ == "jsonb" else f"fresh.{name}"
        for name, (_, type_) in _COLUMNS.items()
    )
    common = "%b::uuid, %b::uuid, %b::bigint, %b::timestamptz, %b::timestamptz"
    return (
        f"INSERT INTO {_TABLE} AS event (id, {', '.join((*_COMMON, *_COLUMNS))})"
        f" SELECT gen_random_uuid(), {common}, {values}"
        f" FROM unnest({arrays}) AS fresh({', '.join(_COLUMNS)}) {_on_conflict(updated)}"
    )


@cache
def _sqlite_statement(updated: tuple[str, ...]) -> str:
    names = ("id", *_COMMON, *_COLUMNS)
    return (
        f"INSERT INTO {_TABLE} AS event ({', '.join(names)})"
        f" VALUES ({', '.join(['%s'] * len(names))}) {_on_conflict(updated)}"
    )


def _on_conflict(updated: Sequence[str]) -> str:
    assignments = ", ".join(f"{name} = excluded.{name}" for name in updated)
    return (
        f"ON CONFLICT (source_id, external_id) DO UPDATE SET {assignments}"
        " WHERE event.etag <> excluded.etag OR excluded.etag = ''"
    )


def _psycopg_cursor() -> Any:
    """psycopg's own cursor on Django's connection, thus inside its transaction."""
    import psycopg  # only where PostgreSQL is used

    connection.ensure_connection()
    return psycopg.Cursor(connection.connection)


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
