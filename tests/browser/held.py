"""What a CalDAV server holds, read by another program than ours: icalendar and dateutil."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from typing import Any
from urllib.parse import urlsplit

import icalendar
from dateutil.rrule import rrulestr

from tests.caldav_servers import CalDavServer

# Title, start, end: in the words of the API, an all-day event's as dates.
Row = tuple[str, str, str]

_LISTING = '<propfind xmlns="DAV:"><prop><getetag/></prop></propfind>'


def held_by(server: CalDavServer, calendar_url: str) -> list[Row]:
    """Every occurrence in the calendar, in order. Rules must end (COUNT)."""
    return sorted(row for text in _objects(server, calendar_url) for row in occurrences(text))


def told(events: list[dict[str, Any]]) -> list[Row]:
    """The same of what the API lists."""
    return sorted(
        (event["title"], event["start_date"], event["end_date"])
        if event["all_day"]
        else (event["title"], event["start_at"], event["end_at"])
        for event in events
    )


def occurrences(text: str) -> Iterator[Row]:
    """The occurrences of one object: by its rule, without exceptions, with overrides."""
    events: list[Any] = icalendar.Calendar.from_ical(text).walk("VEVENT")
    overrides = {
        _said(event["RECURRENCE-ID"].dt): event for event in events if "RECURRENCE-ID" in event
    }
    for event in events:
        if "RECURRENCE-ID" in event:
            yield _row(event, event["DTSTART"].dt, event["DTEND"].dt)
            continue
        length = event["DTEND"].dt - event["DTSTART"].dt
        for start in _starts(event):
            if _said(start) not in overrides:
                yield _row(event, start, start + length)


def _starts(event: Any) -> Iterator[date]:
    first = event["DTSTART"].dt
    if "RRULE" not in event:
        yield first
        return
    given = event.get("EXDATE", [])
    groups = given if isinstance(given, list) else [given]
    cancelled = {_said(each.dt) for group in groups for each in group.dts}
    # A rule counts on the clocks of the event's zone.
    timed = isinstance(first, datetime)
    clock = first.replace(tzinfo=None) if timed else datetime.combine(first, time())
    for at in rrulestr(event["RRULE"].to_ical().decode(), dtstart=clock):
        start = at.replace(tzinfo=first.tzinfo) if timed else at.date()
        if _said(start) not in cancelled:
            yield start


def _row(event: Any, start: date, end: date) -> Row:
    return str(event["SUMMARY"]), _said(start), _said(end)


def _said(when: date) -> str:
    if isinstance(when, datetime):
        return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return when.isoformat()


def _objects(server: CalDavServer, calendar_url: str) -> Iterator[str]:
    headers = {"Depth": "1", "Content-Type": "application/xml"}
    listing = server.request("PROPFIND", urlsplit(calendar_url).path, _LISTING, headers)
    assert listing.status == 207, listing
    for href in re.findall(r"<(?:\w+:)?href>([^<]+\.ics)</", listing.body):
        yield server.get(href)
