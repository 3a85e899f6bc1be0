"""What an event says beside its times."""

from __future__ import annotations

import pytest

from providers.base import RemoteAttendee
from tests.providers.ical.texts import event, good, only, utc

START = "DTSTART:20260302T090000Z"


def test_texts() -> None:
    found = only(START, "SUMMARY;LANGUAGE=en:a\\, b", "DESCRIPTION:c\\nd\\\\n", "LOCATION:e\\;")
    assert (found.title, found.description, found.location) == ("a, b", "c\nd\\n", "e;")
    assert found.ical_uid == "one"


def test_long_texts_are_cut() -> None:
    found = only(START, "SUMMARY:" + "a" * 2000, "DESCRIPTION:" + "b" * 20_000, "LOCATION:c")
    assert (len(found.title), len(found.description), found.location) == (1024, 16_384, "c")
    assert found.details["cut"] == ["title", "description"]


@pytest.mark.parametrize(
    ("lines", "busy", "status"),
    [
        ([], True, "confirmed"),
        (["TRANSP:OPAQUE"], True, "confirmed"),
        (["TRANSP:TRANSPARENT"], False, "confirmed"),
        (["X-MICROSOFT-CDO-BUSYSTATUS:FREE"], False, "confirmed"),
        (["X-MICROSOFT-CDO-BUSYSTATUS:OOF"], True, "confirmed"),
        (["X-MICROSOFT-CDO-BUSYSTATUS:TENTATIVE"], True, "tentative"),
        (["STATUS:TENTATIVE"], True, "tentative"),
        (["STATUS:cancelled"], False, "cancelled"),
        (["STATUS:X-ODD"], True, "confirmed"),
        (["ATTENDEE;PARTSTAT=DECLINED:mailto:Anna@example.com"], False, "confirmed"),
        (["ATTENDEE;PARTSTAT=DECLINED:mailto:ben@example.com"], True, "confirmed"),
    ],
)
def test_busy_and_status(lines: list[str], busy: bool, status: str) -> None:
    found = only(START, *lines, own_addresses=["anna@example.com"])
    assert (found.busy, found.status) == (busy, status)


@pytest.mark.parametrize(
    ("word", "visibility", "title"),
    [("PUBLIC", "public", ""), ("PRIVATE", "private", "Busy"), ("X-ODD", "default", "")],
)
def test_visibility(word: str, visibility: str, title: str) -> None:
    found = only(START, f"CLASS:{word}")
    assert (found.visibility, found.title) == (visibility, title)


def test_people() -> None:
    found = only(
        START,
        "ORGANIZER;CN=Anna:mailto:anna@example.com",
        'ATTENDEE;CN="Ben; B:";PARTSTAT=TENTATIVE;ROLE=OPT-PARTICIPANT:MAILTO:ben@example.com',
        "ATTENDEE;CUTYPE=ROOM;EMAIL=room@example.com:urn:uuid:1",
        "ATTENDEE;PARTSTAT=ACCEPTED:mailto:Anna@example.com",
        own_addresses=["ANNA@example.com"],
    )
    assert found.attendees == (
        RemoteAttendee("ben@example.com", "Ben; B:", "tentative", optional=True),
        RemoteAttendee("room@example.com", resource=True),
        RemoteAttendee("Anna@example.com", response="accepted", organizer=True, self=True),
    )
    assert found.organizer_email == "anna@example.com"
    assert found.details["organizer_name"] == "Anna"
    assert found.details["organizer_self"]


def test_a_thousand_guests_are_enough() -> None:
    found = only(START, *(f"ATTENDEE:mailto:g{number}@example.com" for number in range(1001)))
    assert len(found.attendees) == 1000
    assert found.details["attendees_omitted"]


@pytest.mark.parametrize(
    ("line", "url"),
    [
        ("CONFERENCE;VALUE=URI;FEATURE=AUDIO,VIDEO:https://a.example/x", "https://a.example/x"),
        ("CONFERENCE;VALUE=URI;FEATURE=PHONE:tel:+1", ""),
        ("X-GOOGLE-CONFERENCE:https://meet.google.com/abc", "https://meet.google.com/abc"),
        ("URL:https://meet.jit.si/Talk", "https://meet.jit.si/Talk"),
        ("URL:https://example.com/event/1", ""),
        ("LOCATION:Room 1\\, https://us02web.zoom.us/j/1?pwd=a\\, now",
         "https://us02web.zoom.us/j/1?pwd=a"),
        ("DESCRIPTION:Join <https://teams.microsoft.com/l/meetup-join/1%402>",
         "https://teams.microsoft.com/l/meetup-join/1%402"),
        ("LOCATION:https://evil.example/?https:zoom.us/j/1", ""),
    ],
)  # fmt: skip
def test_where_to_join(line: str, url: str) -> None:
    assert only(START, line).meeting_url == url


def test_details() -> None:
    found = only(
        START,
        "SEQUENCE:2",
        "CREATED:20250101T000000Z",
        "LAST-MODIFIED:20250102T000000Z",
        "URL:https://example.com/1",
        "CATEGORIES:a\\, x,b",
        "CATEGORIES:c",
        "BEGIN:VALARM\r\nTRIGGER:-P1DT1H\r\nACTION:EMAIL\r\nSUMMARY:no\r\nEND:VALARM",
        "BEGIN:VALARM\r\nTRIGGER;VALUE=DATE-TIME:20260101T000000Z\r\nEND:VALARM",
    )
    assert found.title == ""
    assert found.remote_updated_at == utc(2025, 1, 2)
    assert found.details == {
        "created": "2025-01-01T00:00:00+00:00",
        "sequence": 2,
        "url": "https://example.com/1",
        "categories": ["a, x", "b", "c"],
        "reminders": [{"method": "email", "minutes": 1500}],
        "end_time_unspecified": True,
    }


def test_a_series_tells_its_rule() -> None:
    found = good(event(START, "RRULE:FREQ=DAILY;COUNT=2", "EXDATE;VALUE=DATE:20260303"))
    [first] = found.events
    assert first.details["recurrence"] == ["RRULE:FREQ=DAILY;COUNT=2", "EXDATE;VALUE=DATE:20260303"]


def test_nothing_hangs_on_a_bad_stamp() -> None:
    assert only(START, "LAST-MODIFIED:yesterday", "SEQUENCE:x").remote_updated_at is None
