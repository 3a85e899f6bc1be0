"""Our shapes as content lines."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import UNSET

from providers.base import RemoteAttendee
from providers.ical.lines import escape, parameter_value
from providers.ical.timing import Timing
from providers.ical.values import Moment, Unreadable
from providers.ical.zones import named_zone
from providers.writing import EventChanges, EventDraft

_CLASSES = {"public": "PUBLIC", "private": "PRIVATE", "confidential": "CONFIDENTIAL"}
RESPONSES = {"accepted": "ACCEPTED", "declined": "DECLINED", "tentative": "TENTATIVE"}
_RECURRENCE = re.compile(r"(?:RRULE|RDATE|EXDATE)[;:][\x20-\x7e]*", re.IGNORECASE)
_TEXTS = {"title": "SUMMARY", "description": "DESCRIPTION", "location": "LOCATION"}


def text_lines(said: EventDraft | EventChanges) -> dict[str, list[str]]:
    """The lines of everything but times and recurrence, by name; empty to take the property out.

    What is UNSET is not there.
    """
    found: dict[str, list[str]] = {}
    for field, name in _TEXTS.items():
        text = getattr(said, field)
        if text is not UNSET:
            found[name] = [f"{name}:{escape(text)}"] if text else []
    if said.busy is not UNSET:
        found["TRANSP"] = ["TRANSP:OPAQUE" if said.busy else "TRANSP:TRANSPARENT"]
        # It would say otherwise to those who read it.
        found["X-MICROSOFT-CDO-BUSYSTATUS"] = []
    if said.visibility is not UNSET:
        word = _CLASSES.get(said.visibility, "")
        found["CLASS"] = [f"CLASS:{word}"] if word else []
    if said.attendees is not UNSET:
        found["ATTENDEE"] = [attendee_line(guest) for guest in said.attendees]
    return found


def time_lines(said: EventDraft | EventChanges, timing: Timing | None) -> dict[str, list[str]]:
    """DTSTART and DTEND; without a zone of its own a change keeps that of the event as it was."""
    first, last = said.start_date, said.end_date
    lines: dict[str, list[str]] = {"DURATION": []}
    if isinstance(first, dt.date) and isinstance(last, dt.date):
        lines["DTSTART"] = [f"DTSTART;VALUE=DATE:{first:%Y%m%d}"]
        lines["DTEND"] = [f"DTEND;VALUE=DATE:{last:%Y%m%d}"]
        return lines
    zone = said.time_zone if isinstance(said.time_zone, str) else ""
    if not zone and timing is not None and not timing.all_day:
        zone = timing.start.zone
    for name, at in (("DTSTART", said.start_at), ("DTEND", said.end_at)):
        if isinstance(at, dt.datetime):
            lines[name] = [_time_line(name, at, zone)]
    return lines


def recurrence_lines(lines: tuple[str, ...]) -> list[str]:
    """RRULE, RDATE and EXDATE as they came. Raises ValueError for a line that is something else."""
    for line in lines:
        if not _RECURRENCE.fullmatch(line):
            raise ValueError("A line of the recurrence is neither RRULE, RDATE nor EXDATE.")
    return list(lines)


def moment_line(name: str, at: Any, timing: Timing) -> str:
    """A line of the value type and zone of the series' start (RFC 5545 section 3.8.4.4)."""
    if timing.all_day:
        day = at.day if isinstance(at, Moment) else at
        return f"{name};VALUE=DATE:{day:%Y%m%d}"
    if isinstance(at, Moment):
        local = at.naive
    elif isinstance(at, dt.datetime):
        local = timing.zone.local(at)
    else:
        raise Unreadable("its occurrences are times and not dates")
    tzid = timing.start.zone
    if not tzid:
        return f"{name}:{local:%Y%m%dT%H%M%S}"
    if tzid == "UTC":
        return f"{name}:{local:%Y%m%dT%H%M%S}Z"
    return f"{name};TZID={parameter_value(tzid)}:{local:%Y%m%dT%H%M%S}"


def attendee_line(guest: RemoteAttendee) -> str:
    """ATTENDEE with the parameters that differ from what is understood without them."""
    parameters = ""
    if guest.name:
        parameters += f";CN={parameter_value(guest.name)}"
    if guest.resource:
        parameters += ";CUTYPE=RESOURCE"
    if guest.optional:
        parameters += ";ROLE=OPT-PARTICIPANT"
    response = RESPONSES.get(guest.response, "NEEDS-ACTION")
    parameters += f";PARTSTAT={response}"
    if response == "NEEDS-ACTION":
        parameters += ";RSVP=TRUE"
    address = "".join(guest.email.split())
    return f"ATTENDEE{parameters}:mailto:{address}"


def instant_text(at: dt.datetime) -> str:
    """An aware time in UTC, basic format."""
    return f"{at.astimezone(dt.UTC):%Y%m%dT%H%M%SZ}"


def _time_line(name: str, at: dt.datetime, tzid: str) -> str:
    iana = named_zone(tzid) if tzid else ""
    if iana in {"", "UTC"}:
        return f"{name}:{instant_text(at)}"
    return f"{name};TZID={iana}:{at.astimezone(ZoneInfo(iana)):%Y%m%dT%H%M%S}"
