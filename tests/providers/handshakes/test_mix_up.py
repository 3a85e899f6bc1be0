"""Configurations do not share anything, and a tenant's own endpoints are believed nothing."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.test import Client

from providers.connect import callback_url
from providers.models import ConnectionCredential, ProviderConfiguration, ProviderConnection
from tests.factories import ProviderConfigurationFactory
from tests.providers.conftest import CALLBACK, register_at_sandbox, returned
from tests.providers.handshakes.application import walk
from tests.providers.http_server import Server, answer

SECRET = "canary-secret-of-the-tenant"
Status = ProviderConnection.Status


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


# Each has its own


def test_two_environments_at_one_provider_share_neither_path_nor_client(
    configuration, outside, other_environment
) -> None:
    other = register_at_sandbox(outside, other_environment)
    assert callback_url(configuration) != callback_url(other)
    assert callback_url(configuration).endswith(f"/oauth/callback/google/{configuration.pk}")
    assert configuration.client_id != other.client_id


@pytest.mark.parametrize("header", ["HTTP_HOST", "HTTP_X_FORWARDED_HOST", "HTTP_FORWARDED"])
def test_the_callback_never_comes_from_the_request(application, ada, settings, header) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    body = {"provider": application.provider, "redirect_uri": CALLBACK}
    url = f"/api/v1/calendars/{ada.calendar.pk}/providers"
    response = application.api.post(url, body, format="json", **{header: "evil.example"})
    sent = query_of(response.json()["data"]["authorization_url"])["redirect_uri"]
    assert sent.startswith("https://calendars.example.com/oauth/callback/google/")


def test_an_answer_under_another_environments_path_is_unknown(
    application, ada, adas_browser, outside, other_environment
) -> None:
    location = walk(adas_browser, application.begin(ada))
    other = register_at_sandbox(outside, other_environment)
    stray = f"/oauth/callback/google/{other.pk}?{urlsplit(location).query}"
    assert adas_browser.come_back(stray)["Location"] == "/oauth/error/request_unknown"
    assert returned(adas_browser.come_back(location))["status"] == "connected"


@pytest.mark.parametrize("kind", ["microsoft", "sandbox", "Google", "google2"])
def test_an_answer_under_another_kind_is_unknown(
    application, ada, adas_browser, configuration, kind
) -> None:
    location = walk(adas_browser, application.begin(ada))
    stray = f"/oauth/callback/{kind}/{configuration.pk}?{urlsplit(location).query}"
    assert adas_browser.come_back(stray)["Location"] == "/oauth/error/request_unknown"


def test_what_staff_change_meanwhile_does_not_reach_a_handshake_under_way(
    application, ada, adas_browser, configuration, outside, server, settings
) -> None:
    """Client, endpoints and issuer stay the unit that they were at the start."""
    location = walk(adas_browser, application.begin(ada))
    settings.OUTBOUND_ALLOWED_HOSTS |= {server.host}
    ProviderConfiguration.objects.update(
        token_endpoint=server.url("/token"), issuer_endpoint=server.url(""), client_id="other"
    )
    assert returned(adas_browser.come_back(location))["status"] == "connected"
    assert server.requests == []


# Hostile endpoints


@pytest.fixture
def hostile(application, environment, server: Server, settings: Any) -> Server:
    """A provider whose endpoints are somebody's own server; `application` is configured for it."""
    settings.OUTBOUND_ALLOWED_HOSTS = frozenset({server.host})
    settings.OUTBOUND_TOTAL_TIMEOUT_SECONDS = 2.0
    endpoint = server.url("")
    ProviderConfigurationFactory(
        environment=environment,
        identifier="their_own",
        client_id="theirs",
        secret=SECRET,
        authorization_endpoint=f"{endpoint}/authorize",
        token_endpoint=f"{endpoint}/token",
        userinfo_endpoint=f"{endpoint}/userinfo",
        revocation_endpoint=f"{endpoint}/revoke",
        api_root_endpoint=f"{endpoint}/api",
        issuer_endpoint=endpoint,
    )
    application.provider = "their_own"
    return server


def come_back(application: Any, session: Any, **more: str) -> Any:
    """What our callback answers to an answer of the hostile provider."""
    sent = query_of(application.begin(session))
    path = urlsplit(sent["redirect_uri"]).path
    return Client().get(path, {"state": sent["state"], "code": "c", **more})


GOOD_TOKENS = {
    "access_token": "a",
    "refresh_token": "r",
    "token_type": "Bearer",
    "expires_in": 3600,
    "scope": "https://www.googleapis.com/auth/calendar",
}


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (answer(b"", "302 Found", "Location: http://127.0.0.1:1/"), "provider_invalid_response"),
        (answer(b"", "307 Moved", "Location: http://169.254.169.254/"),
         "provider_invalid_response"),
        (answer(b"<html>"), "provider_invalid_response"),
        (answer(b"x" * 200_000), "provider_invalid_response"),
        (answer(b'{"access_token": ["a"], "token_type": "Bearer"}'), "provider_invalid_response"),
        (answer(json.dumps({**GOOD_TOKENS, "token_type": "mac"}).encode()),
         "provider_invalid_response"),
        (answer(b'{"error": "<script>", "error_description": "x"}', "400 Bad"), "provider_error"),
        (answer(b'{"error": "invalid_grant"}', "400 Bad Request"), "code_rejected"),
        (answer(b"no", "500 Oh"), "provider_unavailable"),
    ],
)  # fmt: skip
def test_its_token_endpoint_can_only_fail_its_own_connection(
    application, ada, hostile, reply, code
) -> None:
    hostile.replies = [reply]
    values = returned(come_back(application, ada))
    assert values["status"] == "error"
    assert application.connection(ada).status == Status.ERROR
    assert application.connection(ada).last_error_code == values["error"]
    if code != "provider_error":
        assert values["error"] == code
    assert len(hostile.requests) == 1
    assert not ConnectionCredential.objects.exists()


def test_it_is_sent_its_own_client_and_nothing_of_another(application, ada, hostile) -> None:
    hostile.replies = [answer(b"<html>")]
    come_back(application, ada)
    [sent] = hostile.requests
    assert b"client_id=theirs" in sent
    assert b"Cookie" not in sent
    assert b"canary-client-secret" not in sent
    assert b"talq_" not in sent


def test_a_private_address_is_not_asked(application, ada, hostile, settings) -> None:
    settings.OUTBOUND_ALLOWED_HOSTS = frozenset()
    assert returned(come_back(application, ada))["error"] == "address_blocked"
    assert hostile.requests == []


def test_it_cannot_name_another_issuer(application, ada, hostile) -> None:
    values = returned(come_back(application, ada, iss="https://accounts.google.com"))
    assert values["error"] == "issuer_mismatch"
    assert hostile.requests == []


# Limits


def test_authorizations_cannot_be_begun_too_fast(application, ada, settings) -> None:
    settings.AUTHORIZATION_STARTS_PER_MINUTE = 3
    for _ in range(3):
        application.begin(ada)
    body = {"provider": application.provider, "redirect_uri": CALLBACK}
    url = f"/api/v1/calendars/{ada.calendar.pk}/providers"
    response = application.api.post(url, body, format="json")
    assert response.status_code == 429
    assert response.json()["code"] == "TOO_MANY_AUTHORIZATION_STARTS"
    assert 1 <= int(response["Retry-After"]) <= 60
    assert ProviderConnection.objects.filter(calendar=ada.calendar).count() == 3


def test_finished_ones_count_for_the_rate_and_not_for_the_open_ones(
    application, ada, adas_browser, settings
) -> None:
    settings.AUTHORIZATION_STARTS_PER_MINUTE = 3
    settings.PENDING_CONNECTIONS_PER_CALENDAR = 1
    for _ in range(3):
        adas_browser.come_back(adas_browser.answer(application.begin(ada), press="Cancel"))
    body = {"provider": application.provider, "redirect_uri": CALLBACK}
    url = f"/api/v1/calendars/{ada.calendar.pk}/providers"
    assert application.api.post(url, body, format="json").status_code == 429
