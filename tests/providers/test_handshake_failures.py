"""The handshake over HTTP with the sandbox: every way it can fail has a short test."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from django.db import connection as database
from django.db import transaction
from django.test import Client
from django.utils import timezone

from providers.models import (
    AuthorizationRequest,
    ConnectionCredential,
    ExternalCalendar,
    ProviderConnection,
    RevocationJob,
)
from tests.factories import UserFactory
from tests.providers.conftest import CALLBACK, register_at_sandbox, returned

CALENDAR_LIST = "https://www.googleapis.com/auth/calendar.calendarlist.readonly"
EVENTS = "https://www.googleapis.com/auth/calendar.events.readonly"
Status = ProviderConnection.Status


def changed(location: str, **changes: str | None) -> str:
    """The callback's URL with other parameters; None leaves one out."""
    base, _, query = location.partition("?")
    parameters = dict(parse_qsl(query)) | changes
    return f"{base}?{urlencode({name: value for name, value in parameters.items() if value})}"


def error_page_of(response: Any) -> str:
    """The code of the plain error page that a response leads to."""
    assert response.status_code == 303
    path, _, code = response["Location"].rpartition("/")
    assert path == "/oauth/error"
    return str(code)


def await_lock(table: str) -> None:
    """Wait until another statement of this database waits for a row of the table."""
    waiting = (
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
        " AND wait_event_type = 'Lock' AND query LIKE %s"
    )
    deadline = time.monotonic() + 20
    with database.cursor() as cursor:
        while time.monotonic() < deadline:
            # Within a transaction these numbers are read once only.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(waiting, [f'UPDATE "{table}"%'])
            if cursor.fetchone():
                return
            time.sleep(0.02)
    pytest.fail(f"nothing waited for {table}")


def assert_failed(data: dict[str, Any], values: dict[str, str], code: str) -> ProviderConnection:
    """The redirect, the connection and the API tell the same, and nothing secret was kept."""
    assert values["status"] == "error"
    assert values["error"] == code
    connection = ProviderConnection.objects.get(pk=data["id"])
    assert connection.status == Status.ERROR
    assert connection.last_error_code == code
    assert not ConnectionCredential.objects.filter(connection=connection).exists()
    assert not ExternalCalendar.objects.filter(connection=connection).exists()
    return connection


# What the person may do


def test_denial(start, person) -> None:
    data = start()

    values = returned(person.authorise(data["authorization_url"], press="Cancel"))

    assert_failed(data, values, "access_denied")


@pytest.mark.parametrize("kept", [[CALENDAR_LIST], [EVENTS], []])
def test_an_unticked_scope(start, person, outside, kept) -> None:
    data = start()

    values = returned(person.authorise(data["authorization_url"], granted_scope=kept))

    assert_failed(data, values, "scope_missing")
    assert RevocationJob.objects.count() == 1


def test_another_account_than_expected(start, person, api, calendar) -> None:
    data = start(expected_account="somebody.else@sandbox.example")

    values = returned(person.authorise(data["authorization_url"]))

    assert_failed(data, values, "account_mismatch")
    answer = api.get(f"/api/v1/calendars/{calendar.pk}/providers/{data['id']}").json()["data"]
    assert answer["last_error"]["code"] == "account_mismatch"
    assert "expected account" in answer["last_error"]["remedy"]


def test_a_calendar_that_is_not_there(start, person) -> None:
    data = start(external_calendar_id="nobody@sandbox.example")

    values = returned(person.authorise(data["authorization_url"]))

    assert_failed(data, values, "calendar_not_found")


def test_the_same_calendar_twice(start, person, connected) -> None:
    data = start()

    values = returned(person.authorise(data["authorization_url"]))

    assert values["error"] == "already_connected"
    connected.refresh_from_db()
    assert connected.status == Status.ACTIVE
    assert not RevocationJob.objects.exists()  # the grant is in use


# What may happen to the answer on its way


def test_an_unknown_state(start, person, configuration) -> None:
    location = person.answer(start()["authorization_url"])

    response = person.come_back(changed(location, state="x" * 43))

    assert error_page_of(response) == "request_unknown"
    page = person.client.get(response["Location"])
    assert page.status_code == 400
    assert "not known here" in page.content.decode()


def test_a_missing_state(start, person) -> None:
    location = person.answer(start()["authorization_url"])

    assert error_page_of(person.come_back(changed(location, state=None))) == "invalid_request"


def test_a_used_state(start, person) -> None:
    location = person.answer(start()["authorization_url"])
    person.come_back(location)

    assert error_page_of(person.come_back(location)) == "request_used"


def test_an_expired_state(start, person) -> None:
    data = start()
    location = person.answer(data["authorization_url"])
    AuthorizationRequest.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    values = returned(person.come_back(location))

    assert values["error"] == "request_expired"
    assert ProviderConnection.objects.get().status == Status.EXPIRED
    assert error_page_of(person.come_back(location)) == "request_used"


def test_a_doubled_state(start, person) -> None:
    location = person.answer(start()["authorization_url"])

    response = person.come_back(location + "&state=another")

    assert error_page_of(response) == "invalid_request"
    assert AuthorizationRequest.objects.get().consumed_at is None


def test_a_state_of_another_configuration(start, person, outside, environment) -> None:
    location = person.answer(start()["authorization_url"])
    other = register_at_sandbox(outside, environment, "calendar_provider_b")
    path = f"/oauth/callback/google/{other.pk}?{urlsplit(location).query}"

    assert error_page_of(person.client.get(path)) == "request_unknown"
    assert AuthorizationRequest.objects.get().consumed_at is None


def test_an_overlong_code(start, person) -> None:
    location = person.answer(start()["authorization_url"])

    response = person.come_back(changed(location, code="c" * 5000))

    assert error_page_of(response) == "invalid_request"


def test_another_issuer(start, person) -> None:
    data = start()
    location = person.answer(data["authorization_url"])

    values = returned(person.come_back(changed(location, iss="https://evil.example")))

    assert_failed(data, values, "issuer_mismatch")


def test_code_and_error_together(start, person) -> None:
    data = start()
    location = person.answer(data["authorization_url"])

    values = returned(person.come_back(changed(location, error="access_denied")))

    assert_failed(data, values, "invalid_request")


def test_neither_code_nor_error(start, person) -> None:
    data = start()
    location = person.answer(data["authorization_url"])

    values = returned(person.come_back(changed(location, code=None)))

    assert_failed(data, values, "invalid_request")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("temporarily_unavailable", "provider_unavailable"),
        ("server_error", "provider_unavailable"),
        ("invalid_scope", "provider_misconfigured"),
        ("admin_policy_enforced", "refused_by_policy"),
        ("<script>alert(1)</script>", "provider_error"),
    ],
)
def test_errors_in_the_answer_are_mapped_by_a_list(start, person, error, code) -> None:
    data = start()
    location = changed(person.answer(data["authorization_url"]), code=None, error=error)

    response = person.come_back(location + "&error_description=%3Cb%3Elook%3C/b%3E")

    assert_failed(data, returned(response), code)
    assert "look" not in response["Location"]


def test_head_and_post_consume_nothing(start, person) -> None:
    parts = urlsplit(person.answer(start()["authorization_url"]))
    url = f"{parts.path}?{parts.query}"

    assert person.client.head(url).status_code == 405
    assert person.client.post(url).status_code == 405
    assert AuthorizationRequest.objects.get().consumed_at is None


@pytest.mark.django_db(transaction=True)
def test_two_submissions_at_once_send_one_token_request(start, person, outside) -> None:
    parts = urlsplit(person.answer(start()["authorization_url"]))
    outside.control("DELETE", "requests")
    outside.trouble("latency", "token", milliseconds=300)
    responses: list[Any] = []

    def submit() -> None:
        responses.append(Client().get(f"{parts.path}?{parts.query}"))
        database.close()

    threads = [threading.Thread(target=submit) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    ends = sorted(response["Location"].partition("?")[0] for response in responses)
    assert ends == ["/oauth/error/request_used", CALLBACK]
    assert outside.counts()["token"] == 1


@pytest.mark.skipif(database.vendor == "sqlite", reason="one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_an_answer_that_waited_for_its_twin_finds_itself_used(start, person, outside) -> None:
    parts = urlsplit(person.answer(start()["authorization_url"]))
    outside.control("DELETE", "requests")
    responses: list[Any] = []

    def submit() -> None:
        responses.append(Client().get(f"{parts.path}?{parts.query}"))
        database.close()

    twin = threading.Thread(target=submit)
    with transaction.atomic():
        AuthorizationRequest.objects.update(consumed_at=timezone.now())
        twin.start()
        await_lock("providers_authorizationrequest")
    twin.join()

    assert error_page_of(responses[0]) == "request_used"
    assert "token" not in outside.counts()


# What the provider may do


@pytest.mark.parametrize(
    ("kind", "target", "code"),
    [
        ("invalid_grant", "token", "code_rejected"),
        ("invalid_client", "token", "provider_misconfigured"),
        ("server_error", "token", "provider_unavailable"),
        ("rate_limited", "token", "rate_limited"),
        ("html", "token", "provider_invalid_response"),
        ("nothing", "token", "provider_invalid_response"),
        ("too_much", "token", "provider_invalid_response"),
        ("cut_off", "token", "provider_unavailable"),
        ("hang", "token", "provider_unavailable"),
        ("html", "userinfo", "provider_invalid_response"),
        ("nothing", "userinfo", "provider_invalid_response"),
        ("server_error", "calendars", "provider_unavailable"),
        ("html", "events", "provider_invalid_response"),
        ("too_much", "events", "provider_invalid_response"),
        ("unauthorized", "events", "access_token_rejected"),
    ],
)
def test_trouble_at_the_provider(start, person, outside, kind, target, code) -> None:
    data = start()
    location = person.answer(data["authorization_url"])
    # A page that is too large is asked for in smaller ones, twice.
    times = 3 if kind == "too_much" else 1
    outside.trouble(kind, target, times, milliseconds=4000)

    values = returned(person.come_back(location))

    assert_failed(data, values, code)


def test_an_account_that_does_not_use_the_provider_s_calendar(start, person, outside) -> None:
    data = start()
    location = person.answer(data["authorization_url"])
    outside.trouble("forbidden", "calendars", None, reason="notACalendarUser")
    assert_failed(data, returned(person.come_back(location)), "calendar_service_off")


def test_a_misconfigured_client_leaves_other_connections_alone(start, connected, person, outside):
    data = start()
    location = person.answer(data["authorization_url"])
    outside.trouble("invalid_client", "token")

    returned(person.come_back(location))

    connected.refresh_from_db()
    assert connected.status == Status.ACTIVE


def test_no_refresh_token(start, person, outside) -> None:
    outside.control("POST", "settings", {"omit_refresh_token": True})
    data = start()

    values = returned(person.authorise(data["authorization_url"]))

    assert_failed(data, values, "refresh_token_missing")


# On our own pages


def test_a_person_who_started_on_our_pages_must_be_the_one_who_returns(
    person, calendar, configuration
) -> None:
    owner, stranger = calendar.owner, UserFactory()
    person.client.force_login(owner)
    page = person.client.post(
        f"/calendars/{calendar.pk}/connect", {"configuration": configuration.pk}
    )
    assert page.status_code == 303
    location = person.answer(page["Location"])
    person.client.force_login(stranger)

    assert error_page_of(person.come_back(location)) == "session_mismatch"
    assert ProviderConnection.objects.get().last_error_code == "session_mismatch"
