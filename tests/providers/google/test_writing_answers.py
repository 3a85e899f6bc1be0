"""How Google's answers to what is written are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from providers.errors import (
    AccessTokenRejected,
    CalendarNotFound,
    CalendarReadOnly,
    EventChanged,
    EventNotFound,
    InvalidResponse,
    MeetingUnavailable,
    Misconfigured,
    ProviderError,
    ProviderUnavailable,
    QuotaExceeded,
    RateLimited,
    RequestRefused,
    ScopeMissing,
    UnsupportedRecurrence,
)
from tests.providers.google.writes import (
    API,
    DRAFT,
    FOUND,
    ID,
    WRITES,
    WRITTEN,
    change,
    create,
    delete,
    read,
    refusal,
)
from tests.providers.scripted import Scripted, reply

# Meetings


def conference(status: str, *uris: str, **more: Any) -> dict[str, Any]:
    points = [{"entryPointType": "video", "uri": uri} for uri in uris]
    request = {"requestId": "r", "status": {"statusCode": status}}
    return FOUND | {"conferenceData": {"createRequest": request, "entryPoints": points}} | more


@pytest.mark.parametrize(
    ("event", "url", "pending"),
    [
        (FOUND, "", False),
        (conference("pending"), "", True),
        (conference("success", "https://meet.example/a"), "https://meet.example/a", False),
        (conference("failure"), "", False),
        (conference("pending", "https://meet.example/a"), "https://meet.example/a", False),
        (FOUND | {"hangoutLink": "https://meet.example/h"}, "https://meet.example/h", False),
        (conference("success", "", hangoutLink="https://h.example"), "https://h.example", False),
        (FOUND | {"conferenceData": {"createRequest": {}}}, "", False),
    ],
)
def test_meetings(event: dict[str, Any], url: str, pending: bool) -> None:
    written = read(Scripted([reply(200, event)]))
    assert (written.meeting_url, written.meeting_pending) == (url, pending)


def test_a_meeting_that_is_there_or_on_its_way_is_kept() -> None:
    for event in (conference("pending"), conference("success", "https://meet.example/a")):
        http = Scripted([reply(200, event)])
        change(http, meeting=True)
        assert http.requests[1].json == {}


def test_each_wish_for_a_meeting_is_a_new_request_and_each_repetition_the_same() -> None:
    def wished(etag: str) -> str:
        http = Scripted([reply(200, conference("failure", etag=etag))])
        change(http, meeting=True, etag=etag)
        return str(http.requests[1].json["conferenceData"]["createRequest"]["requestId"])

    assert wished('"1"') == wished('"1"') != wished('"2"')


@pytest.mark.parametrize(
    ("allowed", "error"),
    [
        (["hangoutsMeet"], RequestRefused),
        (["eventHangout"], MeetingUnavailable),
        ([], MeetingUnavailable),
    ],
)
def test_a_calendar_without_meet(allowed: list[str], error: type[ProviderError]) -> None:
    entry = {"id": "x", "conferenceProperties": {"allowedConferenceSolutionTypes": allowed}}
    http = Scripted([refusal(400, "invalid"), reply(200, entry)])
    with pytest.raises(error) as raised:
        create(http, structs.replace(DRAFT, meeting=True))
    assert type(raised.value) is error
    assert http.requests[1].path == f"{API}/users/me/calendarList/anna%40example.com"


# Drafts that were sent before


def test_a_draft_that_was_sent_before() -> None:
    http = Scripted([refusal(409, "duplicate"), reply(200, FOUND)])
    assert create(http) == WRITTEN
    assert [request.method for request in http.requests] == ["POST", "GET"]


@pytest.mark.parametrize(
    "changes",
    [
        {
            "start": {"dateTime": "2026-03-02T09:00:00Z"},
            "end": {"dateTime": "2026-03-02T10:00:00Z"},
        },
        {"sequence": 1, "start": {"date": "2026-03-02"}, "end": {"date": "2026-03-03"}},
        {"summary": "Renamed"},
    ],
)
def test_its_event_may_have_changed_since(changes: dict[str, Any]) -> None:
    http = Scripted([refusal(409, "duplicate"), reply(200, FOUND | changes)])
    assert create(http) == WRITTEN


@pytest.mark.parametrize(
    "changes",
    [
        {"start": {"dateTime": "2026-03-02T08:00:00Z"}},
        {"start": {"date": "2026-03-02"}, "end": {"date": "2026-03-03"}},
        {"start": None},
    ],
)
def test_another_event_has_its_id(changes: dict[str, Any]) -> None:
    found = {name: value for name, value in (FOUND | changes).items() if value is not None}
    http = Scripted([refusal(409, "duplicate"), reply(200, found)])
    with pytest.raises(RequestRefused):
        create(http)


def test_its_event_was_deleted() -> None:
    gone = {"id": ID, "etag": '"2"', "status": "cancelled"}
    with pytest.raises(EventNotFound):
        create(Scripted([refusal(409, "duplicate"), reply(200, gone)]))


# Refusals

ENTRY = reply(200, {"id": "anna@example.com"})
TYPES: dict[tuple[int, str], type[ProviderError]] = {
    (400, "invalid"): RequestRefused,
    (400, "required"): RequestRefused,
    (400, "timeRangeEmpty"): RequestRefused,
    (401, "authError"): AccessTokenRejected,
    (403, "requiredAccessLevel"): CalendarReadOnly,
    (403, "forbidden"): CalendarReadOnly,
    (403, "forbiddenForNonOrganizer"): RequestRefused,
    (403, "rateLimitExceeded"): RateLimited,
    (403, "userRateLimitExceeded"): RateLimited,
    (403, "quotaExceeded"): QuotaExceeded,
    (403, "dailyLimitExceeded"): QuotaExceeded,
    (403, "insufficientPermissions"): ScopeMissing,
    (403, "accessNotConfigured"): Misconfigured,
    (409, "conflict"): ProviderUnavailable,
    (412, "conditionNotMet"): EventChanged,
    (429, "rateLimitExceeded"): RateLimited,
    (500, "backendError"): ProviderUnavailable,
    (503, "backendError"): ProviderUnavailable,
}


@pytest.mark.parametrize(("status", "reason"), TYPES)
@pytest.mark.parametrize("call", WRITES)
def test_refusals(call: Callable[[Scripted], object], status: int, reason: str) -> None:
    refused = replace(refusal(status, reason), headers={"Retry-After": "7"})
    http = Scripted([refused])
    with pytest.raises(ProviderError) as raised:
        call(http)
    assert type(raised.value) is TYPES[status, reason]
    assert raised.value.retry_after == 7
    assert "canary" not in raised.value.detail
    assert len(http.requests) == 1, "nothing is repeated here"


@pytest.mark.parametrize("status", [404, 410])
def test_an_event_that_is_gone(status: int) -> None:
    reason = "notFound" if status == 404 else "deleted"
    http = Scripted([refusal(status, reason), ENTRY])
    with pytest.raises(EventNotFound):
        change(http, title="Dinner")
    http = Scripted([refusal(status, reason), ENTRY])
    with pytest.raises(EventNotFound):
        read(http)
    delete(Scripted([refusal(status, reason), ENTRY]))


@pytest.mark.parametrize("call", [*WRITES, read])
def test_a_calendar_that_is_gone(call: Callable[[Scripted], object]) -> None:
    http = Scripted([refusal(404, "notFound")])
    with pytest.raises(CalendarNotFound):
        call(http)
    assert "/calendarList/" in http.requests[-1].path


@pytest.mark.parametrize("status", [200, 302, 400, 403, 404, 409, 410])
@pytest.mark.parametrize("call", [*WRITES, read])
def test_a_gateway_says_nothing_about_an_event(
    call: Callable[[Scripted], object], status: int
) -> None:
    with pytest.raises(InvalidResponse):
        call(Scripted([reply(status, b"<html>canary</html>")]))


def test_a_failed_precondition_without_a_body() -> None:
    with pytest.raises(EventChanged):
        change(Scripted([reply(412)]), title="Dinner")


def test_a_rule_that_google_does_not_take() -> None:
    for call in (
        lambda http: create(http, structs.replace(DRAFT, recurrence=("RRULE:FREQ=NEVER",))),
        lambda http: change(http, recurrence=("RRULE:FREQ=NEVER",)),
    ):
        with pytest.raises(UnsupportedRecurrence):
            call(Scripted([refusal(400, "invalid")]))
