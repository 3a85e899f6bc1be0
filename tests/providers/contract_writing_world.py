"""What the contract of writing is tested with: an account that may write, drafts, lost answers."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, cast

import pytest

from providers.base import Access, EventQuery, Http, Provider, RemoteEvent, RemoteObject, Response
from providers.errors import AnswerLost
from providers.writing import EventChanges, EventDraft, WritesEvents, WrittenEvent
from tests.providers.contract_world import HOUR, MONDAY, WINDOW, ZONE, utc


class WritingWorld(ABC):
    """An account that may write in its calendar, and its owner's hands."""

    provider: Provider
    http: Http
    access: Access
    calendar_id: str

    @abstractmethod
    def read_only_calendar(self) -> tuple[str, str]:
        """A calendar that the account may read and not write, and an event's id in it."""

    @abstractmethod
    def rename(self, event_id: str, title: str) -> None: ...

    @abstractmethod
    def delete(self, event_id: str) -> None: ...

    @abstractmethod
    def answer(self, event_id: str, email: str, response: str) -> None:
        """A guest answers the invitation."""

    @abstractmethod
    def told(self) -> bool:
        """Whether the last write let the provider tell the attendees."""

    @abstractmethod
    def trouble(self, kind: str, target: str = "events") -> None:
        """The next request about events fails so: `rate_limited`, `server_error`, `quota`."""

    def meetings_take_time(self) -> None:
        """From now on a meeting link is not there at once."""
        pytest.skip("meeting links of this provider are there at once")

    def meetings_are_made(self) -> None:
        """Those that were waited for are there."""
        raise NotImplementedError

    @property
    def writer(self) -> WritesEvents:
        return cast("WritesEvents", self.provider)

    def create(self, draft: EventDraft, *, notify: bool = False) -> WrittenEvent:
        given = self.http, self.access, self.calendar_id, draft
        return self.writer.create_event(*given, notify=notify)

    def read(self, event_id: str) -> WrittenEvent:
        return self.writer.read_written(self.http, self.access, self.calendar_id, event_id)

    def change(
        self, event: WrittenEvent | RemoteEvent, *, notify: bool = False, **changes: Any
    ) -> WrittenEvent:
        given = self.http, self.access, self.calendar_id, event.id, EventChanges(**changes)
        return self.writer.change_event(*given, etag=event.etag, notify=notify)

    def remove(self, event_id: str, *, etag: str = "", notify: bool = False) -> None:
        given = self.http, self.access, self.calendar_id, event_id
        self.writer.delete_event(*given, etag=etag, notify=notify)

    def listed(self) -> list[RemoteEvent]:
        """The occurrences that take place, by their start."""
        events: list[RemoteEvent] = []
        page_token = ""
        while True:
            query = EventQuery(self.calendar_id, WINDOW, "", page_token)
            page: Any = self.provider.fetch_events(self.http, self.access, query)
            found, invalid = page.read(page.versions)
            assert invalid == []
            for each in found:
                events += each.events if isinstance(each, RemoteObject) else (each,)
            if not (page_token := page.next_page_token):
                break
        living = [event for event in events if event.status != "cancelled"]
        return sorted(living, key=lambda event: event.start_at)

    def only(self) -> RemoteEvent:
        [event] = self.listed()
        return event


@dataclass
class Losing:
    """An `Http` that loses the answers to what writes."""

    http: Http

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_bytes: int | None = None,
    ) -> Response:
        got = self.http.request(method, url, headers=headers, body=body, max_bytes=max_bytes)
        if method in {"GET", "PROPFIND", "REPORT"}:
            return got
        raise AnswerLost("The answer was lost.")


def draft(**fields: Any) -> EventDraft:
    """An hour on MONDAY in ZONE."""
    plain: dict[str, Any] = {
        "id": uuid.uuid4().hex,
        "start_at": utc(MONDAY),
        "end_at": utc(MONDAY + HOUR),
        "time_zone": ZONE,
        "title": "Lunch",
    }
    return EventDraft(**(plain | fields))


def whole_days(first: date, last: date, **fields: Any) -> EventDraft:
    midnights = {
        "start_at": utc(datetime.combine(first, time())),
        "end_at": utc(datetime.combine(last, time())),
    }
    return draft(start_date=first, end_date=last, **midnights, **fields)
