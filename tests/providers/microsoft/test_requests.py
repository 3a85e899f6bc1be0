"""What Microsoft's adapter asks for, which links it follows, and what it makes of listings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from providers.base import Window
from providers.errors import (
    AccountUnsuitable,
    AnswerTooLarge,
    CalendarForbidden,
    CursorExpired,
    InvalidResponse,
    ProviderUnavailable,
    RateLimited,
    ScopeMissing,
)
from tests.providers.microsoft import calls
from tests.providers.microsoft.calls import (
    ACCESS,
    ENTRY,
    EVERY_CALL,
    MICROSOFT,
    NEXT,
    REGISTRATION,
    account,
    calendar,
    calendars,
    changes,
    listing,
    refusal,
)
from tests.providers.microsoft.listings import (
    CHANGES,
    DELTA,
    END,
    FULL,
    ROOT,
    body_of,
    item,
    master,
    occurrence,
    read,
)
from tests.providers.scripted import Scripted, reply

PREFER = 'IdType="ImmutableId", outlook.timezone="UTC", outlook.body-content-type="text"'


# Scopes


@pytest.mark.parametrize(
    ("granted", "missing"),
    [
        ("User.Read Calendars.Read", ""),
        ("openid profile email user.read calendars.read", ""),
        ("https://graph.microsoft.com/User.Read https://graph.microsoft.com/Calendars.Read", ""),
        ("https://graph.microsoft.com/User.ReadWrite Calendars.ReadWrite", ""),
        ("User.Read Calendars.Read.Shared", ""),
        ("User.Read Calendars.ReadBasic", "Calendars.Read"),
        ("Calendars.ReadWrite", "User.Read"),
        ("Mail.Read", "User.Read Calendars.Read"),
        ("", "User.Read Calendars.Read"),
    ],
)
def test_missing_scopes(granted: str, missing: str) -> None:
    assert MICROSOFT.missing_scopes(granted.split()) == tuple(missing.split())


def test_an_account_is_chosen_unless_it_is_known() -> None:
    assert MICROSOFT.authorization_parameters(login_hint="") == {"prompt": "select_account"}
    assert MICROSOFT.authorization_parameters(login_hint="a@b.example") == {
        "login_hint": "a@b.example"
    }


# Requests


@pytest.mark.parametrize("call", EVERY_CALL)
def test_what_each_request_carries(call: Callable[[Scripted], object]) -> None:
    http = Scripted([reply(503)])
    with pytest.raises(ProviderUnavailable):
        call(http)
    [asked] = http.requests
    assert asked.method == "GET"
    assert asked.headers["Authorization"] == "Bearer EwB4.canary"
    assert asked.headers["Prefer"].startswith(PREFER)
    assert "canary" not in asked.url


@pytest.mark.parametrize("call", [account, calendar, calendars, listing])
def test_the_registration_s_endpoints_are_used(
    monkeypatch: pytest.MonkeyPatch, call: Callable[[Scripted], object]
) -> None:
    own = replace(
        MICROSOFT.endpoints, userinfo="http://127.0.0.1:1/me", api_root="http://127.0.0.1:1/v1.0"
    )
    monkeypatch.setattr(calls, "ACCESS", replace(REGISTRATION, endpoints=own).access("x"))
    http = Scripted([reply(503)])
    with pytest.raises(ProviderUnavailable):
        call(http)
    assert http.requests[0].url.startswith("http://127.0.0.1:1/")


# Listings


def test_a_full_listing() -> None:
    berlin = timezone(timedelta(hours=1))
    window = Window(datetime(2026, 1, 1, 0, 30, 0, 999, berlin), datetime(2027, 1, 1, tzinfo=UTC))
    http = Scripted([reply(200, body_of([], **{"@odata.nextLink": NEXT})), reply(200, body_of([]))])
    query = replace(FULL, window=window)
    page = MICROSOFT.fetch_events(http, ACCESS, query)
    assert (page.next_page_token, page.next_cursor) == (NEXT, "")
    page = MICROSOFT.fetch_events(http, ACCESS, replace(query, page_token=NEXT))
    assert (page.next_page_token, page.next_cursor) == ("", END["@odata.deltaLink"])
    first, second = http.requests
    assert first.path == f"{ROOT}/me/calendars/AQMk-cal/calendarView/delta"
    assert first.query == {
        "startDateTime": "2025-12-31T23:30:00Z",
        "endDateTime": "2027-01-01T00:00:00Z",
    }
    assert second.url == NEXT
    for asked in (first, second):
        assert asked.headers["Prefer"] == f"{PREFER}, odata.maxpagesize=500"


def test_an_incremental_listing_follows_its_link() -> None:
    http = Scripted([reply(200, body_of([]))])
    changes(http)
    assert http.requests[0].url == CHANGES.cursor


FOREIGN = [
    "https://evil.example/v1.0/me/calendars/x/calendarView/delta?$deltatoken=x",
    "https://graph.microsoft.com.evil.example/v1.0/me",
    "https://graph.microsoft.com/beta/me/calendarView/delta",
    "https://graph.microsoft.com/v1.0",
    "https://graph.microsoft.com/v1.0/../beta/me",
    "https://graph.microsoft.com/v1.0/%2e%2E/beta/me",
    "https://graph.microsoft.com@evil.example/v1.0/me",
    "https://graph.microsoft.com/v1.0/me#x",
    "https://graph.microsoft.com/v1.0/me x",
    "http://graph.microsoft.com/v1.0/me",
    "damaged",
]


@pytest.mark.parametrize("link", FOREIGN)
def test_the_token_goes_nowhere_else(link: str) -> None:
    http = Scripted([reply(200, body_of([]))])
    with pytest.raises(CursorExpired):
        MICROSOFT.fetch_events(http, ACCESS, replace(FULL, cursor=link))
    with pytest.raises(CursorExpired):
        MICROSOFT.fetch_events(http, ACCESS, replace(FULL, page_token=link))
    assert http.requests == []


@pytest.mark.parametrize("link", FOREIGN)
@pytest.mark.parametrize("name", ["@odata.nextLink", "@odata.deltaLink"])
def test_answers_that_lead_elsewhere(name: str, link: str) -> None:
    with pytest.raises(InvalidResponse) as raised:
        listing(Scripted([reply(200, body_of([], **{name: link}))]))
    assert link not in str(raised.value)
    with pytest.raises(InvalidResponse):
        calendars(Scripted([reply(200, {"value": [ENTRY], "@odata.nextLink": link})]))


class TooLarge(Scripted):
    """Everything is too large, unless five are asked for."""

    def request(self, method: str, url: str, **given: Any) -> Any:
        got = super().request(method, url, **given)
        if not self.requests[-1].headers["Prefer"].endswith("=5"):
            raise AnswerTooLarge
        return got


def test_a_page_that_is_too_large_is_asked_for_in_parts() -> None:
    http = TooLarge([reply(200, body_of([item()]))])
    assert list(listing(http).versions) == ["plain"]
    asked = [one.headers["Prefer"].rpartition("=")[2] for one in http.requests]
    assert asked == ["500", "50", "5"]


# Series whose masters are on no page


def parts(*answers: tuple[int, Any], **headers: str) -> Any:
    """A batch's answer, out of order as they come."""
    found = [
        {"id": str(number), "status": status, "headers": headers, "body": body}
        for number, (status, body) in enumerate(answers)
    ]
    return reply(200, {"responses": found[::-1]})


GONE = (404, {"error": {"code": "ErrorItemNotFound"}})
SLOW = (429, {"error": {"code": "ApplicationThrottled"}})


def series(number: int) -> list[dict[str, Any]]:
    return [occurrence(2, id=f"o{n}", seriesMasterId=f"Series{n}") for n in range(number)]


def test_masters_are_fetched_together() -> None:
    found = [(200, master(id=f"Series{n}", subject=f"Title {n}")) for n in range(25)]
    http = Scripted([reply(200, body_of(series(25))), parts(*found[:20]), parts(*found[20:])])
    page = listing(http)
    assert [event.title for event in read(page)[0]] == [f"Title {n}" for n in range(25)]
    first, second = http.requests[1:]
    assert (first.method, first.url) == ("POST", f"{ROOT}/$batch")
    assert len(first.json["requests"]) == 20
    assert len(second.json["requests"]) == 5
    assert first.json["requests"][3] == {
        "id": "3",
        "method": "GET",
        "url": "/me/calendars/AQMk-cal/events/Series3",
        "headers": {"Prefer": PREFER},
    }


def test_ids_of_masters_that_differ_by_letter_case() -> None:
    items = [occurrence(2, seriesMasterId="AbC"), occurrence(3, seriesMasterId="aBc")]
    answer = parts((200, master(id="AbC", subject="One")), (200, master(id="aBc", subject="Two")))
    page = listing(Scripted([reply(200, body_of(items)), answer]))
    assert [event.title for event in read(page)[0]] == ["One", "Two"]


def test_a_master_that_is_gone_takes_its_occurrences_along() -> None:
    page = listing(Scripted([reply(200, body_of(series(2))), parts(GONE, (200, master()))]))
    assert (page.removed, list(page.versions)) == (("o0",), ["o1"])


def test_what_was_throttled_is_asked_once_more_as_a_mailbox_takes_it() -> None:
    found = [(200, master(subject=f"Title {n}")) for n in range(7)]
    http = Scripted(
        [
            reply(200, body_of(series(7))),
            parts(*found[:1], *[SLOW] * 6, **{"Retry-After": "3"}),
            parts(*found[1:5]),
            parts(*found[5:]),
        ]
    )
    page = listing(http)
    assert [event.title for event in read(page)[0]] == [f"Title {n}" for n in range(7)]
    asked = [len(one.json["requests"]) for one in http.requests[1:]]
    assert asked == [7, 4, 2]


def test_what_stays_throttled_is_for_later() -> None:
    slow = parts(SLOW, (200, master()), **{"retry-after": "120"})
    with pytest.raises(RateLimited) as raised:
        listing(
            Scripted([reply(200, body_of(series(2))), slow, parts(SLOW, **{"Retry-After": "120"})])
        )
    assert raised.value.retry_after == 120


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (parts((503, {})), ProviderUnavailable),
        (parts((404, {})), InvalidResponse),
        (parts((404, "<html>Not here</html>")), InvalidResponse),  # a gateway's
        (parts((404, {"error": {"code": "MailboxNotEnabledForRESTAPI"}})), AccountUnsuitable),
        (parts((200, {}), (200, {})), InvalidResponse),  # one more than was asked
        (reply(200, {"responses": []}), InvalidResponse),
        (reply(200, b"<html>"), InvalidResponse),
        (reply(502), ProviderUnavailable),
    ],
)
def test_batches_that_fail(answer: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        listing(Scripted([reply(200, body_of(series(1))), answer]))


# What is not allowed


def test_a_calendar_that_is_not_shared_and_a_permission_that_is_missing() -> None:
    denied = refusal(403, "ErrorAccessDenied")
    for call in (listing, calendar):
        with pytest.raises(CalendarForbidden):
            call(Scripted([denied, reply(200, ENTRY)]))
        with pytest.raises(ScopeMissing) as raised:
            call(Scripted([denied]))
        assert raised.value.missing == ("Calendars.Read",)
    assert DELTA.startswith(ROOT)
