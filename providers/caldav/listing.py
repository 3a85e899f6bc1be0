"""Listing a calendar: what changed since a cursor, or everything there is.

A cursor says by itself how it is to be used, for nothing is remembered between calls: `sync:` with
a token (RFC 6578) where the server is honest about it, else `ctag:` with the calendar's own tag, or
`digest:` with one of our own over all versions.

Everything is always listed by PROPFIND and never by a first sync-collection: several servers cut
that short without a word, and their token then skips the rest for ever. The token is asked for
before. A run lists everything once a day (`providers.sync`), which is what finds a change that a
server's tokens have hidden.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from providers.base import EventQuery, InvalidEvent, RemoteObject
from providers.caldav import urls
from providers.caldav.collection import (
    GETETAG,
    Body,
    CalendarCollection,
    State,
    is_same_version,
)
from providers.caldav.multistatus import DAV, Members, calendar_query, propfind, sync_collection
from providers.caldav.presets import oddities_of
from providers.caldav.session import LISTING_BYTES
from providers.errors import AnswerTooLarge, CursorExpired, InvalidResponse

_TYPE, _KIND = f"{DAV}getcontenttype", f"{DAV}resourcetype"
_SYNC, _CTAG, _DIGEST = "sync", "ctag", "digest"
# How servers refuse a token: RFC 6578 section 3.2 says 403 or 409; Xandikos says 412,
# CalendarServer 500, others what they like.
_BAD_TOKEN = frozenset({400, 403, 405, 409, 410, 412, 415, 422, 500, 501, 507})
# An object is one event, or a series with its exceptions.
_LARGEST = 1024 * 1024

Reader = Callable[[str, Body], RemoteObject | InvalidEvent]


@dataclass(kw_only=True)
class Page:
    """A `providers.base.ObjectPage`. `reader` makes a Reader of the calendar's time zone."""

    collection: CalendarCollection
    reader: Callable[[str], Reader]
    versions: Mapping[str, str] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    next_page_token: str = ""
    next_cursor: str = ""
    complete: bool = False
    poll_after: timedelta | None = None  # CalDAV has no way to say it
    state: State | None = None

    def read(self, ids: Collection[str]) -> tuple[list[RemoteObject], list[InvalidEvent]]:
        """Asks the server for their bodies."""
        wanted = list(dict.fromkeys(ids))
        if not wanted:
            return [], []
        if self.state is None:
            self.state = self.collection.state()
        read = self.reader(self.state.time_zone)
        objects: list[RemoteObject] = []
        invalid: list[InvalidEvent] = []
        for object_id, body in self.collection.bodies(wanted).items():
            result = self._read(read, object_id, body)
            if isinstance(result, InvalidEvent):
                invalid.append(result)
            else:
                objects.append(result)
        return objects, invalid

    def _read(self, read: Reader, object_id: str, body: Body | None) -> RemoteObject | InvalidEvent:
        if body is None or len(body.text) > _LARGEST:
            return InvalidEvent(object_id, "it is larger than 1 MB")
        listed = self.versions.get(object_id, "")
        if is_same_version(listed, body.etag):
            # One spelling, or the next listing would take it for a change.
            body = Body(body.href, listed, body.text)
        return read(object_id, body)


def list_page(
    collection: CalendarCollection, query: EventQuery, reader: Callable[[str], Reader]
) -> Page:
    """The page of this query. Raises CursorExpired, and as CalendarCollection does."""
    way, _, mark = (query.page_token or query.cursor).partition(":")
    if way == _SYNC and query.cursor:
        return _changes(collection, mark, reader)
    if query.page_token or way not in {"", _CTAG, _DIGEST}:
        raise CursorExpired("The cursor is not one of ours.")
    state = collection.state()
    if way == _CTAG and mark and mark == state.ctag:
        return Page(collection=collection, reader=reader, state=state, next_cursor=query.cursor)
    versions = _versions(collection, query)
    cursor = _cursor(collection, state, versions)
    if way == _DIGEST and cursor == query.cursor:
        return Page(collection=collection, reader=reader, state=state, next_cursor=cursor)
    return Page(
        collection=collection,
        reader=reader,
        state=state,
        versions=versions,
        next_cursor=cursor,
        complete=bool(query.cursor),
    )


def _cursor(collection: CalendarCollection, state: State, versions: Mapping[str, str]) -> str:
    if state.sync_token and oddities_of(collection.url).sync_tokens:
        return f"{_SYNC}:{state.sync_token}"
    if state.ctag:
        return f"{_CTAG}:{state.ctag}"
    if not all(versions.values()):
        # What has no version may have changed: each listing names it again.
        return f"{_DIGEST}:{datetime.now(UTC).isoformat()}"
    lines = "\n".join(f"{key} {versions[key]}" for key in sorted(versions))
    return f"{_DIGEST}:{hashlib.sha256(lines.encode()).hexdigest()}"


def _versions(collection: CalendarCollection, query: EventQuery) -> dict[str, str]:
    """All objects of the calendar; of one with too many to list, those in the window."""
    session, url = collection.session, collection.url
    try:
        answer = session.ask(
            "PROPFIND",
            url,
            propfind([GETETAG, _KIND, _TYPE]),
            depth="1",
            max_bytes=LISTING_BYTES,
        )
    except AnswerTooLarge:
        pass
    else:
        if answer.status not in {413, 507}:
            return _objects(collection, answer.members())
    ends = (_utc(query.window.start), _utc(query.window.end))
    answer = session.ask("REPORT", url, calendar_query(*ends), depth="1", max_bytes=LISTING_BYTES)
    return _objects(collection, answer.members())


def _objects(collection: CalendarCollection, found: Members) -> dict[str, str]:
    versions: dict[str, str] = {}
    for member in found:
        if member.status or collection.is_itself(found.url, member.href):
            continue
        kind = member.text(_TYPE).partition(";")[0].strip().lower()
        is_event = kind in {"", "text/calendar"} or member.href.lower().endswith(".ics")
        if is_event and f"{DAV}collection" not in member.names(_KIND):
            versions[urls.path_of(found.url, member.href)] = member.text(GETETAG)
    return versions


def _changes(collection: CalendarCollection, token: str, reader: Callable[[str], Reader]) -> Page:
    """What changed since a token: one page of it, where the server makes pages."""
    try:
        answer = collection.session.ask(
            "REPORT",
            collection.url,
            sync_collection(token),
            depth="0",
            max_bytes=LISTING_BYTES,
        )
    except (AnswerTooLarge, ValueError):  # no XML holds this token
        raise CursorExpired("The server's changes cannot be asked for.") from None
    if answer.status in _BAD_TOKEN:
        raise CursorExpired(f"The server answered HTTP {answer.status} to its sync token.")
    found = answer.members()
    collection.url = found.url
    try:
        versions, removed, more = _sorted(collection, found)
    except InvalidResponse:
        raise CursorExpired("The server's changes cannot be read.") from None
    if not found.sync_token or (more and found.sync_token == token):
        raise CursorExpired("The server's changes do not say where they end.")
    following = f"{_SYNC}:{found.sync_token}"
    return Page(
        collection=collection,
        reader=reader,
        versions=versions,
        removed=tuple(removed),
        next_page_token=following if more else "",
        next_cursor="" if more else following,
    )


def _sorted(
    collection: CalendarCollection, found: Members
) -> tuple[dict[str, str], list[str], bool]:
    """The living with their versions, the removed, and whether there is more (RFC 6578, 3.6)."""
    versions: dict[str, str] = {}
    removed: dict[str, None] = {}
    more = False
    for member in found:
        path = urls.path_of(found.url, member.href)
        if collection.is_itself(found.url, member.href):
            more = more or member.status == 507
        elif member.status in {404, 410}:
            versions.pop(path, None)
            removed[path] = None
        elif not member.status and not path.endswith("/"):
            removed.pop(path, None)
            versions[path] = member.text(GETETAG)
    return versions, list(removed), more


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
