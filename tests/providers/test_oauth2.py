"""How the OAuth client begins an authorization, and whose answers it takes."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from providers import oauth2
from providers.base import ClientRegistration
from providers.errors import (
    IssuerMismatch,
)
from providers.google.provider import GoogleProvider
from tests.providers.oauth2_calls import (
    PROVIDER,
    REGISTRATION,
)


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
