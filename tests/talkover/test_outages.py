"""The API and the pages while a part is away: answers, or 503 with Retry-After, and never 500."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import (
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
    connection,
)
from django.test import Client
from django.urls import reverse
from kombu import Connection, pools
from rest_framework.test import APIClient

from calendars.models import Calendar
from providers import tasks
from providers.models import ExternalCalendar, ProviderConnection
from talkover.api import throttling
from talkover.api.description import openapi_document
from talkover.celery import app
from tests.factories import EventFactory, ProviderConnectionFactory
from tests.talkover.test_envelope import assert_error

OPERATIONS = sorted(
    (path, method)
    for path, item in openapi_document()["paths"].items()
    for method in item
    if method in {"get", "post", "put", "patch", "delete"} and path != "/api/v1/health"
)
BODIES: dict[str, dict[str, Any]] = {
    "/api/v1/users": {"name": "Ada", "email": "ada@example.com"},
    "/api/v1/calendars/{calendar_id}/providers": {
        "provider": "acme_calendar",
        "redirect_uri": "https://example.com/callback",
    },
    "/api/v1/calendars/{calendar_id}/providers/{provider_id}/reconnect": {
        "redirect_uri": "https://example.com/callback"
    },
    "/api/v1/calendars/{calendar_id}/providers/{provider_id}/complete": {
        "state": "unknown",
        "code": "code",
    },
    "/api/v1/calendars/{calendar_id}/providers/{provider_id}/confirm": {"result_code": "unknown"},
    "/api/v1/calendars/{calendar_id}/providers/{provider_id}/external-calendars": {
        "external_calendar_ids": ["primary"]
    },
}
# What they bring is unknown here, so that they read and then refuse.
UNKNOWN_ANSWERS = {path for path in BODIES if path.endswith(("/complete", "/confirm"))}
REASONS = [
    OperationalError("connection refused"),
    OperationalError("FATAL: sorry, too many clients already"),
    InterfaceError("connection already closed"),
]


@pytest.fixture
def provider_connection(calendar: Calendar) -> ProviderConnection:
    EventFactory(calendar=calendar)
    row: ProviderConnection = ProviderConnectionFactory(
        calendar=calendar, configuration__identifier="acme_calendar"
    )
    ExternalCalendar.objects.create(connection=row, external_id="primary")
    return row


@pytest.fixture
def call(api: APIClient, provider_connection: ProviderConnection) -> Any:
    """Call an operation with ids that are there, and a body that is right."""
    event_id = provider_connection.calendar.events.get().pk
    api.raise_request_exception = False
    owner = str(provider_connection.calendar.owner_id)
    values = {
        "calendar_id": provider_connection.calendar_id,
        "provider_id": provider_connection.pk,
        "event_id": event_id,
        "user_id": owner,
    }
    calendars = {"name": "Work", "owner_id": owner, "timezone": "Europe/Berlin"}

    def call(path: str, method: str) -> Any:
        body = BODIES.get(path, calendars)
        url = path.format_map({"id": uuid.uuid4(), **values})
        return getattr(api, method)(url, body if method != "get" else None, format="json")

    return call


def assert_done(path: str, response: Any) -> None:
    """It succeeded, or refused for a reason of its own."""
    if path in UNKNOWN_ANSWERS:
        assert_error(response, 422, "AUTHORIZATION_FAILED")
    else:
        assert response.status_code < 300, response.content


@contextmanager
def database_fails(error: Exception, *, at: int, only_writes: bool = False) -> Iterator[None]:
    """Every statement from the n-th on raises this, as a lost connection does."""
    count = 0

    def execute(run: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        nonlocal count
        reads = sql.lstrip().startswith("SELECT") and "FOR " not in sql
        if not sql.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
            count += 1
            if count >= at and not (only_writes and reads):
                raise error
        return run(sql, parameters, many, context)

    with connection.execute_wrapper(execute):
        yield


def test_all_operations_are_here() -> None:
    assert len(OPERATIONS) >= 15


@pytest.mark.parametrize("error", REASONS, ids=lambda error: str(error)[:20])
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_without_the_database_every_route_refuses(
    call: Any, path: str, method: str, error: Exception
) -> None:
    """Already the token cannot be looked up."""
    with database_fails(error, at=1):
        response = call(path, method)
    assert_error(response, 503, "SERVICE_UNAVAILABLE")
    assert int(response["Retry-After"]) > 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_a_database_that_goes_away_meanwhile(call: Any, path: str, method: str) -> None:
    """At each statement in turn. Nothing is left half done: tried again at last, it succeeds."""
    error = OperationalError("server closed the connection unexpectedly")
    for number in range(2, 40):
        with database_fails(error, at=number):
            response = call(path, method)
        if response.status_code != 503:
            break
        assert_error(response, 503, "SERVICE_UNAVAILABLE")
        assert response["Retry-After"]
    assert_done(path, response)
    assert number > 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_a_database_that_only_reads(call: Any, path: str, method: str) -> None:
    """A standby: reads answer, writes refuse."""
    error = InternalError("cannot execute UPDATE in a read-only transaction")
    error.__cause__ = psycopg.errors.ReadOnlySqlTransaction()
    with database_fails(error, at=1, only_writes=True):
        response = call(path, method)
    if method == "get" or path in UNKNOWN_ANSWERS:
        assert_done(path, response)
    else:
        assert_error(response, 503, "SERVICE_UNAVAILABLE")
        assert response["Retry-After"]


@pytest.mark.parametrize("error", [InternalError("corrupt"), ProgrammingError("no such column")])
def test_a_fault_of_ours_is_none_of_the_database(call: Any, error: Exception) -> None:
    with database_fails(error, at=1):
        assert_error(call("/api/v1/calendars", "get"), 500, "SERVER_ERROR")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_without_redis_every_route_answers(
    call: Any,
    path: str,
    method: str,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    no_broker: None,
) -> None:
    """Rate limits are not counted, and hints are left to the scheduler: a real refused port."""
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr(throttling, "_redis_away_until", 0.0)
    response = call(path, method)
    assert_done(path, response)


@pytest.fixture
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens where the broker should be."""
    nowhere = Connection("redis://127.0.0.1:1/0", transport_options={"socket_connect_timeout": 0.5})
    monkeypatch.setattr(app.amqp, "_producer_pool", pools.producers[nowhere])


@pytest.mark.django_db(transaction=True)
def test_a_sync_is_accepted_without_the_broker(
    call: Any,
    provider_connection: ProviderConnection,
    no_broker: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = "/api/v1/calendars/{calendar_id}/providers/{provider_id}/sync"
    response = call(path, "post")
    assert response.status_code == 202, response.content
    assert f"The broker is away, {tasks.sync_external_calendar.name}" in caplog.text
    # It is due, and found by the dispatcher.
    row = ExternalCalendar.objects.get()
    assert row.next_sync_at is not None
    assert row.is_syncing


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("page", ["home", "calendar-list", "account_login", "admin:index"])
def test_people_get_a_page_that_says_so(
    client: Client, calendar: Calendar, page: str, at: int
) -> None:
    client.force_login(calendar.owner)
    client.raise_request_exception = False
    with database_fails(OperationalError("connection refused"), at=at):
        response = client.get(reverse(page))
    if response.status_code in {200, 302}:
        assert at > 1 or page in {"home", "account_login"}
        return
    assert response.status_code == 503
    assert response["Retry-After"] == "5"
    assert "Back in a moment" in response.content.decode()


def test_a_middleware_without_its_database_is_no_bug_of_the_api(
    call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any) -> None:
        raise OperationalError("connection refused")

    from django.contrib.sessions.middleware import SessionMiddleware

    monkeypatch.setattr(SessionMiddleware, "process_request", fail)
    response = call("/api/v1/calendars", "get")
    assert_error(response, 503, "SERVICE_UNAVAILABLE")
    assert response["Retry-After"] == "5"
