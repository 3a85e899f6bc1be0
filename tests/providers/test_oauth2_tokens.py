"""The OAuth client's tokens: asking, accepting, revoking, and what a failure becomes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from providers import oauth2
from providers.errors import (
    AuthorizationRevoked,
    CodeRejected,
    InvalidResponse,
    Misconfigured,
    PolicyRefused,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)
from providers.google.provider import GoogleProvider
from tests.providers.oauth2_calls import (
    GOOD,
    PROVIDER,
    REGISTRATION,
    exchange,
    refresh,
    refused,
    revoke,
    scripted,
)
from tests.providers.scripted import Scripted

# Tokens


def test_exchanging_a_code() -> None:
    http = scripted(200, {**GOOD, "refresh_token": "1//canary", "id_token": "x.y.z"})
    before = datetime.now(UTC)
    tokens = exchange(http)
    assert tokens.access_token == "ya29.canary"
    assert tokens.refresh_token == "1//canary"
    assert tokens.scopes == ("a", "b")
    assert (
        timedelta(0) <= tokens.expires_at - before - timedelta(seconds=3599) < timedelta(seconds=5)
    )
    assert "canary" not in repr(tokens)
    asked = http.requests[0]
    assert (asked.method, asked.url) == ("POST", "https://oauth2.googleapis.com/token")
    assert asked.headers["Accept"] == "application/json"
    assert asked.headers["Content-Type"].startswith("application/x-www-form-urlencoded")
    assert asked.form == {
        "grant_type": ["authorization_code"],
        "code": ["canary-code"],
        "redirect_uri": ["https://calendars.example/callback?x=1"],
        "code_verifier": ["canary-verifier"],
        "client_id": ["client-1"],
        "client_secret": ["canary-secret"],
    }


def test_refreshing() -> None:
    http = scripted(200, GOOD)
    tokens = refresh(http)
    assert (tokens.refresh_token, tokens.scopes) == (None, ("a", "b"))
    assert http.requests[0].form == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["canary-refresh"],
        "client_id": ["client-1"],
        "client_secret": ["canary-secret"],
    }


def test_a_rotated_refresh_token_is_handed_on() -> None:
    assert refresh(scripted(200, {**GOOD, "refresh_token": "new"})).refresh_token == "new"


def test_client_authentication_by_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GoogleProvider, "client_authentication", "client_secret_basic")
    http = scripted(200, GOOD)
    refresh(http)
    assert http.requests[0].headers["Authorization"] == "Basic Y2xpZW50LTE6Y2FuYXJ5LXNlY3JldA=="
    assert "client_secret" not in http.requests[0].form


def test_scopes_that_are_not_named() -> None:
    unnamed = {name: value for name, value in GOOD.items() if name != "scope"}
    assert exchange(scripted(200, unnamed)).scopes == PROVIDER.default_scopes  # what was asked for
    assert refresh(scripted(200, unnamed)).scopes == ()  # unchanged


@pytest.mark.parametrize(
    ("changes", "attribute", "value"),
    [
        ({"token_type": "bearer"}, "access_token", "ya29.canary"),
        ({"token_type": "BEARER"}, "access_token", "ya29.canary"),
        ({"refresh_token": ""}, "refresh_token", None),
        ({"refresh_token": None}, "refresh_token", None),
        ({"scope": "  a   b "}, "scopes", ("a", "b")),
        ({"scope": None}, "scopes", PROVIDER.default_scopes),
        ({"access_token": "x" * 4096}, "access_token", "x" * 4096),
    ],
)
def test_token_answers_that_are_accepted(
    changes: dict[str, Any], attribute: str, value: object
) -> None:
    assert getattr(exchange(scripted(200, {**GOOD, **changes})), attribute) == value


@pytest.mark.parametrize(
    ("expires_in", "seconds"), [(None, 3600), ("1800", 1800), (1800.0, 1800), (10**15, 2_592_000)]
)
def test_lifetimes(expires_in: object, seconds: int) -> None:
    tokens = exchange(scripted(200, {**GOOD, "expires_in": expires_in}))
    left = (tokens.expires_at - datetime.now(UTC)).total_seconds()
    assert seconds - 5 < left <= seconds


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>canary</html>",
        b"[]",
        b'"text"',
        {},
        *(
            {**GOOD, **change}
            for change in (
                {"access_token": None},
                {"access_token": ""},
                {"access_token": 5},
                {"access_token": "canary\r\nX-Evil: 1"},
                {"access_token": "cänary"},
                {"access_token": "x" * 9000},
                {"refresh_token": "canary token"},
                {"refresh_token": "x" * 9000},
                {"refresh_token": 7},
                {"token_type": "mac"},
                {"token_type": None},
                {"expires_in": 0},
                {"expires_in": -5},
                {"expires_in": "soon"},
                {"expires_in": True},
                {"scope": ["a"]},
            )
        ),
    ],
)
@pytest.mark.parametrize("call", [exchange, refresh])
def test_token_answers_that_are_not_accepted(
    call: Callable[[Scripted], object], body: object
) -> None:
    assert type(refused(call, scripted(200, body))) is InvalidResponse


SHARED: list[tuple[int, object, type[ProviderError]]] = [
    (401, {"error": "invalid_client"}, Misconfigured),
    (400, {"error": "unauthorized_client"}, Misconfigured),
    (400, {"error": "unsupported_grant_type"}, Misconfigured),
    (400, {"error": "temporarily_unavailable"}, ProviderUnavailable),
    (400, {"error": "server_error"}, ProviderUnavailable),
    (400, {"error": "internal_failure"}, ProviderUnavailable),
    (403, {"error": "rate_limit_exceeded"}, RateLimited),
    (429, {"error": "invalid_grant"}, RateLimited),
    (429, b"", RateLimited),
    (500, {"error": "invalid_grant"}, ProviderUnavailable),
    (502, b"<html>canary</html>", ProviderUnavailable),
    (503, b"", ProviderUnavailable),
    (302, b"", InvalidResponse),
    (404, b"<html>canary</html>", InvalidResponse),
]


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        *SHARED,
        (400, {"error": "invalid_grant", "error_description": 'canary "q" \r\n ünï'}, CodeRejected),
        (400, {"error": "invalid_scope"}, Misconfigured),
        (400, {"error": "invalid_request"}, Misconfigured),
        (400, {"error": "redirect_uri_mismatch"}, Misconfigured),
        (400, {"error": "admin_policy_enforced"}, PolicyRefused),
        (403, {"error": "org_internal"}, PolicyRefused),
        (400, {"error": "access_denied"}, PolicyRefused),
        (400, {"error": "something_new"}, InvalidResponse),
        (400, {"error": {"message": "canary"}}, InvalidResponse),
        (400, {"error_description": "canary"}, InvalidResponse),
        (400, [], InvalidResponse),
        (400, b"\xff\xfe", InvalidResponse),
        (400, b"", InvalidResponse),
        (401, b"", InvalidResponse),
        (201, GOOD, InvalidResponse),
    ],
)
def test_refused_exchanges(status: int, body: object, error: type[ProviderError]) -> None:
    assert type(refused(exchange, scripted(status, body))) is error


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        *SHARED,
        (400, {"error": "invalid_grant", "error_description": "canary"}, AuthorizationRevoked),
        (400, {"error": "invalid_grant", "error_subtype": "invalid_rapt"}, AuthorizationRevoked),
        (400, {"error": "admin_policy_enforced"}, PolicyRefused),
        (400, {"error": "something_new"}, InvalidResponse),
        (400, b"", InvalidResponse),
    ],
)
def test_refused_refreshes(status: int, body: object, error: type[ProviderError]) -> None:
    assert type(refused(refresh, scripted(status, body))) is error


def test_an_unknown_error_is_named_if_it_is_a_word() -> None:
    assert "odd_error" in refused(exchange, scripted(400, {"error": "odd_error"})).detail


@pytest.mark.parametrize(
    "code", ["odd\r\n\x1b[31m", "x" * 41, "1//0canary", "deadbeef0123", "odd\n", "Odd", "odd_"]
)
def test_any_other_error_is_not_quoted(code: str) -> None:
    """A server may put what it was sent there."""
    error = refused(exchange, scripted(400, {"error": code}))
    assert error.detail == "The code request was refused: HTTP 400."


@pytest.mark.parametrize("status", [429, 503])
def test_how_long_to_wait(status: int) -> None:
    assert refused(refresh, scripted(status, b"", {"Retry-After": "30"})).retry_after == 30
    assert refused(refresh, scripted(status, b"")).retry_after is None


def test_an_id_token_is_handed_on_unread() -> None:
    http = scripted(200, GOOD | {"refresh_token": "r", "id_token": "canary.id.token"})
    tokens = exchange(http)
    assert tokens.id_token == "canary.id.token"
    assert "canary" not in repr(tokens)
    assert exchange(scripted(200, GOOD)).id_token == ""


# Revocation


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, {}),
        (400, {"error": "invalid_token", "error_description": "Token expired or revoked"}),
        (400, {"error": "invalid_grant"}),
        (400, {"error": "invalid_request"}),
        (400, b""),
    ],
)
def test_revoked_or_already_invalid(status: int, body: object) -> None:
    http = scripted(status, body)
    revoke(http)
    asked = http.requests[0]
    assert (asked.method, asked.url) == ("POST", "https://oauth2.googleapis.com/revoke")
    assert asked.headers["Content-Type"].startswith("application/x-www-form-urlencoded")
    assert asked.form == {
        "token": ["canary-token"],
        "client_id": ["client-1"],
        "client_secret": ["canary-secret"],
    }


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [*SHARED, (400, {"error": "unsupported_token_type"}, Misconfigured)],
)
def test_refused_revocations(status: int, body: object, error: type[ProviderError]) -> None:
    assert type(refused(revoke, scripted(status, body))) is error


def test_nothing_is_asked_where_nothing_can_be_revoked() -> None:
    http = scripted(500)
    nowhere = replace(REGISTRATION, endpoints=replace(REGISTRATION.endpoints, revocation=""))
    oauth2.revoke(http, PROVIDER, nowhere, token="canary-token")
    assert http.requests == []
