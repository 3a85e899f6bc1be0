"""A draft as an iCalendar object (RFC 5545; RFC 4791 section 4.1: without METHOD)."""

from __future__ import annotations

import datetime as dt

from providers.base import RemoteAttendee
from providers.ical.editing import zone_lines
from providers.ical.lines import folded, parameter_value
from providers.ical.wording import instant_text, recurrence_lines, text_lines, time_lines
from providers.writing import EventDraft

PRODUCT = "-//Talkover//Calendars//EN"


def new_object(
    draft: EventDraft, *, uid: str, now: dt.datetime, organizer: RemoteAttendee | None = None
) -> bytes:
    """The object of a draft. With attendees the standard wants an organizer (RFC 5545 section
    3.8.4.3): a server that schedules takes it as the word to invite, so it is the caller's choice.

    Raises ValueError for a recurrence line that is none.
    """
    stamp = instant_text(now)
    lines = ["BEGIN:VEVENT", f"UID:{uid}", f"DTSTAMP:{stamp}", f"CREATED:{stamp}"]
    lines.append(f"LAST-MODIFIED:{stamp}")
    for part in (time_lines(draft, None), text_lines(draft)):
        lines += [line for found in part.values() for line in found]
    lines += recurrence_lines(draft.recurrence)
    if organizer is not None and draft.attendees:
        name = f";CN={parameter_value(organizer.name)}" if organizer.name else ""
        lines.append(f"ORGANIZER{name}:mailto:{''.join(organizer.email.split())}")
    lines.append("END:VEVENT")
    zones = zone_lines(lines, known=set(), year=min(now.year, draft.start_at.year) - 1)
    return folded(
        [
            "BEGIN:VCALENDAR",
            "VERSION:2.0",
            f"PRODID:{PRODUCT}",
            "CALSCALE:GREGORIAN",
            *zones,
            *lines,
            "END:VCALENDAR",
        ]
    )
