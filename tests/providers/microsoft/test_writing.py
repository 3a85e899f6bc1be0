"""Writing events at Graph: what is sent, what is refused beforehand, and what came of it."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from providers.base import RemoteAttendee
from providers.errors import (
    AccessTokenRejected,
    CalendarNotFound,
    CalendarReadOnly,
    EventChanged,
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
from providers.writing import EventChanges, EventDraft, WrittenEvent
from tests.providers.microsoft.calls import ACCESS, MICROSOFT, refusal
from tests.providers.microsoft.listings import ROOT, moment, utc
from tests.providers.scripted import Scripted, reply

ID = "0123456789abcdef0123456789abcdef"
EVENTS = f"{ROOT}/me/calendars/AQMk-cal/events"
WRITTEN = {
    "@odata.etag": 'W/"1"',
    "id": "AAMk-event",
    "iCalUId": "uid-1",
    "type": "singleInstance",
    "isOrganizer": True,
    "isAllDay": False,
    "start": moment("2026-03-10T09:00:00"),
    "end": moment("2026-03-10T10:00:00"),
    "originalStartTimeZone": "W. Europe Standard Time",
    "attendees": [],
    "isOnlineMeeting": False,
    "onlineMeeting": None,
    "onlineMeetingUrl": None,
    "transactionId": ID,
}
RESULT = WrittenEvent(id="AAMk-event", etag='W/"1"', ical_uid="uid-1")
JOIN = "https://teams.microsoft.com/l/meetup-join/1"
BO = RemoteAttendee("bo@example.com", "Bo")
RIGHTS = {"canEdit": True, "allowedOnlineMeetingProviders": ["teamsForBusiness"]}


def draft(**changes: Any) -> EventDraft:
    plain: dict[str, Any] = {
        "id": ID,
        "start_at": utc(2026, 3, 10, 9),
        "end_at": utc(2026, 3, 10, 10),
        "time_zone": "Europe/Berlin",
        "title": "Lunch",
    }
    return EventDraft(**(plain | changes))


def create(http: Any, *, notify: bool = False, **changes: Any) -> WrittenEvent:
    return MICROSOFT.create_event(http, ACCESS, "AQMk-cal", draft(**changes), notify=notify)


def change(http: Any, *, etag: str = 'W/"1"', notify: bool = False, **changes: Any) -> WrittenEvent:
    return MICROSOFT.change_event(
        http, ACCESS, "AQMk-cal", "AAMk-event", EventChanges(**changes), etag=etag, notify=notify
    )


def delete(http: Any, *, etag: str = "", notify: bool = True) -> None:
    MICROSOFT.delete_event(http, ACCESS, "AQMk-cal", "AAMk-event", etag=etag, notify=notify)


def sent(**changes: Any) -> dict[str, Any]:
    """What is sent for a draft."""
    http = Scripted([reply(201, WRITTEN)])
    create(http, notify=True, **changes)
    found: dict[str, Any] = http.requests[-1].json
    return found


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


# Changing


def changed(present: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """What is sent for a change."""
    http = Scripted([reply(200, WRITTEN | (present or {})), reply(200, WRITTEN)])
    change(http, notify=True, **changes)
    asked = http.requests[-1]
    assert (asked.method, asked.url) == ("PATCH", f"{EVENTS}/AAMk-event")
    assert asked.headers["If-Match"] == 'W/"1"'
    found: dict[str, Any] = asked.json
    return found


def test_only_what_is_given_is_changed() -> None:
    assert changed(title="New") == {"subject": "New"}
    assert changed(busy=False, location="") == {"showAs": "free", "location": {"displayName": ""}}
    assert changed(attendees=()) == {"attendees": []}
    assert changed(recurrence=()) == {"recurrence": None}


def test_nothing_to_change_is_not_sent() -> None:
    http = Scripted([reply(200, WRITTEN)])
    assert change(http) == RESULT
    assert [one.method for one in http.requests] == ["GET"]


def test_new_times_in_the_zone_that_the_event_has() -> None:
    body = changed(start_at=utc(2026, 7, 1, 9), end_at=utc(2026, 7, 1, 10))
    assert body == {
        "start": {"dateTime": "2026-07-01T11:00:00", "timeZone": "W. Europe Standard Time"},
        "end": {"dateTime": "2026-07-01T12:00:00", "timeZone": "W. Europe Standard Time"},
        "isAllDay": False,
    }


def test_a_new_zone_for_the_same_times() -> None:
    body = changed(time_zone="America/New_York")
    assert body["start"] == {"dateTime": "2026-03-10T05:00:00", "timeZone": "Eastern Standard Time"}
    days = {
        "isAllDay": True,
        "start": moment("2026-03-10T00:00:00"),
        "end": moment("2026-03-11T00:00:00"),
    }
    body = changed(days, time_zone="America/New_York")
    assert body["isAllDay"]
    assert body["start"]["dateTime"] == "2026-03-10T00:00:00"


def test_from_hours_to_days() -> None:
    body = changed(
        start_at=utc(2026, 3, 9, 23), end_at=utc(2026, 3, 10, 23),
        start_date=date(2026, 3, 10), end_date=date(2026, 3, 11),
    )  # fmt: skip
    assert body["isAllDay"]
    assert body["end"]["dateTime"] == "2026-03-11T00:00:00"


def test_a_new_rule_begins_where_the_event_does() -> None:
    body = changed(recurrence=("RRULE:FREQ=WEEKLY",))
    assert body["recurrence"]["range"]["startDate"] == "2026-03-10"
    assert body["recurrence"]["pattern"]["daysOfWeek"] == ["tuesday"]
    moved = changed(
        recurrence=("RRULE:FREQ=WEEKLY",), start_at=utc(2026, 3, 11, 9), end_at=utc(2026, 3, 11, 10)
    )
    assert moved["recurrence"]["pattern"]["daysOfWeek"] == ["wednesday"]


def test_one_occurrence_does_not_repeat() -> None:
    with pytest.raises(UnsupportedRecurrence):
        changed({"type": "occurrence"}, recurrence=("RRULE:FREQ=WEEKLY",))


def test_an_event_that_has_changed_is_left_alone() -> None:
    http = Scripted([reply(200, WRITTEN)])
    with pytest.raises(EventChanged):
        change(http, etag='W/"0"', title="New")
    assert [one.method for one in http.requests] == ["GET"]


def test_the_version_of_an_occurrence_holds_graphs_etag() -> None:
    http = Scripted([reply(200, WRITTEN)])
    assert change(http, etag='W/"1" 0123456789abcdef', title="New") == RESULT
    assert http.requests[1].headers["If-Match"] == 'W/"1"'


def test_a_precondition_that_fails_by_itself_is_tried_once_more() -> None:
    failed = refusal(412, "ErrorIrresolvableConflict")
    http = Scripted([reply(200, WRITTEN), failed, reply(200, WRITTEN), reply(200, WRITTEN)])
    assert change(http, title="New") == RESULT
    assert [one.method for one in http.requests] == ["GET", "PATCH", "GET", "PATCH"]
    newer = WRITTEN | {"@odata.etag": 'W/"2"'}
    for answers in (
        [reply(200, WRITTEN), failed, reply(200, newer)],
        [reply(200, WRITTEN), failed, reply(200, WRITTEN), failed],
    ):
        with pytest.raises(EventChanged):
            change(Scripted(answers), title="New")


def test_outlook_tells_whoever_was_invited() -> None:
    guests = WRITTEN | {"attendees": [{"type": "required"}]}
    for present, given in ((guests, {"title": "New"}), (WRITTEN, {"attendees": (BO,)}),
                           (guests, {"attendees": ()})):  # fmt: skip
        http = Scripted([reply(200, present)])
        with pytest.raises(NotificationUnavoidable):
            change(http, **given)
        assert [one.method for one in http.requests] == ["GET"]
    # What a guest changes in their own calendar tells nobody.
    mine = Scripted([reply(200, guests | {"isOrganizer": False}), reply(200, WRITTEN)])
    assert change(mine, busy=False) == RESULT


def test_a_meeting_is_added_and_not_taken_back() -> None:
    meeting = {"isOnlineMeeting": True, "onlineMeeting": {"joinUrl": JOIN}}
    http = Scripted([reply(200, WRITTEN), reply(200, RIGHTS), reply(200, WRITTEN | meeting)])
    assert change(http, meeting=True).meeting_url == JOIN
    assert http.requests[2].json == {
        "isOnlineMeeting": True, "onlineMeetingProvider": "teamsForBusiness"
    }  # fmt: skip
    already = Scripted([reply(200, WRITTEN | meeting)])
    assert change(already, meeting=True).meeting_url == JOIN
    with pytest.raises(MeetingUnavailable):
        change(Scripted([reply(200, WRITTEN | meeting)]), meeting=False)
    assert change(Scripted([reply(200, WRITTEN)]), meeting=False) == RESULT


def test_how_to_join_stays_in_the_body() -> None:
    present = WRITTEN | {"isOnlineMeeting": True, "onlineMeeting": {"joinUrl": JOIN}}
    html = (
        f'<html><body>Old<br><div class="me"><span>{"_" * 80}</span><a href="{JOIN}">Join</a></div>'
    )
    http = Scripted(
        [
            reply(200, present),
            reply(200, {"id": "x", "body": {"contentType": "html", "content": html}}),
            reply(200, present),
        ]
    )
    change(http, description="New <b>\ntext")
    assert 'body-content-type="html"' in http.requests[1].headers["Prefer"]
    body = http.requests[2].json["body"]
    assert body["contentType"] == "html"
    assert body["content"].startswith('<div>New &lt;b&gt;<br>\ntext</div>\n<div class="me">')
    assert JOIN in body["content"]
    assert "Old" not in body["content"]


def test_a_description_that_says_how_to_join_is_taken_as_it_is() -> None:
    present = WRITTEN | {"isOnlineMeeting": True, "onlineMeeting": {"joinUrl": JOIN}}
    html = {"body": {"contentType": "html", "content": f"<div>{'_' * 80}{JOIN}</div>"}}
    http = Scripted([reply(200, present), reply(200, html), reply(200, present)])
    change(http, description=f"Come: {JOIN}")
    assert http.requests[2].json["body"] == {"contentType": "text", "content": f"Come: {JOIN}"}


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([refusal(404, "ErrorItemNotFound"), reply(200, RIGHTS)], EventNotFound),
        ([reply(200, WRITTEN), refusal(404, "ErrorItemNotFound"), reply(200, RIGHTS)],
         EventNotFound),
        ([refusal(404, "ErrorItemNotFound")], CalendarNotFound),
        ([reply(200, WRITTEN | {"start": None})], InvalidResponse),
        ([reply(200, WRITTEN), refusal(403, "ErrorAccessDenied"),
          reply(200, RIGHTS | {"canEdit": False})], CalendarReadOnly),
    ],
)  # fmt: skip
def test_changes_that_fail(answers: list[Any], error: type[ProviderError]) -> None:
    with pytest.raises(error) as raised:
        change(Scripted(answers), title="New")
    assert type(raised.value) is error


# Deleting


def test_deleting() -> None:
    http = Scripted([reply(204)])
    delete(http)
    [asked] = http.requests
    assert (asked.method, asked.url) == ("DELETE", f"{EVENTS}/AAMk-event")
    assert "If-Match" not in asked.headers
    delete(http, etag='W/"1" 0123')
    assert http.requests[-1].headers["If-Match"] == 'W/"1"'


def test_what_is_gone_is_deleted() -> None:
    gone = [refusal(404, "ErrorItemNotFound"), reply(200, RIGHTS)]
    delete(Scripted([*gone]))
    delete(Scripted([*gone]), notify=False)
    with pytest.raises(CalendarNotFound):
        delete(Scripted(gone[:1]))
    with pytest.raises(InvalidResponse):
        delete(Scripted([reply(404, b"<html>")]))


def test_a_deletion_that_would_tell_somebody() -> None:
    guests = WRITTEN | {"attendees": [{"type": "required"}]}
    http = Scripted([reply(200, guests)])
    with pytest.raises(NotificationUnavoidable):
        delete(http, notify=False)
    assert [one.method for one in http.requests] == ["GET"]
    quiet = Scripted([reply(200, WRITTEN), reply(204)])
    delete(quiet, notify=False)
    assert [one.method for one in quiet.requests] == ["GET", "DELETE"]


def test_a_deletion_of_what_has_changed() -> None:
    newer = reply(200, WRITTEN | {"@odata.etag": 'W/"2"'})
    with pytest.raises(EventChanged):
        delete(Scripted([refusal(412, "x"), newer]), etag='W/"1"')
