"""The direct handshake: the provider's answer goes to the application's own redirect URI."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from providers.models import AuthorizationRequest, ProviderConnection
from tests.providers.conftest import CALLBACK
from tests.providers.handshakes.application import DIRECT, assert_nothing_came, walk

Status = ProviderConnection.Status


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


@pytest.fixture
def arrived(application, ada, adas_browser) -> str:
    """Where the provider sends Ada's browser: the application's page, not ours."""
    location: str = walk(adas_browser, application.begin(ada, redirect_uri=DIRECT))
    assert location.startswith(DIRECT + "?")
    return location


def hand_on(application: Any, session: Any, **body: Any) -> Any:
    url = f"/api/v1/calendars/{session.calendar.pk}/providers/{session.connection_id}/complete"
    return application.api.post(url, body, format="json")


def assert_refused(response: Any, code: str) -> None:
    assert response.status_code == 422, response.content
    assert response.json()["errors"] == {"authorization": [code]}


def test_handing_on_by_the_api_activates(application, ada, arrived, outside) -> None:
    query = query_of(arrived)
    assert "token" not in outside.counts()
    response = hand_on(application, ada, code=query["code"], state=query["state"])
    assert response.status_code == 200, response.content
    assert response.json()["data"]["is_active"] is True
    assert application.connection(ada).status == Status.ACTIVE


def test_handing_on_by_redirect_to_our_callback_activates(
    application, ada, adas_browser, arrived, configuration
) -> None:
    ours = f"/oauth/callback/google/{configuration.pk}?{urlsplit(arrived).query}"
    back = adas_browser.come_back(ours)
    assert back.status_code == 303
    assert back["Location"].startswith(DIRECT + "?")
    assert query_of(back["Location"])["status"] == "connected"
    assert application.connection(ada).status == Status.ACTIVE


def test_the_answer_is_good_once(application, ada, arrived, outside) -> None:
    query = query_of(arrived)
    answer = {"code": query["code"], "state": query["state"]}
    assert hand_on(application, ada, **answer).status_code == 200
    assert_refused(hand_on(application, ada, **answer), "request_used")
    assert outside.counts()["token"] == 1


def test_a_denial_is_handed_on_too(application, ada, adas_browser) -> None:
    url = application.begin(ada, redirect_uri=DIRECT)
    query = query_of(adas_browser.answer(url, press="Cancel"))
    assert query["error"] == "access_denied"
    response = hand_on(application, ada, error=query["error"], state=query["state"])
    assert_refused(response, "access_denied")
    assert application.connection(ada).last_error_code == "access_denied"


def test_only_its_own_connection_takes_it(application, ada, ben, arrived, outside) -> None:
    application.begin(ben, redirect_uri=DIRECT)
    query = query_of(arrived)
    response = hand_on(application, ben, code=query["code"], state=query["state"])
    assert_refused(response, "request_unknown")
    assert_nothing_came(application.connection(ben), outside)
    # Not used up by that.
    assert hand_on(application, ada, code=query["code"], state=query["state"]).status_code == 200


def test_another_environments_token_finds_nothing(application, ada, arrived, other_api) -> None:
    url = f"/api/v1/calendars/{ada.calendar.pk}/providers/{ada.connection_id}/complete"
    body = {"code": "x", "state": query_of(arrived)["state"]}
    assert other_api.post(url, body, format="json").status_code == 404


def test_what_is_not_direct_cannot_be_handed_on(application, ada, adas_browser, outside) -> None:
    location = walk(adas_browser, application.begin(ada))
    query = query_of(location)
    response = hand_on(application, ada, code=query["code"], state=query["state"])
    assert_refused(response, "request_unknown")
    # It goes on where it belongs.
    adas_browser.come_back(location)
    assert application.connection(ada).status == Status.ACTIVE


def test_a_foreign_issuer_is_refused(application, ada, arrived, outside) -> None:
    query = query_of(arrived)
    response = hand_on(
        application, ada, code=query["code"], state=query["state"], iss="https://evil.example"
    )
    assert_refused(response, "issuer_mismatch")
    assert_nothing_came(application.connection(ada), outside)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "state"),
        ({"state": "x"}, "code"),
        ({"code": "x"}, "state"),
        ({"state": "x" * 257, "code": "x"}, "state"),
        ({"state": "x", "code": "x" * 4097}, "code"),
        ({"state": ["x"], "code": "x"}, "state"),
    ],
)
def test_a_bad_body_names_its_field(application, ada, arrived, body, field) -> None:
    response = hand_on(application, ada, **body)
    assert response.status_code == 422
    assert list(response.json()["errors"]) == [field]
    assert not AuthorizationRequest.objects.filter(consumed_at__isnull=False).exists()


def test_direct_wants_a_uri_that_is_registered_so(application, ada) -> None:
    body = {"provider": application.provider, "redirect_uri": CALLBACK, "handshake": "direct"}
    url = f"/api/v1/calendars/{ada.calendar.pk}/providers"
    response = application.api.post(url, body, format="json")
    assert response.status_code == 422
    assert response.json()["code"] == "HANDSHAKE_NOT_ALLOWED"


def test_confirmed_is_stricter_than_direct(application, ada, adas_browser) -> None:
    """The direct URI is then the return URI only: the provider never sends a code there."""
    url = application.begin(ada, redirect_uri=DIRECT, handshake="confirmed")
    assert url.startswith("https://calendars.example.com/connect?ticket=")
    location = walk(adas_browser, url)
    assert location.startswith("https://calendars.example.com/oauth/callback/")
    back = adas_browser.come_back(location)
    assert query_of(back["Location"])["status"] == "authorized"
