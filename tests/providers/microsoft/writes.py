"""Writes of Microsoft's adapter, made through an `Http` without a network."""

from __future__ import annotations

from typing import Any

from providers.base import RemoteAttendee
from providers.writing import EventChanges, EventDraft, WrittenEvent
from tests.providers.microsoft.calls import ACCESS, MICROSOFT
from tests.providers.microsoft.listings import ROOT, moment, utc
from tests.providers.scripted import Scripted, reply

ID = "0123456789abcdef0123456789abcdef"
EVENTS = f"{ROOT}/me/calendars/AQMk-cal/events"
WRITTEN = {
    "@odata.etag": 'W/"1"',
    "id": "AAMk-event",
    "iCalUId": "uid-1",
    "type": "singleInstance",
    "isOrganizer": True,
    "isAllDay": False,
    "start": moment("2026-03-10T09:00:00"),
    "end": moment("2026-03-10T10:00:00"),
    "originalStartTimeZone": "W. Europe Standard Time",
    "attendees": [],
    "isOnlineMeeting": False,
    "onlineMeeting": None,
    "onlineMeetingUrl": None,
    "transactionId": ID,
}
RESULT = WrittenEvent(id="AAMk-event", etag='W/"1"', ical_uid="uid-1")
JOIN = "https://teams.microsoft.com/l/meetup-join/1"
BO = RemoteAttendee("bo@example.com", "Bo")
RIGHTS = {"canEdit": True, "allowedOnlineMeetingProviders": ["teamsForBusiness"]}


def draft(**changes: Any) -> EventDraft:
    plain: dict[str, Any] = {
        "id": ID,
        "start_at": utc(2026, 3, 10, 9),
        "end_at": utc(2026, 3, 10, 10),
        "time_zone": "Europe/Berlin",
        "title": "Lunch",
    }
    return EventDraft(**(plain | changes))


def create(http: Any, *, notify: bool = False, **changes: Any) -> WrittenEvent:
    return MICROSOFT.create_event(http, ACCESS, "AQMk-cal", draft(**changes), notify=notify)


def change(http: Any, *, etag: str = 'W/"1"', notify: bool = False, **changes: Any) -> WrittenEvent:
    return MICROSOFT.change_event(
        http, ACCESS, "AQMk-cal", "AAMk-event", EventChanges(**changes), etag=etag, notify=notify
    )


def delete(http: Any, *, etag: str = "", notify: bool = True) -> None:
    MICROSOFT.delete_event(http, ACCESS, "AQMk-cal", "AAMk-event", etag=etag, notify=notify)


def sent(**changes: Any) -> dict[str, Any]:
    """What is sent for a draft."""
    http = Scripted([reply(201, WRITTEN)])
    create(http, notify=True, **changes)
    found: dict[str, Any] = http.requests[-1].json
    return found
