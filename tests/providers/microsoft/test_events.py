"""Graph's events as ours: what they say, and what they leave out."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from providers.base import RemoteAttendee
from tests.providers.microsoft.listings import DAILY, NEVER, master, moment, only, reason, utc


def test_a_plain_event() -> None:
    event = only()
    assert (event.id, event.etag, event.status, event.title) == (
        "plain", 'W/"plain=="', "confirmed", "Plain"
    )  # fmt: skip
    assert (event.start_at, event.end_at) == (utc(2026, 3, 2, 9), utc(2026, 3, 2, 10))
    assert (event.all_day, event.time_zone, event.busy) == (False, "Europe/Berlin", True)
    assert event.ical_uid == "040000008200E00074C5B7101A82E008"
    assert (event.series_id, event.original_start) == ("", "")
    assert event.organizer_email == "anna@example.com"
    assert event.remote_updated_at == datetime(2026, 2, 2, 10, 0, 0, 765432, UTC)
    assert event.details == {
        "created": "2026-02-01T10:00:00.1234567Z",
        "html_link": "https://outlook.office365.com/owa/?itemid=plain",
        "reminders": [{"method": "popup", "minutes": 15}],
        "organizer_self": True,
        "organizer_name": "Anna",
    }
    assert json.loads(json.dumps(event.details)) == event.details


@pytest.mark.parametrize(
    ("shown", "busy", "status", "kind"),
    [
        ("busy", True, "confirmed", "default"),
        ("free", False, "confirmed", "default"),
        ("tentative", True, "tentative", "default"),
        ("oof", True, "confirmed", "outOfOffice"),
        ("workingElsewhere", False, "confirmed", "default"),
        ("unknown", True, "confirmed", "default"),
    ],
)
def test_how_the_time_is_shown(shown: str, busy: bool, status: str, kind: str) -> None:
    event = only(showAs=shown)
    assert (event.busy, event.status, event.event_type) == (busy, status, kind)
    assert event.details.get("show_as") == (None if shown in {"busy", "free"} else shown)


@pytest.mark.parametrize(
    ("sensitivity", "visibility"),
    [
        ("normal", "default"),
        ("personal", "private"),
        ("private", "private"),
        ("confidential", "confidential"),
        ("new", "default"),
    ],
)
def test_who_may_see_it(sensitivity: str, visibility: str) -> None:
    assert only(sensitivity=sensitivity).visibility == visibility
    hidden = only(sensitivity=sensitivity, subject="")
    assert hidden.title == ("" if visibility == "default" else "Busy")


def test_people_and_their_answers() -> None:
    def guest(name: str, response: str, kind: str = "required") -> dict[str, Any]:
        return {
            "type": kind,
            "status": {"response": response, "time": NEVER},
            "emailAddress": {"name": name, "address": f"{name}@example.com"},
        }

    event = only(
        isOrganizer=False,
        responseStatus={"response": "tentativelyAccepted", "time": NEVER},
        attendees=[
            guest("bo", "accepted"),
            guest("cy", "tentativelyAccepted", "optional"),
            guest("room", "none", "resource"),
            guest("di", "declined"),
            guest("anna", "organizer"),
            {"type": "required", "emailAddress": {"name": "Nobody"}},
            {"emailAddress": None, "status": None},
        ],
    )
    assert event.attendees == (
        RemoteAttendee("bo@example.com", "bo", "accepted"),
        RemoteAttendee("cy@example.com", "cy", "tentative", True),
        RemoteAttendee("room@example.com", "room", "needs_action", resource=True),
        RemoteAttendee("di@example.com", "di", "declined"),
        RemoteAttendee("anna@example.com", "anna", "accepted", organizer=True),
        RemoteAttendee("", "Nobody"),
        RemoteAttendee(""),
    )
    assert event.details["response"] == "tentative"
    assert "organizer_self" not in event.details
    assert event.busy


def test_what_the_account_has_declined_takes_no_time() -> None:
    event = only(isOrganizer=False, responseStatus={"response": "declined", "time": NEVER})
    assert (event.busy, event.details["response"]) == (False, "declined")


def test_a_meeting_that_its_organizer_cancelled_stays_until_it_is_removed() -> None:
    event = only(isCancelled=True, subject="Canceled: Plain")
    assert (event.status, event.busy, event.title) == ("cancelled", False, "Canceled: Plain")


def test_where_to_join() -> None:
    joined = {"joinUrl": "https://teams.microsoft.com/l/meetup-join/1", "conferenceId": "177"}
    event = only(
        isOnlineMeeting=True, onlineMeetingProvider="teamsForBusiness", onlineMeeting=joined,
        onlineMeetingUrl="https://old.example/1",
    )  # fmt: skip
    assert event.meeting_url == "https://teams.microsoft.com/l/meetup-join/1"
    assert event.details["conference"] == {"id": "177", "name": "Microsoft Teams"}
    old = only(onlineMeetingUrl="https://old.example/1")
    assert old.meeting_url == "https://old.example/1"
    assert "conference" not in old.details


def test_what_is_rarely_said() -> None:
    event = only(
        categories=["Red"], importance="high", hasAttachments=True, isDraft=True,
        hideAttendees=True, isReminderOn=False, sensitivity="personal",
        location={"displayName": "Room 1"},
    )  # fmt: skip
    kept = {
        name: event.details[name]
        for name in ("categories", "importance", "has_attachments", "is_draft", "hide_attendees")
    }
    assert kept == {
        "categories": ["Red"], "importance": "high", "has_attachments": True, "is_draft": True,
        "hide_attendees": True,
    }  # fmt: skip
    assert event.details["sensitivity"] == "personal"
    assert "reminders" not in event.details
    assert event.location == "Room 1"


@pytest.mark.parametrize(
    ("kind", "content", "text"),
    [
        ("text", "One\r\ntwo\r\n", "One\ntwo"),
        ("html", "<html><head><style>p {}</style><title>x</title></head><body><p>One</p></body>",
         "One"),
        ("html", "<div>One<br>two &amp; three</div>\n<div>four</div>", "One\ntwo & three\n\nfour"),
        ("HTML", "<script>alert(1)</script><b>Bold</b> text", "Bold text"),
        ("html", "<ul><li>One</li><li>Two</li></ul>", "One\n\nTwo"),
        ("html", "a < b, and <unfinished", "a < b, and <unfinished"),
        ("html", None, ""),
        ("html", "One<!-- <p>hidden</p> > --> two<!-- never closed", "One two"),
        ("html", "<STYLE>p > b {}</STYLE >One<?xml?><!DOCTYPE html> two", "One two"),
        ("html", "One&nbsp;&lt;b&gt; &#8364;", "One\xa0<b> €"),
    ],
)  # fmt: skip
def test_bodies_become_text(kind: str, content: str | None, text: str) -> None:
    assert only(body={"contentType": kind, "content": content}).description == text


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "piece", ["<!--", "<a ", "<", "&", "<script>", "<p>", "</", "&#", "<!-- >"]
)
def test_no_body_keeps_a_worker(piece: str) -> None:
    """Each of these took the standard library's parser up to a minute, or does not end."""
    only(body={"contentType": "html", "content": piece * (300_000 // len(piece))})


def test_texts_without_an_end_are_cut() -> None:
    event = only(
        subject="t" * 2000,
        body={"contentType": "text", "content": "d" * 20_000},
        location={"displayName": "l" * 2000},
    )
    assert (len(event.title), len(event.location), len(event.description)) == (1024, 1024, 16_384)
    assert event.details["cut"] == ["title", "location", "description"]


def test_what_comes_as_null() -> None:
    event = only(
        subject=None, body=None, location=None, attendees=None, organizer=None, showAs=None,
        sensitivity=None, iCalUId=None, webLink=None, categories=None, responseStatus=None,
        createdDateTime=None, lastModifiedDateTime=None, isAllDay=None, isReminderOn=None,
        reminderMinutesBeforeStart=None, importance=None, isOrganizer=None,
        originalStartTimeZone=None, originalEndTimeZone=None,
    )  # fmt: skip
    assert (event.title, event.description, event.location) == ("", "", "")
    assert (event.attendees, event.organizer_email, event.busy) == ((), "", True)
    assert (event.time_zone, event.remote_updated_at, event.details) == ("UTC", None, {})


# Times


def test_a_whole_day_is_its_dates_whatever_the_zone() -> None:
    event = only(
        isAllDay=True, start=moment("2026-03-29T00:00:00"), end=moment("2026-03-30T00:00:00")
    )
    assert event.all_day
    assert (event.start_date, event.end_date) == (date(2026, 3, 29), date(2026, 3, 30))
    assert (event.start_at, event.end_at) == (utc(2026, 3, 28, 23), utc(2026, 3, 29, 22))
    same = only(
        isAllDay=True, start=moment("2026-03-29T00:00:00"), end=moment("2026-03-29T00:00:00")
    )
    assert same.end_date == date(2026, 3, 30)


@pytest.mark.parametrize(
    ("told", "name", "unknown"),
    [
        ("W. Europe Standard Time", "Europe/Berlin", None),
        ("w. europe standard time", "Europe/Berlin", None),
        ("Pacific Standard Time", "America/Los_Angeles", None),
        ("Europe/Zurich", "Europe/Zurich", None),
        ("UTC", "UTC", None),
        ("tzone://Microsoft/Utc", "UTC", None),
        ("tzone://Microsoft/Custom", "UTC", "tzone://Microsoft/Custom"),
        ("Customized Time Zone", "UTC", "Customized Time Zone"),
        ("../../etc/passwd", "UTC", "../../etc/passwd"),
        ("x" * 99, "UTC", "x" * 64),
    ],
)
def test_zones(told: str, name: str, unknown: str | None) -> None:
    event = only(originalStartTimeZone=told, originalEndTimeZone=told)
    assert event.time_zone == name
    assert event.details.get("unknown_time_zone") == unknown
    assert event.start_at == utc(2026, 3, 2, 9)


def test_a_zone_of_the_end_of_its_own() -> None:
    assert only(originalEndTimeZone="GMT Standard Time").details["end_time_zone"] == "Europe/London"
    assert "end_time_zone" not in only(originalEndTimeZone="tzone://Microsoft/Custom").details


def test_times_that_are_not_in_utc_nevertheless() -> None:
    event = only(
        start=moment("2026-07-01T10:00:00", "Pacific Standard Time"),
        end={"dateTime": "2026-07-01T20:00:00+02:00", "timeZone": "UTC"},
    )
    assert (event.start_at, event.end_at) == (utc(2026, 7, 1, 17), utc(2026, 7, 1, 18))


def test_seven_digits_of_a_second() -> None:
    event = only(start={"dateTime": "2026-03-02T09:00:00.1234567", "timeZone": "UTC"})
    assert event.start_at == datetime(2026, 3, 2, 9, 0, 0, 123457, UTC)


def test_the_year_one_is_never() -> None:
    event = only(lastModifiedDateTime=NEVER)
    assert event.remote_updated_at is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"start": None}, "it has no start"),
        ({"end": ...}, "it has no end"),
        ({"end": moment("2026-03-02T08:00:00")}, "it ends before it starts"),
        ({"start": moment("2026-03-02T08:00:00", "tzone://Microsoft/Custom")}, "an unknown zone"),
        ({"start": moment("0001-01-01T00:00:00")}, "outside of the years"),
        ({"isAllDay": True, "end": moment("2026-03-01T00:00:00")}, "it ends before it starts"),
        ({"isAllDay": True, "start": moment("0001-01-01T00:00:00")}, "outside of the years"),
        ({"start": {"dateTime": "nonsense"}}, "$.start.dateTime"),
        ({"start": "tomorrow"}, "$.start"),
        ({"subject": {"text": "x"}}, "$.subject"),
        ({"attendees": "all"}, "$.attendees"),
    ],
)
def test_what_has_no_sane_reading(changes: dict[str, Any], why: str) -> None:
    assert why in reason(**changes)


def test_the_rule_of_a_series_is_told_with_its_occurrences() -> None:
    assert only(recurrence=DAILY).details["recurrence"] == ["RRULE:FREQ=DAILY;COUNT=3"]
    assert "recurrence" not in only(recurrence={**DAILY, "pattern": {"type": "lunar"}}).details
    assert master()["recurrence"] == DAILY
