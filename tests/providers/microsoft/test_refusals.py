"""Which refusal of Graph's becomes which error."""

from __future__ import annotations

import pytest

from providers.errors import (
    AccessTokenRejected,
    AccountUnsuitable,
    AuthorizationRevoked,
    CalendarNotFound,
    CursorExpired,
    InvalidResponse,
    ProviderError,
    ProviderUnavailable,
    QuotaExceeded,
    RateLimited,
    RequestRefused,
    ScopeMissing,
)
from tests.providers.microsoft.calls import changes, later_page, listing, refusal
from tests.providers.scripted import Scripted, reply


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (401, "InvalidAuthenticationToken", AccessTokenRejected),
        (401, "", AccessTokenRejected),
        (403, "ErrorAccessDenied", ScopeMissing),
        (404, "ErrorItemNotFound", CalendarNotFound),
        (404, "ResourceNotFound", CalendarNotFound),
        (404, "somethingNew", CalendarNotFound),
        (400, "ErrorInvalidIdMalformed", CalendarNotFound),
        (404, "MailboxNotEnabledForRESTAPI", AccountUnsuitable),
        (403, "MailboxNotSupportedForRESTAPI", AccountUnsuitable),
        (400, "ErrorInvalidParameter", RequestRefused),
        (400, "ExtensionError", RequestRefused),
        (403, "extensionError", AccountUnsuitable),
        (409, "conflict", RequestRefused),
        (507, "ErrorQuotaExceeded", QuotaExceeded),
        (410, "syncStateNotFound", CursorExpired),
        (400, "SyncStateInvalid", CursorExpired),
        (404, "resyncRequired", CursorExpired),
        (429, "ApplicationThrottled", RateLimited),
        (429, "", RateLimited),
        (503, "activityLimitReached", RateLimited),
        (400, "ErrorExceededMessageLimit", QuotaExceeded),
        (423, "locked", ProviderUnavailable),
        (500, "generalException", ProviderUnavailable),
        (503, "serviceNotAvailable", ProviderUnavailable),
        (504, "", ProviderUnavailable),
        (509, "bandwidth", ProviderUnavailable),
    ],
)
def test_refusals(status: int, code: str, error: type[ProviderError]) -> None:
    with pytest.raises(ProviderError) as raised:
        listing(Scripted([refusal(status, code, **{"Retry-After": "7"})]))
    assert type(raised.value) is error
    assert "canary" not in raised.value.detail  # never the message
    if error is not ScopeMissing:
        assert raised.value.retry_after == 7


def test_accounts_without_a_mailbox_say_so() -> None:
    with pytest.raises(AccountUnsuitable) as raised:
        listing(Scripted([refusal(404, "MailboxNotEnabledForRESTAPI")]))
    assert raised.value.code == "mailbox_missing"
    assert raised.value.permanent


def test_the_innermost_code_that_is_known_counts() -> None:
    with pytest.raises(CursorExpired):
        changes(Scripted([refusal(400, "BadRequest", inner="syncStateNotFound")]))
    with pytest.raises(CalendarNotFound):
        listing(Scripted([refusal(404, "ErrorItemNotFound", inner="unheardOf")]))


@pytest.mark.parametrize("status", [401, 403])
def test_a_challenge_asks_for_the_person(status: int) -> None:
    challenge = {"WWW-Authenticate": 'Bearer realm="", error="insufficient_claims", claims="eyJ9"'}
    for answer in (
        reply(status, b"", challenge),
        refusal(status, "InvalidAuthenticationToken", **challenge),
        refusal(status, "accessDenied", inner="insufficient_claims"),
    ):
        with pytest.raises(AuthorizationRevoked) as raised:
            listing(Scripted([answer]))
        assert raised.value.code == "interaction_required"


@pytest.mark.parametrize("status", [400, 410])
@pytest.mark.parametrize("body", [b"", b"<html>", {"error": {"code": "badRequest"}}])
def test_a_link_that_is_no_good_any_more(status: int, body: object) -> None:
    for call in (changes, later_page):
        for headers in ({}, {"Location": "https://graph.microsoft.com/v1.0/me/x"}):
            with pytest.raises(CursorExpired):
                call(Scripted([reply(status, body, headers)]))


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
@pytest.mark.parametrize(
    "body", [b"", b"<html>canary</html>", b"[]", b'"x"', b'{"error": "canary"}', b'{"error": []}']
)
def test_refusals_without_graphs_body(status: int, error: type[ProviderError], body: bytes) -> None:
    """A gateway's page must not mark a calendar as gone, nor a grant as revoked."""
    with pytest.raises(ProviderError) as raised:
        listing(Scripted([reply(status, body)]))
    assert type(raised.value) is error
    assert "canary" not in raised.value.detail


def test_codes_that_are_no_words() -> None:
    answer = {"error": {"code": 5, "innerError": {"code": "x\n" * 99, "innerError": "y"}}}
    with pytest.raises(RequestRefused) as raised:
        listing(Scripted([reply(400, answer)]))
    assert "\n" not in raised.value.detail
    assert len(raised.value.detail) < 120


def test_errors_without_an_end() -> None:
    error: dict[str, object] = {"code": "syncStateNotFound"}
    for _ in range(50):
        error = {"code": "outer", "innerError": error}
    with pytest.raises(RequestRefused):
        listing(Scripted([reply(400, {"error": error})]))
