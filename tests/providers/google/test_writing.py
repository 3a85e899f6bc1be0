"""What is sent to Google to write."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from msgspec import UNSET, structs

from providers.base import RemoteAttendee
from providers.errors import EventChanged, RequestRefused, UnsupportedRecurrence
from tests.providers.google.calls import ACCESS, AUTH, GOOGLE
from tests.providers.google.writes import API, DRAFT, EVENTS, FOUND, ID, change, create, delete
from tests.providers.scripted import Scripted, reply
from tests.sandbox import discovery


def sent(**fields: Any) -> dict[str, Any]:
    """The body of an insert, which has to be as Google describes events."""
    http = Scripted([reply(200, FOUND)])
    create(http, structs.replace(DRAFT, **fields))
    body: dict[str, Any] = http.requests[0].json
    discovery.check("Event", body)
    return body


def patched(**changes: Any) -> dict[str, Any]:
    http = Scripted([reply(200, FOUND)])
    change(http, **changes)
    body: dict[str, Any] = http.requests[0].json
    return body


# Requests


@pytest.mark.parametrize(("notify", "updates"), [(True, "all"), (False, "none")])
def test_requests(notify: bool, updates: str) -> None:
    http = Scripted([reply(200, FOUND), reply(200, FOUND), reply(204)])
    create(http, notify=notify)
    change(http, title="Dinner", notify=notify)
    delete(http, etag='"2"', notify=notify)
    insert, patch, deletion = http.requests
    assert (insert.method, insert.path) == ("POST", EVENTS)
    assert (patch.method, patch.path) == ("PATCH", f"{EVENTS}/{ID}")
    assert (deletion.method, deletion.path) == ("DELETE", f"{EVENTS}/{ID}")
    for request in http.requests:
        assert request.query["sendUpdates"] == updates
        assert request.headers["Authorization"] == "Bearer ya29.canary"
        assert "canary" not in request.url
    for request in (insert, patch):
        assert request.query["conferenceDataVersion"] == "1"
        assert request.headers["Content-Type"] == "application/json"
    assert "If-Match" not in insert.headers
    assert patch.headers["If-Match"] == '"1"'
    assert deletion.headers["If-Match"] == '"2"'
    assert deletion.body == b""
    delete(http)
    assert "If-Match" not in http.requests[-1].headers


def test_every_parameter_and_scope_exists() -> None:
    document = json.loads(discovery._DOCUMENT.read_text())
    methods = document["resources"]["events"]["methods"]
    http = Scripted([*[reply(200, FOUND)] * 3, reply(204)])
    create(http)
    change(http, attendees=())
    delete(http)
    names = ("insert", "get", "patch", "delete")
    for request, name in zip(http.requests, names, strict=True):
        method = methods[name]
        assert request.query.keys() <= method["parameters"].keys() | document["parameters"].keys()
        assert request.method == method["httpMethod"]
        assert set(GOOGLE.write_scopes) <= set(method["scopes"])
        updates = request.query.get("sendUpdates", "none")
        assert updates in methods["insert"]["parameters"]["sendUpdates"]["enum"]


def test_ids_are_quoted() -> None:
    http = Scripted([reply(200, FOUND)])
    GOOGLE.read_written(http, ACCESS, "de#holiday@x/../y", "a/../b?c#d")
    assert (
        http.requests[0].path
        == f"{API}/calendars/de%23holiday%40x%2F..%2Fy/events/a%2F..%2Fb%3Fc%23d"
    )


# Scopes


@pytest.mark.parametrize(
    ("granted", "enough"),
    [
        ("calendar.events", True),
        ("calendar.events.owned", True),
        ("calendar", True),
        ("calendar.events.readonly calendar.readonly calendar.calendarlist", False),
        ("", False),
    ],
)
def test_missing_write_scopes(granted: str, enough: bool) -> None:
    missing = GOOGLE.missing_write_scopes([AUTH + name for name in granted.split()])
    assert missing == (() if enough else (f"{AUTH}calendar.events",))


def test_writing_is_not_asked_for_by_default() -> None:
    assert GOOGLE.missing_write_scopes(GOOGLE.default_scopes) == GOOGLE.write_scopes
    given = {*GOOGLE.default_scopes, *GOOGLE.write_scopes} - {f"{AUTH}calendar.events.readonly"}
    assert GOOGLE.missing_scopes(given) == ()


# Bodies


def test_a_plain_draft() -> None:
    assert sent() == {
        "id": ID,
        "start": {"dateTime": "2026-03-02T10:00:00+01:00", "timeZone": "Europe/Berlin"},
        "end": {"dateTime": "2026-03-02T11:00:00+01:00", "timeZone": "Europe/Berlin"},
        "summary": "Lunch",
        "transparency": "opaque",
        "visibility": "default",
    }


def test_a_full_draft() -> None:
    body = sent(
        description="d",
        location="l",
        busy=False,
        visibility="private",
        attendees=(RemoteAttendee("a@b.example", "A", optional=True),),
        recurrence=("RRULE:FREQ=DAILY;COUNT=2", "EXDATE;TZID=Europe/Berlin:20260303T100000"),
        meeting=True,
    )
    assert (body["description"], body["location"]) == ("d", "l")
    assert (body["transparency"], body["visibility"]) == ("transparent", "private")
    assert body["attendees"] == [
        {
            "email": "a@b.example",
            "displayName": "A",
            "responseStatus": "needsAction",
            "optional": True,
        }
    ]
    assert len(body["recurrence"]) == 2
    key = {"type": "hangoutsMeet"}
    create_request = {"requestId": ID, "conferenceSolutionKey": key}
    assert body["conferenceData"] == {"createRequest": create_request}


def test_days_and_zones() -> None:
    days = sent(start_date=date(2026, 3, 2), end_date=date(2026, 3, 4))
    assert (days["start"], days["end"]) == ({"date": "2026-03-02"}, {"date": "2026-03-04"})
    assert sent(time_zone="")["start"] == {"dateTime": "2026-03-02T09:00:00+00:00"}
    series = sent(time_zone="", recurrence=("RRULE:FREQ=DAILY",))
    assert series["start"]["timeZone"] == series["end"]["timeZone"] == "UTC"


@pytest.mark.parametrize("zone", ["Mars/Base", "W. Europe Standard Time", "../etc"])
def test_zones_that_are_none(zone: str) -> None:
    http = Scripted([reply(200, FOUND)])
    with pytest.raises(RequestRefused):
        create(http, structs.replace(DRAFT, time_zone=zone))
    with pytest.raises(RequestRefused):
        change(http, time_zone=zone)
    assert http.requests == []


@pytest.mark.parametrize("draft_id", ["", "abcd", "with-dash", "wxyz0", "a" * 1025, "ä" * 32])
def test_ids_that_google_does_not_take(draft_id: str) -> None:
    http = Scripted([reply(200, FOUND)])
    with pytest.raises(RequestRefused):
        create(http, structs.replace(DRAFT, id=draft_id))
    assert http.requests == []


def test_ids_are_in_lower_case() -> None:
    assert sent(id=ID.upper())["id"] == ID


def test_a_patch_has_only_what_changes() -> None:
    assert patched() == {}
    assert patched(title="Dinner") == {"summary": "Dinner"}
    assert patched(description="", location="") == {"description": None, "location": None}
    assert patched(busy=True, visibility="public") == {
        "transparency": "opaque",
        "visibility": "public",
    }
    assert patched(recurrence=()) == {"recurrence": None}
    assert patched(meeting=False) == {"conferenceData": None}
    zones = {"timeZone": "Asia/Tokyo"}
    assert patched(time_zone="Asia/Tokyo") == {"start": zones, "end": zones}


def test_a_patch_removes_the_other_kind_of_time() -> None:
    days = {"start_date": date(2026, 3, 2), "end_date": date(2026, 3, 3)}
    times = {"start_at": DRAFT.start_at, "end_at": DRAFT.end_at}
    assert patched(**days, **times)["start"] == {
        "date": "2026-03-02",
        "dateTime": None,
        "timeZone": None,
    }
    for more in ({}, {"start_date": None, "end_date": None}):
        assert patched(**times, **more)["end"] == {
            "dateTime": "2026-03-02T10:00:00+00:00",
            "date": None,
        }


@pytest.mark.parametrize("name", ["start_at", "end_at", "start_date", "end_date"])
def test_start_and_end_change_together(name: str) -> None:
    value = getattr(DRAFT, name) or date(2026, 3, 2)
    with pytest.raises(RequestRefused):
        patched(**{name: value})


# Attendees


def test_who_stays_keeps_the_answer() -> None:
    known: list[dict[str, object]] = [
        {
            "email": "Ann@Guests.example",
            "displayName": "Ann",
            "responseStatus": "declined",
            "comment": "Ill",
            "additionalGuests": 2,
            "optional": True,
        },
        {"email": "me@guests.example", "self": True, "responseStatus": "accepted"},
        {"email": "out@guests.example", "responseStatus": "accepted"},
    ]
    http = Scripted([reply(200, FOUND | {"attendees": known}), reply(200, FOUND)])
    guests = (
        RemoteAttendee("ann@guests.example", response="accepted"),
        RemoteAttendee("me@guests.example", response="tentative"),
        RemoteAttendee("new@guests.example", "New", response="accepted"),
    )
    change(http, attendees=guests)
    asked, patch = http.requests
    assert (asked.method, asked.path) == ("GET", f"{EVENTS}/{ID}")
    assert patch.headers["If-Match"] == '"1"'
    assert patch.json["attendees"] == [
        known[0] | {"email": "ann@guests.example", "optional": False},
        known[1] | {"responseStatus": "tentative"},
        {"email": "new@guests.example", "displayName": "New", "responseStatus": "accepted"},
    ]


def test_an_account_that_says_nothing_keeps_its_answer() -> None:
    known = [{"email": "me@guests.example", "self": True, "responseStatus": "accepted"}]
    http = Scripted([reply(200, FOUND | {"attendees": known}), reply(200, FOUND)])
    change(http, attendees=(RemoteAttendee("me@guests.example"),))
    assert http.requests[1].json["attendees"] == known


def test_a_list_that_is_cut_is_not_written_back() -> None:
    http = Scripted([reply(200, FOUND | {"attendeesOmitted": True})])
    with pytest.raises(RequestRefused):
        change(http, attendees=(RemoteAttendee("a@b.example"),))
    assert len(http.requests) == 1


def test_attendees_are_read_and_written_at_one_version() -> None:
    http = Scripted([reply(200, FOUND | {"etag": '"2"'})])
    with pytest.raises(EventChanged):
        change(http, attendees=())
    assert len(http.requests) == 1
    http = Scripted([reply(200, FOUND | {"etag": '"2"'})])
    change(http, attendees=(), etag="")
    assert http.requests[1].headers["If-Match"] == '"2"'


@pytest.mark.parametrize("line", ["", "DTSTART:20260302", "RRULE", "RRULE:FREQ=DAILY\nRDATE:x"])
def test_lines_that_are_no_recurrence(line: str) -> None:
    http = Scripted([reply(200, FOUND)])
    with pytest.raises(UnsupportedRecurrence):
        create(http, structs.replace(DRAFT, recurrence=(line,)))
    assert http.requests == []


def test_unset_is_false() -> None:
    """`patch_of` relies on it."""
    assert not UNSET
