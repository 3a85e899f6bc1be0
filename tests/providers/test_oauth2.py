"""The OAuth client: what it asks, what it accepts, and which failure becomes which error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from providers import oauth2
from providers.base import ClientRegistration, TokenSet
from providers.errors import (
    AuthorizationRevoked,
    CodeRejected,
    InvalidResponse,
    IssuerMismatch,
    Misconfigured,
    PolicyRefused,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)
from providers.google.provider import GoogleProvider
from tests.providers.scripted import Scripted, reply

PROVIDER = GoogleProvider()
REGISTRATION = ClientRegistration(
    client_id="client-1",
    client_secret="canary-secret",
    endpoints=PROVIDER.endpoints,
    scopes=PROVIDER.default_scopes,
)
GOOD = {"access_token": "ya29.canary", "expires_in": 3599, "token_type": "Bearer", "scope": "a b"}


def scripted(status: int, body: Any = b"", headers: Mapping[str, str] | None = None) -> Scripted:
    return Scripted([reply(status, body, headers)])


def exchange(http: Scripted) -> TokenSet:
    return oauth2.exchange_code(
        http,
        PROVIDER,
        REGISTRATION,
        code="canary-code",
        code_verifier="canary-verifier",
        redirect_uri="https://calendars.example/callback?x=1",
    )


def refresh(http: Scripted) -> TokenSet:
    return oauth2.refresh(http, PROVIDER, REGISTRATION, refresh_token="canary-refresh")


def revoke(http: Scripted) -> None:
    oauth2.revoke(http, PROVIDER, REGISTRATION, token="canary-token")


def refused(call: Callable[[Scripted], object], http: Scripted) -> ProviderError:
    """The error that `call` raises; it and its chain hold no secret, nor text of the provider."""
    with pytest.raises(ProviderError) as raised:
        call(http)
    link: BaseException | None = raised.value
    while link is not None:
        assert "canary" not in f"{link} {link!r} {vars(link)}"
        link = link.__cause__ or link.__context__
    assert len(http.requests) == 1
    return raised.value


# Starting


def test_the_challenge_of_rfc_7636_appendix_b() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert create_s256_code_challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.mark.parametrize(("make", "length"), [("new_state", 43), ("new_code_verifier", 64)])
def test_states_and_verifiers_are_fresh_and_of_the_unreserved_set(make: str, length: int) -> None:
    made = {getattr(oauth2, make)() for _ in range(100)}
    assert len(made) == 100
    for text in made:
        assert len(text) == length
        assert text.replace("-", "").replace("_", "").isalnum()
        assert text.isascii()


def start(login_hint: str = "", registration: ClientRegistration = REGISTRATION) -> dict[str, str]:
    url = oauth2.authorization_url(
        PROVIDER,
        registration,
        redirect_uri="https://calendars.example/callback?x=1",
        state="the state",
        code_verifier="dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        login_hint=login_hint,
    )
    assert urlsplit(url)._replace(query="").geturl() == registration.endpoints.authorization
    query = parse_qs(urlsplit(url).query, strict_parsing=True)
    assert all(len(values) == 1 for values in query.values())
    return {name: values[0] for name, values in query.items()}


def test_authorization_url() -> None:
    assert start() == {
        "response_type": "code",
        "client_id": "client-1",
        "redirect_uri": "https://calendars.example/callback?x=1",
        "scope": "openid email https://www.googleapis.com/auth/calendar.calendarlist.readonly"
        " https://www.googleapis.com/auth/calendar.events.readonly",
        "state": "the state",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
        "access_type": "offline",
        "prompt": "select_account consent",
    }


def test_a_login_hint_replaces_choosing_the_account() -> None:
    asked = start(login_hint="anna@example.com")
    assert asked["login_hint"] == "anna@example.com"
    assert asked["prompt"] == "consent"


def test_the_registration_s_own_endpoint_and_scopes_are_used() -> None:
    endpoints = replace(PROVIDER.endpoints, authorization="http://127.0.0.1:9/auth")
    asked = start(registration=replace(REGISTRATION, endpoints=endpoints, scopes=("one", "two")))
    assert asked["scope"] == "one two"


def test_a_provider_cannot_change_the_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        GoogleProvider, "authorization_parameters", lambda *_, **__: {"response_type": "token"}
    )
    with pytest.raises(TypeError):
        start()


@pytest.mark.parametrize("iss", ["https://accounts.google.com", None])
def test_the_right_issuer_or_none(iss: str | None) -> None:
    oauth2.check_issuer(PROVIDER, REGISTRATION, iss)


@pytest.mark.parametrize(
    "iss",
    ["", "https://accounts.google.com/", "https://ACCOUNTS.google.com", "https://evil.example"],
)
def test_another_issuer(iss: str) -> None:
    with pytest.raises(IssuerMismatch) as raised:
        oauth2.check_issuer(PROVIDER, REGISTRATION, iss)
    assert raised.value.code == "issuer_mismatch"
    assert raised.value.permanent


def test_a_promised_issuer_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GoogleProvider, "authorization_response_iss_required", True)
    with pytest.raises(IssuerMismatch):
        oauth2.check_issuer(PROVIDER, REGISTRATION, None)


def test_an_id_token_is_handed_on_unread() -> None:
    http = scripted(200, GOOD | {"refresh_token": "r", "id_token": "canary.id.token"})
    tokens = exchange(http)
    assert tokens.id_token == "canary.id.token"
    assert "canary" not in repr(tokens)
    assert exchange(scripted(200, GOOD)).id_token == ""


def test_nothing_is_asked_where_nothing_can_be_revoked() -> None:
    http = scripted(500)
    nowhere = replace(REGISTRATION, endpoints=replace(REGISTRATION.endpoints, revocation=""))
    oauth2.revoke(http, PROVIDER, nowhere, token="canary-token")
    assert http.requests == []


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
