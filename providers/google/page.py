"""One page of `events.list`, read as far as it is asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property

import msgspec

from providers.base import EventQuery, InvalidEvent, RemoteEvent, Window
from providers.errors import InvalidResponse
from providers.google.events import to_remote
from providers.google.times import Unreadable
from providers.google.wire import Event, EventHead, EventsPage
from providers.http import clean_text, decode_json
from providers.items import MALFORMED, is_too_large, loose_fields, mended, read_heads, text_in

_head = msgspec.json.Decoder(EventHead).decode
_event = msgspec.json.Decoder(Event).decode


class Page:
    """A `providers.base.EventPage` of Google. Raises InvalidResponse when `body` is none.

    Nothing but the tokens is decoded at first, so that the next page can be asked for at once. Of a
    full listing, ids and versions are enough until `read()`; of an incremental one everything is
    decoded to tell what left: Google may name events outside of the window then (the query cannot
    carry it beside a sync token).
    """

    def __init__(self, body: bytes, query: EventQuery) -> None:
        listing = decode_json(body, EventsPage)
        self.next_page_token = listing.next_page_token
        self.next_cursor = "" if listing.next_page_token else listing.next_sync_token
        if not (self.next_page_token or self.next_cursor):
            raise InvalidResponse("Google's page has neither a page token nor a sync token.")
        self._items = listing.items
        self._window = query.window if query.cursor else None
        self._calendar_zone = listing.time_zone
        self._hides_details = listing.access_role == "freeBusyReader"
        self._known: dict[str, RemoteEvent | InvalidEvent] = {}
        self._nameless: list[InvalidEvent] = []

    @property
    def ids(self) -> Collection[str]:
        return self._heads.keys()

    @property
    def versions(self) -> Mapping[str, str]:
        return self._sorted[0]

    @property
    def removed(self) -> tuple[str, ...]:
        return self._sorted[1]

    @cached_property
    def _heads(self) -> dict[str, tuple[EventHead, msgspec.Raw]]:
        heads, self._nameless = read_heads(self._items, read=_head, rescue=_rescued_head)
        return heads

    @cached_property
    def _sorted(self) -> tuple[dict[str, str], tuple[str, ...]]:
        versions: dict[str, str] = {}
        removed = []
        for key, (head, raw) in self._heads.items():
            if self._is_gone(head, raw, self._window):
                removed.append(key)
            else:
                versions[key] = head.etag
        return versions, tuple(removed)

    def read(self, ids: Collection[str]) -> tuple[list[RemoteEvent], list[InvalidEvent]]:
        """The events with these ids, and those that could not be understood. Events without an id
        are among the latter, whatever is asked for.
        """
        wanted = [name for name in dict.fromkeys(ids) if name in self.versions]
        results = [
            self._known.get(name) or self._converted(self._heads[name][1]) for name in wanted
        ]
        events = [result for result in results if isinstance(result, RemoteEvent)]
        invalid = [result for result in results if isinstance(result, InvalidEvent)]
        return events, invalid + self._nameless

    def _is_gone(self, head: EventHead, raw: msgspec.Raw, window: Window | None) -> bool:
        """Whether an event is not to be kept: deleted, or outside of the window."""
        cancelled = head.status == "cancelled"
        if cancelled and not head.recurring_event_id:
            return True
        if not cancelled and window is None:
            return False
        result = self._known[head.id] = self._converted(raw)
        if isinstance(result, InvalidEvent):
            # A cancelled occurrence that does not even say when it was takes no time away.
            return cancelled
        return window is not None and not (
            result.end_at > window.start and result.start_at < window.end
        )

    def _converted(self, raw: msgspec.Raw) -> RemoteEvent | InvalidEvent:
        try:
            event = _event(raw)
        except MALFORMED:
            rescued = _rescued(raw)
            if isinstance(rescued, InvalidEvent):
                return rescued
            event = rescued
        try:
            remote = to_remote(
                event, calendar_zone=self._calendar_zone, hides_details=self._hides_details
            )
        except Unreadable as error:
            return InvalidEvent(event.id, str(error))
        if is_too_large(raw, remote):
            return InvalidEvent(event.id, "it is larger than 1 MB")
        return remote


def _rescued(raw: msgspec.Raw) -> Event | InvalidEvent:
    try:
        return mended(raw, Event)
    except MALFORMED as error:
        return InvalidEvent(_rescued_head(raw).id, clean_text(error, 200))


def _rescued_head(raw: msgspec.Raw) -> EventHead:
    """What can be read of the identity; an empty id when nothing can."""
    loose = loose_fields(raw)
    return EventHead(
        *(text_in(loose, name) for name in ("etag", "id", "status", "recurringEventId"))
    )
