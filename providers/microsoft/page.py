"""One page of `calendarView/delta`, read as far as it is asked for.

A series comes as its occurrences and, once, as its master. An occurrence can come with nothing but
its identity and its times; all that it does not say is the master's:
https://learn.microsoft.com/graph/delta-query-events
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from hashlib import blake2b

import msgspec

from providers.base import EventQuery, InvalidEvent, RemoteEvent
from providers.errors import InvalidResponse
from providers.http import clean_text, decode_json
from providers.items import MALFORMED, is_too_large, loose_fields, mended, read_heads, text_in
from providers.microsoft.events import to_remote
from providers.microsoft.text import text_of
from providers.microsoft.times import Unreadable
from providers.microsoft.wire import Body, Event, EventHead, EventsPage

Fields = dict[str, msgspec.Raw]

_head = msgspec.json.Decoder(EventHead).decode
_event = msgspec.json.Decoder(Event).decode
_fields = msgspec.json.Decoder(Fields).decode
_encode = msgspec.json.Encoder().encode
# What an occurrence never has of its series: who and when it is itself.
_OWN = frozenset(
    {
        "@odata.etag", "id", "changeKey", "type", "seriesMasterId", "originalStart",
        "start", "end", "isCancelled", "transactionId",
    }
)  # fmt: skip
# Of these the master's counts, whatever the occurrence says: `iCalUId` of an occurrence is one that
# nobody else knows, the series' is that of RFC 5545.
_OF_SERIES = ("iCalUId", "recurrence")
# What changes with every occurrence that changes, and says nothing about the others.
_RESTLESS = frozenset({"lastModifiedDateTime", "@odata.context"})
_KNOWN = frozenset(field.encode_name for field in msgspec.structs.fields(Event))
_OCCURRENCES = frozenset({"occurrence", "exception"})


class Page:
    """A `providers.base.EventPage` of Graph. Raises InvalidResponse when `body` is none.

    The heads are decoded at once, to tell of which series the masters are absent: `add_masters`
    takes those before anything else is asked. An occurrence whose master is gone is gone.

    The version of an occurrence is Graph's etag, its own or its master's, which a write is made
    conditional on, and a digest of what it says and of what its master adds: some occurrences have
    no etag, and one that has does not tell what its master says now.
    """

    def __init__(self, body: bytes, query: EventQuery) -> None:
        listing = decode_json(body, EventsPage)
        self.next_page_token = listing.next_link
        self.next_cursor = "" if listing.next_link else listing.delta_link
        if not (self.next_page_token or self.next_cursor):
            raise InvalidResponse("Graph's page has neither a next link nor a delta link.")
        self._window = query.window if query.cursor else None
        self._masters: dict[str, _Master] = {}
        self._known: dict[str, RemoteEvent | InvalidEvent] = {}
        self._heads, self._nameless = read_heads(listing.value, read=_head, rescue=_rescued_head)
        for head, raw in self._heads.values():
            if head.type == "seriesMaster" and head.removed is msgspec.UNSET:
                self.add_masters({head.id: bytes(raw)})

    @property
    def absent_masters(self) -> list[str]:
        """Ids of series whose occurrences are here, and whose masters are not."""
        wanted = (
            head.series_master_id
            for head, _ in self._heads.values()
            if _is_occurrence(head) and head.removed is msgspec.UNSET
        )
        return [key for key in dict.fromkeys(wanted) if key and key not in self._masters]

    def add_masters(self, found: Mapping[str, bytes]) -> None:
        """Take these masters, by their ids. One that cannot be read adds nothing."""
        for key, body in found.items():
            self._masters[key] = _Master(body)

    @property
    def ids(self) -> Collection[str]:
        return self._heads.keys()

    @property
    def versions(self) -> Mapping[str, str]:
        return self._sorted[0]

    @property
    def removed(self) -> tuple[str, ...]:
        return self._sorted[1]

    def read(self, ids: Collection[str]) -> tuple[list[RemoteEvent], list[InvalidEvent]]:
        """The events with these ids, and those that could not be understood. Events without an id
        are among the latter, whatever is asked for.
        """
        wanted = [name for name in dict.fromkeys(ids) if name in self.versions]
        results = [self._known.get(name) or self._converted(name) for name in wanted]
        events = [result for result in results if isinstance(result, RemoteEvent)]
        invalid = [result for result in results if isinstance(result, InvalidEvent)]
        return events, invalid + self._nameless

    @cached_property
    def _sorted(self) -> tuple[dict[str, str], tuple[str, ...]]:
        versions: dict[str, str] = {}
        removed = []
        for key, (head, raw) in self._heads.items():
            version = self._version(head, raw)
            if not version or self._has_left(key, version):
                removed.append(key)
            else:
                versions[key] = version
        return versions, tuple(removed)

    def _version(self, head: EventHead, raw: msgspec.Raw) -> str:
        """What tells whether an event has changed; empty for one that is gone. A series is no event
        itself, and may have been one before it was repeated.
        """
        if head.removed is not msgspec.UNSET or head.type == "seriesMaster":
            return ""
        if not _is_occurrence(head):
            return head.etag or head.change_key or _digest(bytes(raw))
        master = self._masters.get(head.series_master_id or "")
        if master is None:
            return ""
        return f"{head.etag or master.etag} {_digest(master.version + bytes(raw))}".lstrip()

    def _has_left(self, key: str, version: str) -> bool:
        """Whether an event of an incremental page is outside of the window, which moves on while
        the one that the link was made for does not.
        """
        if self._window is None:
            return False
        result = self._known[key] = self._converted(key, version)
        if isinstance(result, InvalidEvent):
            return False
        return not (result.end_at > self._window.start and result.start_at < self._window.end)

    def _converted(self, key: str, version: str = "") -> RemoteEvent | InvalidEvent:
        head, raw = self._heads[key]
        master = self._masters.get(head.series_master_id or "") if _is_occurrence(head) else None
        try:
            event = _event(_encode(master.merged(_fields(raw))) if master else raw)
        except MALFORMED:
            rescued = _rescued(raw, master)
            if isinstance(rescued, InvalidEvent):
                return rescued
            event = rescued
        try:
            remote = to_remote(event, version=version or self.versions[key])
        except Unreadable as error:
            return InvalidEvent(key, str(error))
        if is_too_large(raw, remote):
            return InvalidEvent(key, "it is larger than 1 MB")
        return remote


class _Master:
    """What a series adds to its occurrences. `version` changes when any of it does."""

    def __init__(self, body: bytes) -> None:
        try:
            fields = _fields(body)
        except MALFORMED:
            fields = _rescued_fields(body)
        self.etag = _text(fields.get("@odata.etag"))
        self._given = {name: fields[name] for name in sorted(_KNOWN & fields.keys() - _OWN)}
        told = {name: value for name, value in self._given.items() if name not in _RESTLESS}
        self.version = blake2b(_encode(told), digest_size=16).digest()

    def merged(self, own: Fields) -> Fields:
        """The fields of an occurrence, and those that it does not say itself."""
        given = self._readable
        return {**given, **own, **{name: given[name] for name in _OF_SERIES if name in given}}

    @cached_property
    def _readable(self) -> Fields:
        """With the body as text: it is read once, and not with each occurrence."""
        given = dict(self._given)
        if "body" in given:
            try:
                body = msgspec.json.decode(given["body"], type=Body | None)
                text = _encode(Body(content_type="text", content=text_of(body)))
            except MALFORMED:
                text = b"null"
            given["body"] = msgspec.Raw(text)
        return given


def _text(raw: msgspec.Raw | None) -> str:
    try:
        return msgspec.json.decode(raw or b'""', type=str)
    except MALFORMED:
        return ""


def _is_occurrence(head: EventHead) -> bool:
    return head.type in _OCCURRENCES or (head.type is None and bool(head.series_master_id))


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()


def _rescued(raw: msgspec.Raw, master: _Master | None) -> Event | InvalidEvent:
    fields = _rescued_fields(bytes(raw))
    try:
        return mended(_encode(master.merged(fields) if master else fields), Event)
    except MALFORMED as error:
        return InvalidEvent(_rescued_head(raw).id, clean_text(error, 200))


def _rescued_head(raw: msgspec.Raw) -> EventHead:
    """What can be read of the identity; an empty id when nothing can."""
    loose = loose_fields(raw)
    return EventHead(
        etag=text_in(loose, "@odata.etag"),
        id=text_in(loose, "id"),
        change_key=text_in(loose, "changeKey"),
        series_master_id=text_in(loose, "seriesMasterId"),
        type=text_in(loose, "type") or None,
        removed=msgspec.Raw(b"{}") if "@removed" in loose else msgspec.UNSET,
    )


def _rescued_fields(body: bytes) -> Fields:
    return {name: msgspec.Raw(_encode(value)) for name, value in loose_fields(body).items()}
