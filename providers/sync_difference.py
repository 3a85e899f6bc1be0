"""What a page of a listing changes, compared with what is stored."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from calendars.models import Event
from calendars.upsert import CHUNK
from providers.base import EventPage, InvalidEvent, RemoteEvent

_NEW = ("", "")


class Difference:
    """A page, and `known`: (etag, status) of those of its events that are stored, by id.

    `changed` are the ids to read and write, `unchanged` the other listed ones, `versions` the
    etags of both. `invalid` is complete when `events()` was read to its end.
    """

    def __init__(self, page: EventPage, known: Mapping[str, tuple[str, str]]) -> None:
        self.versions = versions = page.versions
        self.listed = len(versions)
        # Without an etag nobody can tell.
        self.changed = [
            key for key, etag in versions.items() if not etag or known.get(key, _NEW)[0] != etag
        ]
        different = len(self.changed) < self.listed
        self.unchanged = list(versions.keys() - set(self.changed)) if different else []
        self.removed = page.removed
        self.next_page_token = page.next_page_token
        self.next_cursor = page.next_cursor
        self.invalid: list[InvalidEvent] = []
        self._page: EventPage | None = page
        self._known = known
        self._loaded: list[RemoteEvent] = []

    def load(self) -> None:
        """Decode the changed events now, and let go of the page, which is megabytes of text."""
        self._loaded = list(self.events())
        self._page = None

    def events(self) -> Iterator[RemoteEvent]:
        """The changed events; unless they are loaded, each batch is decoded when it is due."""
        if self._page is None:
            yield from self._loaded
            return
        self.invalid = []
        for begin in range(0, len(self.changed), CHUNK):
            events, invalid = self._page.read(self.changed[begin : begin + CHUNK])
            # What has no id at all is told with each batch.
            self.invalid += [event for event in invalid if event.id or begin == 0]
            yield from events

    def balance(self, refused: Collection[str] = ()) -> int:
        """By how many the living events become more, once all but the refused are written.

        The events must be loaded.
        """
        written = {event.id: event for event in self._loaded if event.id not in set(refused)}
        alive = sum(event.status != Event.Status.CANCELLED for event in written.values())
        touched = (written.keys() | set(self.removed)) & self._known.keys()
        return alive - sum(self._known[key][1] != Event.Status.CANCELLED for key in touched)
