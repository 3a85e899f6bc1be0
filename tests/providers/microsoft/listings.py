"""Graph's JSON of events, made for one test, and the pages it makes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from providers.base import EventQuery, InvalidEvent, RemoteEvent, Window
from providers.microsoft.page import Page

WINDOW = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
ROOT = "https://graph.microsoft.com/v1.0"
DELTA = f"{ROOT}/me/calendars/AQMk-cal/calendarView/delta"
FULL = EventQuery("AQMk-cal", WINDOW)
CHANGES = EventQuery("AQMk-cal", WINDOW, cursor=f"{DELTA}?$deltatoken=R0usmci39O")
END = {"@odata.deltaLink": f"{DELTA}?$deltatoken=next"}
NEVER = "0001-01-01T00:00:00Z"


def utc(*when: int) -> datetime:
    return datetime(*when, tzinfo=UTC)  # type: ignore[arg-type,misc]


def moment(text: str, zone: str = "UTC") -> dict[str, str]:
    return {"dateTime": f"{text}.0000000", "timeZone": zone}


def body_of(items: Iterable[Any], **fields: Any) -> bytes:
    return json.dumps({"@odata.context": "x", "value": list(items), **(fields or END)}).encode()


def page_of(items: Iterable[Any], query: EventQuery = FULL, **fields: Any) -> Page:
    return Page(body_of(items, **fields), query)


def item(**changes: Any) -> dict[str, Any]:
    """A plain event; a change to `...` leaves the field out."""
    plain: dict[str, Any] = {
        "@odata.type": "#microsoft.graph.event",
        "@odata.etag": 'W/"plain=="',
        "id": "plain",
        "createdDateTime": "2026-02-01T10:00:00.1234567Z",
        "lastModifiedDateTime": "2026-02-02T10:00:00.7654321Z",
        "changeKey": "plain==",
        "categories": [],
        "transactionId": None,
        "originalStartTimeZone": "W. Europe Standard Time",
        "originalEndTimeZone": "W. Europe Standard Time",
        "iCalUId": "040000008200E00074C5B7101A82E008",
        "reminderMinutesBeforeStart": 15,
        "isReminderOn": True,
        "hasAttachments": False,
        "subject": "Plain",
        "bodyPreview": "",
        "importance": "normal",
        "sensitivity": "normal",
        "isAllDay": False,
        "isCancelled": False,
        "isOrganizer": True,
        "responseRequested": True,
        "seriesMasterId": None,
        "showAs": "busy",
        "type": "singleInstance",
        "webLink": "https://outlook.office365.com/owa/?itemid=plain",
        "onlineMeetingUrl": None,
        "isOnlineMeeting": False,
        "onlineMeetingProvider": "unknown",
        "allowNewTimeProposals": True,
        "isDraft": False,
        "hideAttendees": False,
        "responseStatus": {"response": "organizer", "time": NEVER},
        "body": {"contentType": "text", "content": ""},
        "start": moment("2026-03-02T09:00:00"),
        "end": moment("2026-03-02T10:00:00"),
        "location": {"displayName": "", "locationType": "default"},
        "locations": [],
        "recurrence": None,
        "attendees": [],
        "organizer": {"emailAddress": {"name": "Anna", "address": "anna@example.com"}},
        "onlineMeeting": None,
    }
    return {name: value for name, value in (plain | changes).items() if value is not ...}


DAILY = {
    "pattern": {
        "type": "daily", "interval": 1, "month": 0, "dayOfMonth": 0, "firstDayOfWeek": "sunday",
        "index": "first",
    },
    "range": {
        "type": "numbered", "startDate": "2026-03-02", "endDate": "0001-01-01",
        "recurrenceTimeZone": "W. Europe Standard Time", "numberOfOccurrences": 3,
    },
}  # fmt: skip


def master(**changes: Any) -> dict[str, Any]:
    given = {
        "id": "series",
        "@odata.etag": 'W/"series=="',
        "type": "seriesMaster",
        "subject": "Stand-up",
        "body": {"contentType": "html", "content": "<p>Every&nbsp;day</p>"},
        "recurrence": DAILY,
        "iCalUId": "uid-of-the-series",
    }
    return item(**(given | changes))


def occurrence(day: int = 2, **changes: Any) -> dict[str, Any]:
    """What Graph says of an occurrence that is as its series has it."""
    bare = {
        "@odata.type": "#microsoft.graph.event",
        "id": f"occurrence-{day}",
        "seriesMasterId": "series",
        "type": "occurrence",
        "start": moment(f"2026-03-{day:02}T09:00:00"),
        "end": moment(f"2026-03-{day:02}T10:00:00"),
    }
    return {name: value for name, value in (bare | changes).items() if value is not ...}


def removed(key: str) -> dict[str, Any]:
    return {"id": key, "@removed": {"reason": "deleted"}}


def read(page: Page) -> tuple[list[RemoteEvent], list[InvalidEvent]]:
    return page.read(page.versions)


def only(**changes: Any) -> RemoteEvent:
    """What becomes of one event."""
    [event], invalid = read(page_of([item(**changes)]))
    assert invalid == []
    return event


def reason(**changes: Any) -> str:
    """Why one event cannot be read."""
    events, [invalid] = read(page_of([item(**changes)]))
    assert events == []
    assert invalid.id == "plain"
    return invalid.reason
