"""A calendar that lists its objects, and the reading of a page of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from providers.base import EventQuery, InvalidEvent, RemoteObject, Response, Window
from providers.caldav.collection import Body, CalendarCollection
from providers.caldav.listing import Page, Reader, list_page
from providers.caldav.session import Session
from tests.providers.caldav.dav import (
    ACCESS,
    CALENDAR,
    HOST,
    Dav,
    Sent,
    multistatus,
    resource,
)

WINDOW = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
QUERY = EventQuery(CALENDAR, WINDOW)
PATH = "/calendars/anna/work/"
A, B, C = (f"{PATH}{name}.ics" for name in "abc")
SYNC = (
    "<d:supported-report-set><d:supported-report><d:report><d:sync-collection/></d:report>"
    "</d:supported-report></d:supported-report-set>"
)
TOKEN = "<d:sync-token>http://t/1</d:sync-token>"
CTAG = "<cs:getctag>tag-1</cs:getctag>"


def reader(zone: str) -> Reader:
    """Keeps of an object that it was read: its version, and the zone."""

    def read(object_id: str, body: Body) -> RemoteObject | InvalidEvent:
        if "BROKEN" in body.text:
            return InvalidEvent(object_id, zone or "broken")
        return RemoteObject(id=object_id, etag=body.etag, events=(), starts_at=None, ends_at=None)

    return read


def serving(state: str = "", *objects: str, url: str = CALENDAR) -> Dav:
    """A calendar that says so about itself and holds these objects."""
    path = url.removeprefix(HOST)
    itself = resource(path, f"<d:resourcetype><c:calendar/></d:resourcetype>{state}")

    def answer(sent: Sent) -> Response:
        return multistatus(itself, *(objects if sent.headers["Depth"] == "1" else ()))

    return Dav().on("PROPFIND", url, answer)


def page(dav: Dav, cursor: str = "", page_token: str = "", calendar: str = CALENDAR) -> Page:
    query = replace(QUERY, calendar_id=calendar, cursor=cursor, page_token=page_token)
    collection = CalendarCollection(Session.of(dav, ACCESS), query.calendar_id)
    found = list_page(collection, query, reader)
    assert bool(found.next_page_token) != bool(found.next_cursor)
    return found
