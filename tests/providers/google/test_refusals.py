"""Which refusal of Google's becomes which error."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from providers.errors import (
    AccessTokenRejected,
    AccountUnsuitable,
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
from tests.providers.google.calls import EVERY_CALL, account, changes, later_page, listing
from tests.providers.google.listings import FIXTURES
from tests.providers.scripted import Scripted, reply

REFUSALS: dict[str, Any] = json.loads((FIXTURES / "errors.json").read_text())
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
    "notACalendarUser": AccountUnsuitable,
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
