"""Every write of Google's adapter, made through an `Http` without a network."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from providers.writing import EventChanges, EventDraft, WrittenEvent
from tests.providers.google.calls import ACCESS, GOOGLE
from tests.providers.scripted import Scripted, reply

API = "https://www.googleapis.com/calendar/v3"
EVENTS = f"{API}/calendars/anna%40example.com/events"
ID = "0123456789abcdef0123456789abcdef"
DRAFT = EventDraft(
    id=ID,
    start_at=datetime(2026, 3, 2, 9, tzinfo=UTC),
    end_at=datetime(2026, 3, 2, 10, tzinfo=UTC),
    time_zone="Europe/Berlin",
    title="Lunch",
)
FOUND: dict[str, Any] = {
    "id": ID,
    "etag": '"1"',
    "status": "confirmed",
    "iCalUID": "uid@google.com",
    "start": {"dateTime": "2026-03-02T10:00:00+01:00", "timeZone": "Europe/Berlin"},
    "end": {"dateTime": "2026-03-02T11:00:00+01:00", "timeZone": "Europe/Berlin"},
}
WRITTEN = WrittenEvent(id=ID, etag='"1"', ical_uid="uid@google.com")


def refusal(status: int, reason: str) -> Any:
    error = {"code": status, "message": "canary", "errors": [{"reason": reason}]}
    return reply(status, {"error": error})


def create(http: Scripted, draft: EventDraft = DRAFT, *, notify: bool = False) -> WrittenEvent:
    return GOOGLE.create_event(http, ACCESS, "anna@example.com", draft, notify=notify)


def change(
    http: Scripted, *, etag: str = '"1"', notify: bool = False, **changes: Any
) -> WrittenEvent:
    wanted = EventChanges(**changes)
    given = http, ACCESS, "anna@example.com", ID, wanted
    return GOOGLE.change_event(*given, etag=etag, notify=notify)


def delete(http: Scripted, *, etag: str = "", notify: bool = False) -> None:
    GOOGLE.delete_event(http, ACCESS, "anna@example.com", ID, etag=etag, notify=notify)


def read(http: Scripted) -> WrittenEvent:
    return GOOGLE.read_written(http, ACCESS, "anna@example.com", ID)


WRITES: list[Callable[[Scripted], object]] = [
    create,
    lambda http: change(http, title="Dinner"),
    delete,
]
