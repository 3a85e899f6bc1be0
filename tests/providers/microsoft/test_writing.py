"""Creating events at Graph: what is sent, what is refused beforehand, and what is there then."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from providers.base import RemoteAttendee
from providers.errors import (
    AccessTokenRejected,
    CalendarNotFound,
    CalendarReadOnly,
    EventNotFound,
    InvalidResponse,
    MeetingUnavailable,
    NotificationUnavoidable,
    ProviderError,
    QuotaExceeded,
    RequestRefused,
    ScopeMissing,
    UnsupportedRecurrence,
)
from tests.providers.microsoft.calls import ACCESS, MICROSOFT, refusal
from tests.providers.microsoft.listings import ROOT, utc
from tests.providers.microsoft.writes import (
    BO,
    EVENTS,
    ID,
    JOIN,
    RESULT,
    RIGHTS,
    WRITTEN,
    create,
    sent,
)
from tests.providers.scripted import Scripted, reply

# Creating


def test_a_plain_event() -> None:
    http = Scripted([reply(201, WRITTEN)])
    assert create(http) == RESULT
    [asked] = http.requests
    assert (asked.method, asked.url) == ("POST", EVENTS)
    assert 'IdType="ImmutableId"' in asked.headers["Prefer"]
    assert asked.json == {
        "subject": "Lunch",
        "body": {"contentType": "text", "content": ""},
        "location": {"displayName": ""},
        "showAs": "busy",
        "sensitivity": "normal",
        "attendees": [],
        "start": {"dateTime": "2026-03-10T10:00:00", "timeZone": "W. Europe Standard Time"},
        "end": {"dateTime": "2026-03-10T11:00:00", "timeZone": "W. Europe Standard Time"},
        "isAllDay": False,
        "transactionId": ID,
    }


def test_the_same_draft_is_the_same_request() -> None:
    assert sent() == sent()


def test_all_that_a_draft_can_say() -> None:
    body = sent(
        description="One\ntwo", location="Room 1", busy=False, visibility="confidential",
        attendees=(BO, RemoteAttendee("cy@example.com", optional=True),
                   RemoteAttendee("room@example.com", resource=True),
                   RemoteAttendee("me@example.com", organizer=True)),
    )  # fmt: skip
    assert body["body"] == {"contentType": "text", "content": "One\ntwo"}
    assert body["location"] == {"displayName": "Room 1"}
    assert (body["showAs"], body["sensitivity"]) == ("free", "confidential")
    assert body["attendees"] == [
        {"type": "required", "emailAddress": {"address": "bo@example.com", "name": "Bo"}},
        {"type": "optional", "emailAddress": {"address": "cy@example.com"}},
        {"type": "resource", "emailAddress": {"address": "room@example.com"}},
    ]


@pytest.mark.parametrize(
    ("name", "told", "hour"),
    [
        ("Europe/Berlin", "W. Europe Standard Time", "10"),
        ("Europe/Vienna", "W. Europe Standard Time", "10"),
        ("", "UTC", "09"),
        ("UTC", "UTC", "09"),
        ("Mars/Olympus", "UTC", "09"),
    ],
)
def test_zones_of_single_events(name: str, told: str, hour: str) -> None:
    start = sent(time_zone=name)["start"]
    assert start == {"dateTime": f"2026-03-10T{hour}:00:00", "timeZone": told}


def test_an_hour_that_clocks_show_twice_is_told_in_utc() -> None:
    body = sent(start_at=utc(2026, 10, 25, 1, 30), end_at=utc(2026, 10, 25, 3))
    assert body["start"] == {"dateTime": "2026-10-25T01:30:00", "timeZone": "UTC"}
    assert body["end"] == {"dateTime": "2026-10-25T03:00:00", "timeZone": "UTC"}


def test_whole_days() -> None:
    body = sent(
        start_at=utc(2026, 3, 27, 23), end_at=utc(2026, 3, 29, 22),
        start_date=date(2026, 3, 28), end_date=date(2026, 3, 30),
    )  # fmt: skip
    assert body["isAllDay"]
    assert body["start"] == {
        "dateTime": "2026-03-28T00:00:00", "timeZone": "W. Europe Standard Time"
    }  # fmt: skip
    assert body["end"]["dateTime"] == "2026-03-30T00:00:00"


def test_a_series() -> None:
    body = sent(recurrence=("RRULE:FREQ=WEEKLY;COUNT=3",))
    assert body["recurrence"]["pattern"]["daysOfWeek"] == ["tuesday"]
    assert body["recurrence"]["range"] == {
        "type": "numbered",
        "startDate": "2026-03-10",
        "recurrenceTimeZone": "W. Europe Standard Time",
        "numberOfOccurrences": 3,
    }
    # The day in its own zone: ten minutes to midnight in UTC is the next day in Berlin.
    late = sent(
        start_at=utc(2026, 3, 10, 23, 50),
        end_at=utc(2026, 3, 11),
        recurrence=("RRULE:FREQ=WEEKLY",),
    )
    assert late["recurrence"]["pattern"]["daysOfWeek"] == ["wednesday"]


def test_what_cannot_be_repeated_is_refused_before_anything_is_sent() -> None:
    http = Scripted([reply(201, WRITTEN)])
    with pytest.raises(UnsupportedRecurrence):
        create(http, recurrence=("RRULE:FREQ=HOURLY",))
    assert http.requests == []


def test_outlook_invites_whoever_is_named() -> None:
    http = Scripted([reply(201, WRITTEN)])
    with pytest.raises(NotificationUnavoidable):
        create(http, attendees=(BO,))
    assert http.requests == []
    assert create(http, attendees=(BO,), notify=True) == RESULT


def test_a_meeting() -> None:
    made = WRITTEN | {"isOnlineMeeting": True, "onlineMeeting": {"joinUrl": JOIN}}
    http = Scripted([reply(200, RIGHTS), reply(201, made)])
    got = create(http, meeting=True)
    assert (got.meeting_url, got.meeting_pending) == (JOIN, False)
    looked, asked = http.requests
    assert looked.path == f"{ROOT}/me/calendars/AQMk-cal"
    assert asked.json["isOnlineMeeting"] is True
    assert asked.json["onlineMeetingProvider"] == "teamsForBusiness"
    pending = create(
        Scripted([reply(200, RIGHTS), reply(201, made | {"onlineMeeting": None})]), meeting=True
    )
    assert (pending.meeting_url, pending.meeting_pending) == ("", True)


@pytest.mark.parametrize("allowed", [[], ["skypeForConsumer"], None])
def test_accounts_without_meetings(allowed: list[str] | None) -> None:
    http = Scripted([reply(200, RIGHTS | {"allowedOnlineMeetingProviders": allowed})])
    with pytest.raises(MeetingUnavailable):
        create(http, meeting=True)
    assert [one.method for one in http.requests] == ["GET"]


def test_a_draft_that_was_sent_before_is_its_event() -> None:
    conflict = refusal(409, "ErrorDuplicateTransactionId")
    other = WRITTEN | {"id": "other", "transactionId": None}
    http = Scripted(
        [conflict, reply(200, {"value": [other, WRITTEN]}), reply(200, {"responses": []})]
    )
    assert create(http) == RESULT
    looked = http.requests[1]
    assert looked.path == f"{ROOT}/me/calendars/AQMk-cal/calendarView"
    assert looked.query["startDateTime"] == "2026-03-10T09:00:00+00:00"
    assert looked.query["endDateTime"] == "2026-03-10T09:01:00+00:00"


def test_a_series_that_was_sent_before_is_found_by_an_occurrence() -> None:
    occurrence = WRITTEN | {"id": "first", "transactionId": None, "seriesMasterId": "AAMk-event"}
    batch = {"responses": [{"id": "0", "status": 200, "headers": {}, "body": WRITTEN}]}
    http = Scripted([refusal(409, "x"), reply(200, {"value": [occurrence]}), reply(200, batch)])
    assert create(http, recurrence=("RRULE:FREQ=DAILY",)) == RESULT


def test_a_conflict_with_something_else() -> None:
    with pytest.raises(RequestRefused):
        create(Scripted([refusal(409, "conflict"), reply(200, {"value": []})]))


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([refusal(403, "ErrorAccessDenied"), reply(200, RIGHTS | {"canEdit": False})],
         CalendarReadOnly),
        ([refusal(403, "ErrorAccessDenied"), reply(200, RIGHTS)], ScopeMissing),
        ([refusal(404, "ErrorItemNotFound")], CalendarNotFound),
        ([refusal(401, "InvalidAuthenticationToken")], AccessTokenRejected),
        ([refusal(400, "ErrorPropertyValidationFailure")], RequestRefused),
        ([refusal(507, "ErrorQuotaExceeded")], QuotaExceeded),
        ([reply(201, b"<html>")], InvalidResponse),
    ],
)  # fmt: skip
def test_events_that_are_not_made(answers: list[Any], error: type[ProviderError]) -> None:
    with pytest.raises(error) as raised:
        create(Scripted(answers))
    assert type(raised.value) is error


# Reading


def test_reading_what_was_written() -> None:
    http = Scripted([reply(200, WRITTEN)])
    assert MICROSOFT.read_written(http, ACCESS, "AQMk-cal", "AAMk+event=") == RESULT
    assert http.requests[0].path == f"{EVENTS}/AAMk%2Bevent%3D"
    with pytest.raises(EventNotFound):
        MICROSOFT.read_written(
            Scripted([refusal(404, "ErrorItemNotFound"), reply(200, RIGHTS)]),
            ACCESS,
            "AQMk-cal",
            "x",
        )
