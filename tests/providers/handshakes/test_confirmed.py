"""The confirmed handshake: our start page, a bound browser, a parked code, the backend's word."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from providers import tasks
from providers.models import (
    AuthorizationRequest,
    ConnectionCredential,
    ExternalCalendar,
    ProviderConnection,
)
from tests.providers.conftest import CALLBACK, returned
from tests.providers.handshakes.application import (
    assert_nothing_came,
    press_continue,
    walk,
)

CONFIRMED = {"handshake": "confirmed"}
Status = ProviderConnection.Status


@pytest.fixture
def arrived(application, ada, adas_browser) -> dict[str, str]:
    """What Ada's redirect URI gets when she has authorised and nobody has confirmed yet."""
    location = walk(adas_browser, application.begin(ada, **CONFIRMED))
    return returned(adas_browser.come_back(location))


def confirm(api: Any, session: Any, code: str) -> Any:
    url = f"/api/v1/calendars/{session.calendar.pk}/providers/{session.connection_id}/confirm"
    return api.post(url, {"result_code": code}, format="json")


def assert_refused(response: Any, code: str) -> None:
    assert response.status_code == 422, response.content
    body = response.json()
    assert body["code"] == "AUTHORIZATION_FAILED"
    assert body["errors"] == {"authorization": [code]}


def test_nothing_is_exchanged_before_the_backend_confirms(
    application, ada, arrived, outside
) -> None:
    assert arrived["status"] == "authorized"
    assert "connection_id" not in arrived
    assert_nothing_came(application.connection(ada), outside)

    response = confirm(application.api, ada, arrived["result_code"])

    assert response.status_code == 200, response.content
    data = response.json()["data"]
    assert (data["id"], data["is_active"]) == (ada.connection_id, True)
    assert outside.counts()["token"] == 1
    due = ExternalCalendar.objects.filter(next_sync_at__lte=timezone.now())
    assert due.filter(connection=ada.connection_id).exists()


def test_the_redirect_is_signed_as_every_other(application, ada, arrived, environment) -> None:
    from providers.handshake import sign

    signed = sign(environment, ["", "authorized", "", ada.state])
    assert arrived["signature"] == signed
    assert arrived["state"] == ada.state


def test_the_code_is_sealed_while_it_waits_and_gone_afterwards(application, ada, arrived) -> None:
    request = AuthorizationRequest.objects.get()
    assert request.code.startswith("v1.")
    assert arrived["result_code"] not in repr(vars(request))

    confirm(application.api, ada, arrived["result_code"])

    request.refresh_from_db()
    assert request.code == request.code_verifier == ""
    assert request.result_code_digest is None
    assert request.outcome == "connected"


def test_a_result_code_is_good_once(application, ada, arrived, outside) -> None:
    assert confirm(application.api, ada, arrived["result_code"]).status_code == 200
    assert_refused(confirm(application.api, ada, arrived["result_code"]), "result_code_invalid")
    assert outside.counts()["token"] == 1


def test_a_result_code_belongs_to_its_connection(
    application, ada, ben, bens_browser, arrived, outside
) -> None:
    application.begin(ben, **CONFIRMED)
    assert_refused(confirm(application.api, ben, arrived["result_code"]), "result_code_invalid")
    assert_nothing_came(application.connection(ben), outside)
    # It was not used up by that.
    assert confirm(application.api, ada, arrived["result_code"]).status_code == 200


def test_a_result_code_belongs_to_its_environment(application, ada, arrived, other_api) -> None:
    assert confirm(other_api, ada, arrived["result_code"]).status_code == 404
    assert confirm(application.api, ada, arrived["result_code"]).status_code == 200


@pytest.mark.parametrize("code", ["", "x", "x" * 257, 7, None])
def test_bad_result_codes(application, ada, arrived, code) -> None:
    response = confirm(application.api, ada, code)
    assert response.status_code == 422
    assert response.json()["code"] in {"VALIDATION_ERROR", "AUTHORIZATION_FAILED"}


def test_a_result_code_expires(application, ada, arrived, outside) -> None:
    AuthorizationRequest.objects.update(result_expires_at=timezone.now())
    assert_refused(confirm(application.api, ada, arrived["result_code"]), "request_expired")
    assert_nothing_came(application.connection(ada), outside)
    assert AuthorizationRequest.objects.get().code == ""


def test_it_expires_with_the_attempt_as_a_whole(application, ada, adas_browser) -> None:
    location = walk(adas_browser, application.begin(ada, **CONFIRMED))
    soon = timezone.now() + timedelta(seconds=20)
    AuthorizationRequest.objects.update(expires_at=soon)
    adas_browser.come_back(location)
    assert AuthorizationRequest.objects.get().result_expires_at == soon


def test_an_unconfirmed_attempt_leaves_nothing(application, ada, arrived, outside) -> None:
    past = timezone.now() - timedelta(seconds=1)
    AuthorizationRequest.objects.update(expires_at=past, result_expires_at=past)
    ProviderConnection.objects.update(pending_until=past)

    tasks.housekeeping()

    request = AuthorizationRequest.objects.get()
    assert request.code == request.code_verifier == ""
    assert request.result_code_digest is None
    assert application.connection(ada).status == Status.EXPIRED
    assert_nothing_came(application.connection(ada), outside)
    assert_refused(confirm(application.api, ada, arrived["result_code"]), "result_code_invalid")

    ProviderConnection.objects.update(updated_at=timezone.now() - timedelta(days=2))
    AuthorizationRequest.objects.update(expires_at=timezone.now() - timedelta(days=2))
    tasks.housekeeping()
    assert not ProviderConnection.objects.exists()
    assert not AuthorizationRequest.objects.exists()


def test_disconnecting_withdraws_what_waits(application, ada, arrived, outside) -> None:
    url = f"/api/v1/calendars/{ada.calendar.pk}/providers/{ada.connection_id}"
    assert application.api.delete(url).status_code == 200
    request = AuthorizationRequest.objects.get()
    assert (request.code, request.outcome) == ("", "connection_removed")
    assert "token" not in outside.counts()


def test_a_refused_code_fails_the_attempt(application, ada, arrived, outside) -> None:
    outside.trouble("invalid_grant", "token")
    assert_refused(confirm(application.api, ada, arrived["result_code"]), "code_rejected")
    connection = application.connection(ada)
    assert (connection.status, connection.last_error_code) == (Status.ERROR, "code_rejected")


def test_a_denial_is_told_at_once(application, ada, adas_browser, outside) -> None:
    pressed = press_continue(adas_browser, application.begin(ada, **CONFIRMED))
    location = adas_browser.answer(pressed["Location"], press="Cancel")
    values = returned(adas_browser.come_back(location))
    assert (values["status"], values["error"]) == ("error", "access_denied")
    assert "result_code" not in values


# The browser


def test_the_cookie_binds_the_browser(application, ada, adas_browser) -> None:
    pressed = press_continue(adas_browser, application.begin(ada, **CONFIRMED))
    request = AuthorizationRequest.objects.get()
    name = f"__Host-connect-{request.pk.hex}"
    cookie = pressed.cookies[name]
    assert cookie["secure"]
    assert cookie["httponly"]
    assert (cookie["samesite"], cookie["path"], cookie["domain"]) == ("Lax", "/", "")
    assert cookie["max-age"] == 600
    assert len(cookie.value) == 43
    assert cookie.value not in repr(vars(request))
    assert pressed["Referrer-Policy"] == "no-referrer"
    assert "no-store" in pressed["Cache-Control"]

    back = adas_browser.come_back(adas_browser.answer(pressed["Location"]))
    assert (back.cookies[name].value, back.cookies[name]["max-age"]) == ("", 0)


def test_without_tls_the_cookie_goes_without_its_prefix(
    application, ada, adas_browser, settings
) -> None:
    settings.PUBLIC_BASE_URL = "http://127.0.0.1:8000"
    pressed = press_continue(adas_browser, application.begin(ada, **CONFIRMED))
    [name] = [name for name in pressed.cookies if "connect-" in name]
    assert name.startswith("connect-")
    assert not pressed.cookies[name]["secure"]


@pytest.mark.parametrize("cookie", [None, "", "forged"])
def test_another_browser_cannot_bring_the_answer(
    application, ada, adas_browser, outside, cookie
) -> None:
    location = walk(adas_browser, application.begin(ada, **CONFIRMED))
    request = AuthorizationRequest.objects.get()
    stranger = Client()
    if cookie is not None:
        stranger.cookies[f"__Host-connect-{request.pk.hex}"] = cookie
    parts = urlsplit(location)

    values = returned(stranger.get(f"{parts.path}?{parts.query}"))

    assert (values["status"], values["error"]) == ("error", "browser_mismatch")
    assert "result_code" not in values
    # The state is used up: the answer is good for nobody any more.
    assert adas_browser.come_back(location)["Location"] == "/oauth/error/request_used"
    assert_nothing_came(application.connection(ada), outside)


def test_a_second_browser_ends_the_attempt_for_both(
    application, ada, adas_browser, bens_browser, outside
) -> None:
    url = application.begin(ada, **CONFIRMED)
    location = walk(bens_browser, url)

    late = press_continue(adas_browser, url)

    assert late["Location"] == "/oauth/error/opened_elsewhere"
    assert bens_browser.come_back(location)["Location"] == "/oauth/error/request_used"
    assert press_continue(bens_browser, url)["Location"] == "/oauth/error/request_used"
    assert_nothing_came(application.connection(ada), outside)
    assert application.connection(ada).last_error_code == "opened_elsewhere"
    # She starts again, and is served.
    values = returned(
        adas_browser.come_back(walk(adas_browser, application.begin(ada, **CONFIRMED)))
    )
    assert confirm(application.api, ada, values["result_code"]).status_code == 200


def test_it_ends_also_when_the_answer_waits_already(
    application, ada, bens_browser, adas_browser, outside
) -> None:
    url = application.begin(ada, **CONFIRMED)
    values = returned(bens_browser.come_back(walk(bens_browser, url)))

    press_continue(adas_browser, url)

    assert_refused(confirm(application.api, ada, values["result_code"]), "result_code_invalid")
    assert_nothing_came(application.connection(ada), outside)
    assert AuthorizationRequest.objects.get().code == ""


def test_only_looking_from_a_second_browser_ends_nothing(
    application, ada, adas_browser, bens_browser
) -> None:
    url = application.begin(ada, **CONFIRMED)
    location = walk(adas_browser, url)
    parts = urlsplit(url)
    assert bens_browser.client.get(f"{parts.path}?{parts.query}").status_code == 200
    assert returned(adas_browser.come_back(location))["status"] == "authorized"


def test_a_second_press_in_the_same_browser_replaces_the_first(
    application, ada, adas_browser
) -> None:
    url = application.begin(ada, **CONFIRMED)
    first = press_continue(adas_browser, url)["Location"]
    second = press_continue(adas_browser, url)["Location"]
    assert first != second
    old = adas_browser.come_back(adas_browser.answer(first))
    assert old["Location"] == "/oauth/error/request_unknown"
    values = returned(adas_browser.come_back(adas_browser.answer(second)))
    assert values["status"] == "authorized"


def test_two_tabs_do_not_disturb_each_other(application, ada, ben, adas_browser) -> None:
    first, second = application.begin(ada, **CONFIRMED), application.begin(ben, **CONFIRMED)
    to_first = press_continue(adas_browser, first)["Location"]
    to_second = press_continue(adas_browser, second)["Location"]
    of_second = returned(adas_browser.come_back(adas_browser.answer(to_second)))
    of_first = returned(adas_browser.come_back(adas_browser.answer(to_first)))
    assert confirm(application.api, ada, of_first["result_code"]).status_code == 200
    assert confirm(application.api, ben, of_second["result_code"]).status_code == 200


# Which handshake it is


def test_an_environment_can_demand_it(application, ada, environment) -> None:
    environment.handshake = "confirmed"
    environment.save()
    assert application.begin(ada).startswith("https://calendars.example.com/connect?ticket=")


@pytest.mark.parametrize("laxer", ["automatic", "direct"])
def test_a_call_cannot_ask_for_less(application, ada, environment, laxer) -> None:
    environment.handshake = "confirmed"
    environment.save()
    body = {"provider": application.provider, "redirect_uri": CALLBACK, "handshake": laxer}
    url = f"/api/v1/calendars/{ada.calendar.pk}/providers"
    response = application.api.post(url, body, format="json")
    assert response.status_code == 422
    assert response.json()["code"] == "HANDSHAKE_NOT_ALLOWED"
    assert list(response.json()["errors"]) == ["handshake"]
    assert not ProviderConnection.objects.exists()


def test_a_reconnection_is_confirmed_too(application, ada, arrived, adas_browser) -> None:
    confirm(application.api, ada, arrived["result_code"])
    token = ConnectionCredential.objects.get().access_token
    url = f"/api/v1/calendars/{ada.calendar.pk}/providers/{ada.connection_id}/reconnect"
    response = application.api.post(url, {"redirect_uri": CALLBACK, **CONFIRMED}, format="json")
    location = walk(adas_browser, response.json()["data"]["authorization_url"])
    values = returned(adas_browser.come_back(location))
    assert ConnectionCredential.objects.get().access_token == token
    assert confirm(application.api, ada, values["result_code"]).status_code == 200
    assert ConnectionCredential.objects.get().access_token != token


def test_the_ticket_is_kept_as_a_digest_only(application, ada) -> None:
    url = application.begin(ada, **CONFIRMED)
    ticket = dict(parse_qsl(urlsplit(url).query))["ticket"]
    request = AuthorizationRequest.objects.get()
    assert len(ticket) == 43
    assert ticket not in repr(vars(request))
    assert request.state_digest is None
    assert request.code_verifier == ""
