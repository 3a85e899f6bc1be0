"""What we write: judged by another parser, and by our own reader."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import icalendar
import pytest

from providers.base import RemoteAttendee, RemoteObject
from providers.ical.drafting import new_object
from providers.ical.editing import changed_object, without_occurrence
from providers.ical.reader import read_resource
from providers.ical.values import Unreadable
from providers.writing import EventChanges, EventDraft
from tests.providers.ical.texts import WINDOW, calendar, event, utc

NOW = utc(2026, 2, 1, 12)
START = utc(2026, 3, 2, 9)
LATER: dict[str, Any] = {
    "start_at": START + timedelta(hours=4),
    "end_at": START + timedelta(hours=6),
}
STORED = calendar(
    "PRODID:-//Somebody//Else//EN",
    "METHOD:PUBLISH",
    event(
        "DTSTAMP:20250101T000000Z",
        "DTSTART;TZID=Europe/Berlin:20260302T100000",
        "DTEND;TZID=Europe/Berlin:20260302T110000",
        "RRULE:FREQ=DAILY;COUNT=4",
        "SUMMARY:Before",
        "SEQUENCE:3",
        'X-UNKNOWN;X-A="b:c":kept, as\\nit is',
        "BEGIN:VALARM",
        "ACTION:DISPLAY",
        "SUMMARY:alarm",
        "TRIGGER:-PT10M",
        "END:VALARM",
    ),
    "BEGIN:VTODO\r\nUID:other\r\nEND:VTODO",
).encode()


def draft(**changes) -> EventDraft:
    fields: dict[str, Any] = {
        "id": "0" * 32,
        "start_at": START,
        "end_at": START + timedelta(hours=1),
    }
    return EventDraft(**fields | {"time_zone": "Europe/Berlin", "title": "Talk"} | changes)


def read(data: bytes) -> RemoteObject:
    found = read_resource("o", "e", data, window=WINDOW)
    assert isinstance(found, RemoteObject), found.reason
    return found


def judged(data: bytes) -> list[Any]:
    """The events as the other parser sees them; it finds nothing to complain about."""
    assert all(len(line) <= 75 for line in data.split(b"\r\n"))
    parsed = icalendar.Calendar.from_ical(data)
    assert "METHOD" not in parsed
    assert not any(part.errors for part in parsed.walk())
    return list(parsed.walk("VEVENT"))


def test_a_new_object() -> None:
    text = draft(
        description="a, b; c\\d\n\u00e9" * 20,
        location="Room",
        busy=False,
        visibility="private",
        recurrence=("RRULE:FREQ=WEEKLY;COUNT=3",),
        attendees=(RemoteAttendee("ben@example.com", 'Ben "B", Jr: x', optional=True),),
    )
    data = new_object(text, uid="u1", now=NOW, organizer=RemoteAttendee("anna@example.com", "Anna"))
    [theirs] = judged(data)
    assert theirs["UID"] == "u1"
    assert str(theirs["DESCRIPTION"]) == text.description
    assert theirs["DTSTART"].dt == START
    assert data.count(b"BEGIN:VTIMEZONE") == 1
    found = read(data)
    assert [item.start_at.hour for item in found.events] == [9, 9, 9]
    ours = found.events[0]
    assert (ours.title, ours.description, ours.location) == ("Talk", text.description, "Room")
    assert (ours.busy, ours.visibility, ours.time_zone) == (False, "private", "Europe/Berlin")
    assert ours.organizer_email == "anna@example.com"
    assert ours.attendees == (RemoteAttendee("ben@example.com", "Ben  B , Jr: x", optional=True),)


def test_a_new_day() -> None:
    days = {"start_date": date(2026, 3, 2), "end_date": date(2026, 3, 4)}
    data = new_object(draft(**days), uid="u1", now=NOW)
    [theirs] = judged(data)
    assert (theirs["DTSTART"].dt, theirs["DTEND"].dt) == (date(2026, 3, 2), date(2026, 3, 4))
    assert b"VTIMEZONE" not in data


def test_a_draft_without_a_zone_is_utc() -> None:
    assert b"DTSTART:20260302T090000Z" in new_object(draft(time_zone=""), uid="u", now=NOW)


def test_a_draft_cannot_bring_lines_of_its_own() -> None:
    for line in ("ATTENDEE:mailto:a@b.c", "RRULE:FREQ=DAILY\r\nATTENDEE:mailto:a@b.c"):
        with pytest.raises(ValueError, match="recurrence"):
            new_object(draft(recurrence=(line,)), uid="u", now=NOW)
        with pytest.raises(ValueError, match="recurrence"):
            changed_object(STORED, EventChanges(recurrence=(line,)), now=NOW)
    guests = (RemoteAttendee("a@b.c\r\nX-EVIL:1", "A\r\nX-EVIL:1"),)
    data = new_object(draft(title="a\r\nX-EVIL:1", attendees=guests), uid="u", now=NOW)
    assert not any("X-EVIL" in part for part in judged(data))


def test_a_changed_title_leaves_all_else() -> None:
    data = changed_object(STORED, EventChanges(title="After"), now=NOW)
    [theirs] = judged(data)
    assert (str(theirs["SUMMARY"]), theirs["SEQUENCE"]) == ("After", 3)
    assert theirs["DTSTAMP"].dt == theirs["LAST-MODIFIED"].dt == NOW
    assert b'X-UNKNOWN;X-A="b:c":kept, as\\nit is\r\n' in data
    assert b"SUMMARY:alarm" in data
    assert b"UID:other" in data
    assert b"PRODID:-//Somebody//Else//EN" in data


def test_a_moved_series() -> None:
    override = event("RECURRENCE-ID:20260303T090000Z", "DTSTART:20260303T120000Z").encode()
    stored = STORED.replace(b"BEGIN:VTODO", override + b"\r\nBEGIN:VTODO")
    data = changed_object(stored, EventChanges(**LATER), now=NOW)
    [theirs] = judged(data)
    assert theirs["SEQUENCE"] == 4
    assert [item.start_at.hour for item in read(data).events] == [13] * 4
    assert read(data).events[0].time_zone == "Europe/Berlin"


def test_another_rule() -> None:
    changes = EventChanges(recurrence=("RRULE:FREQ=DAILY;COUNT=2",))
    data = changed_object(STORED, changes, now=NOW)
    assert len(read(data).events) == 2
    single = changed_object(data, EventChanges(recurrence=()), now=NOW)
    assert [item.id for item in read(single).events] == ["o"]


def test_one_occurrence_and_again() -> None:
    key = START + timedelta(days=1)
    moved: dict[str, Any] = {
        "start_at": key + timedelta(hours=3),
        "end_at": key + timedelta(hours=4),
    }
    changes = EventChanges(title="Once", **moved)
    data = changed_object(STORED, changes, now=NOW, recurrence_id=key)
    master, override = judged(data)
    assert override["RECURRENCE-ID"].dt == key
    assert override["RECURRENCE-ID"].params["TZID"] == "Europe/Berlin"
    assert "RRULE" not in override
    assert "RRULE" in master
    again = changed_object(data, EventChanges(location="Hall"), now=NOW, recurrence_id=key)
    assert len(judged(again)) == 2
    [found] = [item for item in read(again).events if item.location == "Hall"]
    assert (found.title, found.start_at) == ("Once", moved["start_at"])
    assert found.id == "o#20260303T090000Z"
    assert found.details["reminders"] == [{"method": "popup", "minutes": 10}]


def test_an_occurrence_keeps_its_times_when_only_its_title_changes() -> None:
    key = START + timedelta(days=1)
    data = changed_object(STORED, EventChanges(title="x"), now=NOW, recurrence_id=key)
    [found] = [item for item in read(data).events if item.title == "x"]
    assert (found.start_at, found.end_at) == (key, key + timedelta(hours=1))


def test_an_occurrence_goes_with_its_override() -> None:
    key = START + timedelta(days=1)
    changed = changed_object(STORED, EventChanges(title="x"), now=NOW, recurrence_id=key)
    data = without_occurrence(changed, key, now=NOW)
    [theirs] = judged(data)
    assert theirs["SEQUENCE"] == 4
    assert [item.start_at.day for item in read(data).events] == [2, 4, 5]
    assert judged(without_occurrence(data, key, now=NOW))[0].to_ical().count(b"EXDATE") == 1


def test_an_all_day_occurrence_goes() -> None:
    stored = calendar(event("DTSTART;VALUE=DATE:20260302", "RRULE:FREQ=DAILY;COUNT=3")).encode()
    data = without_occurrence(stored, date(2026, 3, 3), now=NOW)
    assert [item.id for item in read(data).events] == ["o#20260302", "o#20260304"]
    data = changed_object(stored, EventChanges(title="x"), now=NOW, recurrence_id=date(2026, 3, 3))
    assert [item.title for item in read(data).events if item.id == "o#20260303"] == ["x"]


def test_without_a_master_there_is_nothing_to_except_from() -> None:
    stored = calendar(event("RECURRENCE-ID:20260303T090000Z", "DTSTART:20260303T120000Z")).encode()
    with pytest.raises(Unreadable):
        without_occurrence(stored, START, now=NOW)
    data = changed_object(
        stored, EventChanges(title="x"), now=NOW, recurrence_id=START + timedelta(days=1)
    )
    assert read(data).events[0].title == "x"


def test_a_guest_who_stays_keeps_what_is_said_of_them() -> None:
    line = b"ATTENDEE;CN=Ben;PARTSTAT=ACCEPTED;X-NUM=2:mailto:ben@example.com\r\n"
    stored = STORED.replace(b"SEQUENCE:3\r\n", b"SEQUENCE:3\r\n" + line)
    ben = RemoteAttendee("Ben@example.com", "Ben", "accepted")
    data = changed_object(
        stored, EventChanges(attendees=(ben, RemoteAttendee("c@example.com"))), now=NOW
    )
    assert line in data
    assert data.count(b"ATTENDEE") == 2
    assert b"X-NUM" not in changed_object(stored, EventChanges(attendees=()), now=NOW)
