"""A calendar that takes what is written, and the calls that write."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from providers.base import Response
from providers.caldav.provider import CalDavProvider
from providers.writing import EventChanges, EventDraft, WrittenEvent
from tests.providers.caldav.dav import (
    ACCESS,
    CALENDAR,
    HAS_HOME,
    HOST,
    PRINCIPAL,
    Dav,
    Sent,
    multistatus,
    reply,
    resource,
)

PROVIDER = CalDavProvider()
NAME = "0123456789abcdef0123456789abcdef"
PATH = f"/calendars/anna/work/{NAME}.ics"
URL = f"{HOST}{PATH}"
GUESTS = "ORGANIZER:mailto:anna@example.com\r\nATTENDEE;PARTSTAT=ACCEPTED:mailto:ben@example.com"
QUIET = GUESTS.replace("ATTENDEE;", "ATTENDEE;SCHEDULE-AGENT=NONE;")


def store(text: str = "", etag: str = '"1"', *, multiget: bool = False) -> Dav:
    """A calendar that holds at most one object, and takes everything. Each write has a new
    version.
    """
    held: dict[str, Any] = {"text": text, "etag": etag, "writes": 0}

    def get(sent: Sent) -> Response:
        return reply(200, held["text"], ETag=held["etag"]) if held["text"] else reply(404)

    def put(sent: Sent) -> Response:
        held["writes"] += 1
        held.update(text=sent.body, etag=f'"w{held["writes"]}"')
        return reply(201)

    def delete(sent: Sent) -> Response:
        held["text"] = ""
        return reply(204)

    dav = Dav().on("GET", URL, get).on("PUT", URL, put).on("DELETE", URL, delete)
    dav.on("REPORT", CALENDAR, reply(403))
    state = resource("/calendars/anna/work/", "<d:resourcetype><c:calendar/></d:resourcetype>")
    dav.on("PROPFIND", CALENDAR, multistatus(state))
    dav.on("PROPFIND", PRINCIPAL, multistatus(resource("/principals/anna/", HAS_HOME)))
    return dav.on("OPTIONS", CALENDAR, reply(200, DAV="1, calendar-access"))


def scheduling(dav: Dav) -> Dav:
    return dav.on("OPTIONS", CALENDAR, reply(200, DAV="1, calendar-access, calendar-auto-schedule"))


def draft(**fields: Any) -> EventDraft:
    start = datetime(2026, 6, 1, 10, tzinfo=UTC)
    plain: dict[str, Any] = {
        "id": NAME,
        "start_at": start,
        "end_at": start.replace(hour=11),
        "title": "Lunch",
    }
    return EventDraft(**(plain | fields))


def create(dav: Dav, *, notify: bool = False, **fields: Any) -> WrittenEvent:
    return PROVIDER.create_event(dav, ACCESS, CALENDAR, draft(**fields), notify=notify)


def change(
    dav: Dav, event_id: str = PATH, *, etag: str = "", notify: bool = False, **fields: Any
) -> WrittenEvent:
    changes = EventChanges(**(fields or {"title": "Dinner"}))
    given = (dav, ACCESS, CALENDAR, event_id, changes)
    return PROVIDER.change_event(*given, etag=etag, notify=notify)


def delete(dav: Dav, event_id: str = PATH, *, etag: str = "", notify: bool = False) -> None:
    PROVIDER.delete_event(dav, ACCESS, CALENDAR, event_id, etag=etag, notify=notify)


def sent(dav: Dav, method: str) -> list[Sent]:
    return [each for each in dav.sent if each.method == method]


def unfolded(dav: Dav) -> str:
    """What was stored last."""
    return sent(dav, "PUT")[-1].body.replace("\r\n ", "")
