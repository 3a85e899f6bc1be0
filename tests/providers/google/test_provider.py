"""Google's adapter: what it asks for, and which refusal becomes which error."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from providers.base import Account, ClientRegistration, EventQuery, RemoteCalendar, Window
from providers.errors import (
    AccessTokenRejected,
    CalendarForbidden,
    CalendarNotFound,
    CursorExpired,
    InvalidResponse,
    Misconfigured,
    ProviderError,
    ProviderUnavailable,
    QuotaExceeded,
    RateLimited,
    RequestRefused,
    ScopeMissing,
)
from providers.google.provider import GoogleProvider
from providers.google.wire import CalendarEntry, Event
from tests.providers.scripted import Scripted, reply

FIXTURES = Path(__file__).parent / "fixtures"
GOOGLE = GoogleProvider()
REGISTRATION = ClientRegistration(
    client_id="client-1",
    client_secret="canary-secret",
    endpoints=GOOGLE.endpoints,
    scopes=GOOGLE.default_scopes,
)
TOKEN = "ya29.canary"
AUTH = "https://www.googleapis.com/auth/"
API = "https://www.googleapis.com/calendar/v3"
WINDOW = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
QUERY = EventQuery("anna@example.com", WINDOW)
REFUSALS: dict[str, Any] = json.loads((FIXTURES / "errors.json").read_text())


def fixture(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_text())


def account(http: Scripted) -> object:
    return GOOGLE.fetch_account(http, REGISTRATION, TOKEN)


def calendar(http: Scripted) -> object:
    return GOOGLE.fetch_calendar(http, REGISTRATION, TOKEN, "primary")


def calendars(http: Scripted) -> object:
    return GOOGLE.list_calendars(http, REGISTRATION, TOKEN)


def listing(http: Scripted) -> object:
    return GOOGLE.fetch_events(http, REGISTRATION, TOKEN, QUERY)


def later_page(http: Scripted) -> object:
    return GOOGLE.fetch_events(http, REGISTRATION, TOKEN, replace(QUERY, page_token="p"))


def changes(http: Scripted) -> object:
    return GOOGLE.fetch_events(http, REGISTRATION, TOKEN, replace(QUERY, cursor="c"))


EVERY_CALL = [account, calendar, calendars, listing, later_page, changes]


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
    monkeypatch.setitem(globals(), "REGISTRATION", replace(REGISTRATION, endpoints=own))
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
    GOOGLE.fetch_calendar(http, REGISTRATION, TOKEN, "de.german#holiday@group.v/../x?y")
    assert http.requests[0].path.endswith(
        "/calendarList/de.german%23holiday%40group.v%2F..%2Fx%3Fy"
    )


@pytest.mark.parametrize("calendar_id", ["", ".", ".."])
def test_ids_that_are_none(calendar_id: str) -> None:
    http = Scripted([reply(200, {})])
    with pytest.raises(CalendarNotFound):
        GOOGLE.fetch_calendar(http, REGISTRATION, TOKEN, calendar_id)
    with pytest.raises(CalendarNotFound):
        GOOGLE.fetch_events(http, REGISTRATION, TOKEN, replace(QUERY, calendar_id=calendar_id))
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
    got = GOOGLE.list_calendars(http, REGISTRATION, TOKEN)
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
    page = GOOGLE.fetch_events(http, REGISTRATION, TOKEN, replace(QUERY, window=window))
    assert (page.next_page_token, page.next_cursor) == ("p2", "")
    page = GOOGLE.fetch_events(
        http, REGISTRATION, TOKEN, replace(QUERY, window=window, page_token="p2")
    )
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
    GOOGLE.fetch_events(http, REGISTRATION, TOKEN, query)
    GOOGLE.fetch_events(http, REGISTRATION, TOKEN, replace(query, page_token="p"))
    first, second = (asked.query for asked in http.requests)
    assert first["syncToken"] == second["syncToken"] == "CPDAlvWDx70CEPDAlvWDx70CGAU="
    assert set(first) == {"singleEvents", "maxResults", "fields", "syncToken"}
    assert second == first | {"pageToken": "p"}


# Refusals

TYPES: dict[str, type[ProviderError]] = {
    "authError": AccessTokenRejected,
    "userRateLimitExceeded": RateLimited,
    "rateLimitExceeded": RateLimited,
    "quotaExceeded": QuotaExceeded,
    "dailyLimitExceeded": QuotaExceeded,
    "insufficientPermissions": ScopeMissing,
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": ScopeMissing,
    "accessNotConfigured": Misconfigured,
    "SERVICE_DISABLED": Misconfigured,
    "forbidden": CalendarForbidden,
    "requiredAccessLevel": CalendarForbidden,
    "notFound": CalendarNotFound,
    "fullSyncRequired": CursorExpired,
    "updatedMinTooLongAgo": CursorExpired,
    "deleted": RequestRefused,
    "invalid": RequestRefused,
    "timeRangeEmpty": RequestRefused,
    "conflict": RequestRefused,
    "tooManyRequests": RateLimited,
    "quota429": QuotaExceeded,
    "backendError": ProviderUnavailable,
    "newReason": RequestRefused,
}
# What a request that resumes a listing reads differently.
RESUMING = {"deleted": CursorExpired, "invalid": CursorExpired, "timeRangeEmpty": CursorExpired}


def test_every_captured_refusal_is_in_the_table() -> None:
    assert TYPES.keys() == REFUSALS.keys()


@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.parametrize("call", EVERY_CALL)
def test_refusals(call: Callable[[Scripted], object], name: str) -> None:
    captured = REFUSALS[name]
    http = Scripted([reply(captured["status"], captured["body"], {"Retry-After": "7"})])
    with pytest.raises(ProviderError) as raised:
        call(http)
    resumes = call in {later_page, changes}
    assert type(raised.value) is (RESUMING.get(name, TYPES[name]) if resumes else TYPES[name])
    assert raised.value.retry_after == 7
    assert captured["body"]["error"]["message"] not in raised.value.detail  # only the reason


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (201, InvalidResponse),
        (302, InvalidResponse),
        (400, InvalidResponse),
        (401, AccessTokenRejected),
        (403, InvalidResponse),
        (404, InvalidResponse),
        (410, InvalidResponse),
        (429, RateLimited),
        (500, ProviderUnavailable),
        (502, ProviderUnavailable),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>canary</html>", b"[]", b'"x"', b'{"error": "text"}'])
def test_refusals_without_google_s_body(
    status: int, error: type[ProviderError], body: bytes
) -> None:
    """A gateway's page must not mark a calendar as gone, nor a grant as revoked."""
    with pytest.raises(ProviderError) as raised:
        listing(Scripted([reply(status, body)]))
    assert type(raised.value) is error
    assert "canary" not in raised.value.detail


@pytest.mark.parametrize("body", [b"", b"<html>", {"error": {"code": 410}}])
@pytest.mark.parametrize("status", [400, 410])
def test_a_lost_token_whatever_the_body(status: int, body: object) -> None:
    for call in (changes, later_page):
        with pytest.raises(CursorExpired):
            call(Scripted([reply(status, body)]))


@pytest.mark.parametrize(
    "error",
    [
        {"errors": []},
        {"errors": "x"},
        {"errors": [5], "details": {}},
        {"errors": [{"reason": 5}], "details": [None]},
        {"errors": None, "details": None},
    ],
)
def test_odd_error_bodies(error: object) -> None:
    with pytest.raises(RequestRefused):
        listing(Scripted([reply(403, {"error": error})]))


def test_userinfo_without_a_sign_in_scope() -> None:
    with pytest.raises(ScopeMissing):
        account(Scripted([reply(403, {"error": "insufficient_scope"})]))


# Google's own description


@pytest.fixture(scope="module")
def discovery() -> Any:
    """The API's description as Google's own client package ships it."""
    path = "googleapiclient.discovery_cache.documents"
    return json.loads((files(path) / "calendar.v3.json").read_text())


def test_every_field_that_is_asked_for_exists(discovery: Any) -> None:
    http = Scripted([reply(503)])
    with pytest.raises(ProviderUnavailable):
        listing(http)
    schemas = discovery["schemas"]

    def check(expression: str, properties: dict[str, Any]) -> None:
        depth, name, start = 0, "", 0
        for index, character in enumerate(expression + ","):
            if character == "(":
                depth += 1
                if depth == 1:
                    name, start = expression[start:index], index + 1
            elif character == ")":
                depth -= 1
                if depth == 0:
                    nested = properties[name]
                    nested = nested.get("items", nested)
                    nested = schemas.get(nested.get("$ref"), nested)
                    check(expression[start:index], nested["properties"])
            elif character == "," and depth == 0:
                if expression[index - 1] != ")":
                    assert expression[start:index] in properties
                start = index + 1

    check(http.requests[0].query["fields"], schemas["Events"]["properties"])


def test_every_parameter_and_scope_exists(discovery: Any) -> None:
    http = Scripted([reply(200, {"nextSyncToken": "s"})])
    for call in (listing, later_page, changes):
        call(http)
    methods = discovery["resources"]["events"]["methods"]
    known = methods["list"]["parameters"].keys() | discovery["parameters"].keys()
    for asked in http.requests:
        assert asked.query.keys() <= known
    scopes = discovery["auth"]["oauth2"]["scopes"].keys()
    assert set(GOOGLE.default_scopes) - {"openid", "email"} <= scopes
    lists = discovery["resources"]["calendarList"]["methods"]
    for method, scope in (
        (methods["list"], "calendar.events.readonly"),
        (lists["list"], "calendar.calendarlist.readonly"),
        (lists["get"], "calendar.calendarlist.readonly"),
    ):
        assert AUTH + scope in method["scopes"]


def test_every_field_of_a_calendar_exists(discovery: Any) -> None:
    assert (
        set(CalendarEntry.__struct_encode_fields__)
        <= discovery["schemas"]["CalendarListEntry"]["properties"].keys()
    )


def test_what_is_not_read_of_an_event_is_known(discovery: Any) -> None:
    """A new field of Google's shows up here, so that somebody decides about it."""
    properties = discovery["schemas"]["Event"]["properties"].keys()
    assert properties - set(Event.__struct_encode_fields__) == {
        "anyoneCanAddSelf",
        "birthdayProperties",
        "focusTimeProperties",
        "gadget",
        "guestsCanInviteOthers",
        "guestsCanSeeOtherGuests",
        "kind",
        "outOfOfficeProperties",
    }
