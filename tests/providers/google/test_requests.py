"""What Google's adapter asks for, and what it makes of accounts and calendars."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from providers.base import Account, RemoteCalendar, Window
from providers.errors import CalendarNotFound, InvalidResponse, ProviderUnavailable, ScopeMissing
from tests.providers.google import calls
from tests.providers.google.calls import (
    ACCESS,
    AUTH,
    EVERY_CALL,
    GOOGLE,
    QUERY,
    REGISTRATION,
    TOKEN,
    account,
    calendar,
    calendars,
)
from tests.providers.google.listings import FIXTURES
from tests.providers.scripted import Scripted, reply

API = "https://www.googleapis.com/calendar/v3"


def fixture(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_text())


# Scopes


@pytest.mark.parametrize(
    ("granted", "missing"),
    [
        ("openid email calendar.calendarlist.readonly calendar.events.readonly", ""),
        ("calendar", ""),
        ("calendar.readonly", ""),
        ("calendar.calendarlist calendar.events", ""),
        ("calendar.readonly calendar.events", ""),
        ("calendar.events", "calendar.calendarlist.readonly"),
        ("calendar.calendarlist", "calendar.events.readonly"),
        ("calendar.events.owned.readonly calendar.calendarlist", "calendar.events.readonly"),
        ("calendar.freebusy", "calendar.calendarlist.readonly calendar.events.readonly"),
        ("openid email", "calendar.calendarlist.readonly calendar.events.readonly"),
        ("", "calendar.calendarlist.readonly calendar.events.readonly"),
    ],
)
def test_missing_scopes(granted: str, missing: str) -> None:
    full = [name if name in {"openid", "email"} else AUTH + name for name in granted.split()]
    assert GOOGLE.missing_scopes(full) == tuple(AUTH + name for name in missing.split())


def test_a_scope_is_only_its_full_name() -> None:
    assert len(GOOGLE.missing_scopes(["calendar", "https://evil.example/auth/calendar"])) == 2


# Requests


@pytest.mark.parametrize("call", EVERY_CALL)
def test_the_token_travels_in_the_header_alone(call: Callable[[Scripted], object]) -> None:
    http = Scripted([reply(503)])
    with pytest.raises(ProviderUnavailable):
        call(http)
    [asked] = http.requests
    assert asked.method == "GET"
    assert asked.headers == {"Authorization": "Bearer ya29.canary"}
    assert "canary" not in asked.url


@pytest.mark.parametrize("call", EVERY_CALL)
def test_the_registration_s_endpoints_are_used(
    monkeypatch: pytest.MonkeyPatch, call: Callable[[Scripted], object]
) -> None:
    own = replace(
        GOOGLE.endpoints, userinfo="http://127.0.0.1:1/who", api_root="http://127.0.0.1:1/api"
    )
    access = replace(REGISTRATION, endpoints=own).access(TOKEN)
    monkeypatch.setattr(calls, "ACCESS", access)
    http = Scripted([reply(503)])
    with pytest.raises(ProviderUnavailable):
        call(http)
    assert http.requests[0].url.startswith("http://127.0.0.1:1/")


def test_account() -> None:
    http = Scripted([reply(200, fixture("userinfo"))])
    assert account(http) == Account(
        "110248495921238986420", "anna@example.com", email_verified=True, name="Anna Example"
    )
    assert http.requests[0].url == "https://openidconnect.googleapis.com/v1/userinfo"


@pytest.mark.parametrize(
    ("said", "verified"), [(True, True), ("true", True), (False, False), ("no", False)]
)
def test_whether_the_address_is_verified(said: object, verified: bool) -> None:
    found = account(Scripted([reply(200, {"sub": "1", "email": "a@b", "email_verified": said})]))
    assert found == Account("1", "a@b", email_verified=verified)


def test_an_account_without_its_address() -> None:
    with pytest.raises(ScopeMissing) as raised:
        account(Scripted([reply(200, {"sub": "1"})]))
    assert raised.value.missing == ("email",)


@pytest.mark.parametrize("body", [{}, {"sub": ""}, {"sub": 5}, [], b"<html>", b""])
def test_what_names_no_account(body: object) -> None:
    with pytest.raises(InvalidResponse):
        account(Scripted([reply(200, body)]))


def test_primary_is_resolved() -> None:
    http = Scripted([reply(200, fixture("calendar_list")["items"][1])])
    assert calendar(http) == RemoteCalendar(
        id="anna@example.com",
        name="anna@example.com",
        time_zone="Europe/Berlin",
        access_role="owner",
        is_primary=True,
        color="#9fe1e7",
    )
    assert http.requests[0].url == f"{API}/users/me/calendarList/primary"


def test_ids_are_quoted() -> None:
    http = Scripted([reply(200, {"id": "x"})])
    GOOGLE.fetch_calendar(http, ACCESS, "de.german#holiday@group.v/../x?y")
    assert http.requests[0].path.endswith(
        "/calendarList/de.german%23holiday%40group.v%2F..%2Fx%3Fy"
    )


@pytest.mark.parametrize("calendar_id", ["", ".", ".."])
def test_ids_that_are_none(calendar_id: str) -> None:
    http = Scripted([reply(200, {})])
    with pytest.raises(CalendarNotFound):
        GOOGLE.fetch_calendar(http, ACCESS, calendar_id)
    with pytest.raises(CalendarNotFound):
        GOOGLE.fetch_events(http, ACCESS, replace(QUERY, calendar_id=calendar_id))
    assert http.requests == []


def test_a_calendar_that_left_the_list() -> None:
    with pytest.raises(CalendarNotFound):
        calendar(Scripted([reply(200, {"id": "x", "deleted": True})]))


def test_calendars_the_primary_one_first() -> None:
    found = fixture("calendar_list")
    first = {"items": found["items"][:1], "nextPageToken": "p2"}
    empty = {"nextPageToken": "p3"}
    http = Scripted(
        [reply(200, first), reply(200, empty), reply(200, {"items": found["items"][1:]})]
    )
    got = GOOGLE.list_calendars(http, ACCESS)
    assert [entry.id for entry in got] == [
        "anna@example.com",
        "c_3f1e5d7@group.calendar.google.com",
        "de.german#holiday@group.v.calendar.google.com",
    ]
    assert [entry.name for entry in got[1:]] == ["My team", "Feiertage"]
    assert [entry.time_zone for entry in got] == ["Europe/Berlin", "America/New_York", ""]
    assert [entry.access_role for entry in got[1:]] == ["writerWithoutPrivateAccess", "reader"]
    assert [asked.query for asked in http.requests] == [
        {"maxResults": "250"},
        {"maxResults": "250", "pageToken": "p2"},
        {"maxResults": "250", "pageToken": "p3"},
    ]


def test_a_list_of_calendars_without_an_end() -> None:
    http = Scripted([reply(200, {"nextPageToken": "again"})])
    with pytest.raises(InvalidResponse):
        calendars(http)
    assert len(http.requests) == 40


def test_a_full_listing() -> None:
    berlin = timezone(timedelta(hours=1))
    window = Window(datetime(2026, 1, 1, 0, 30, 0, 999, berlin), datetime(2027, 1, 1, tzinfo=UTC))
    http = Scripted([reply(200, {"nextPageToken": "p2"}), reply(200, {"nextSyncToken": "s"})])
    page = GOOGLE.fetch_events(http, ACCESS, replace(QUERY, window=window))
    assert (page.next_page_token, page.next_cursor) == ("p2", "")
    page = GOOGLE.fetch_events(http, ACCESS, replace(QUERY, window=window, page_token="p2"))
    assert (page.next_page_token, page.next_cursor) == ("", "s")
    first, second = http.requests
    assert first.path == second.path == f"{API}/calendars/anna%40example.com/events"
    asked = first.query
    assert asked.pop("fields").startswith("nextPageToken,nextSyncToken,")
    assert asked == {
        "singleEvents": "true",
        "maxResults": "2500",
        "timeMin": "2025-12-31T23:30:00Z",
        "timeMax": "2027-01-01T00:00:00Z",
    }
    assert second.query == first.query | {"pageToken": "p2"}


def test_an_incremental_listing_has_no_time_bounds() -> None:
    http = Scripted([reply(200, {"nextPageToken": "p"}), reply(200, {"nextSyncToken": "s2"})])
    query = replace(QUERY, cursor="CPDAlvWDx70CEPDAlvWDx70CGAU=")
    GOOGLE.fetch_events(http, ACCESS, query)
    GOOGLE.fetch_events(http, ACCESS, replace(query, page_token="p"))
    first, second = (asked.query for asked in http.requests)
    assert first["syncToken"] == second["syncToken"] == "CPDAlvWDx70CEPDAlvWDx70CGAU="
    assert set(first) == {"singleEvents", "maxResults", "fields", "syncToken"}
    assert second == first | {"pageToken": "p"}
