"""Changing and deleting events at Graph: what is sent, and what came of it."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from providers.errors import (
    CalendarNotFound,
    CalendarReadOnly,
    EventChanged,
    EventNotFound,
    InvalidResponse,
    MeetingUnavailable,
    NotificationUnavoidable,
    ProviderError,
    UnsupportedRecurrence,
)
from tests.providers.microsoft.calls import refusal
from tests.providers.microsoft.listings import moment, utc
from tests.providers.microsoft.writes import (
    BO,
    EVENTS,
    JOIN,
    RESULT,
    RIGHTS,
    WRITTEN,
    change,
    delete,
)
from tests.providers.scripted import Scripted, reply

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
