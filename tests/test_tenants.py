"""Nothing of one environment is reached with another's token, on any route.

New routes are found by themselves; what they need in their path or body is added to `paths_of` and
`BODIES` below, and the test says so when it is missing.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient

from calendars.models import Calendar
from providers.models import ProviderConnection
from talkover.environments.models import Environment
from tests.factories import EventFactory, ProviderConnectionFactory
from tests.talkover.test_envelope import assert_error

# Routes without an object of a tenant in their path.
OWN = {
    "health",
    "openapi.json",
    "docs",
    "environment",
    "users",
    "calendars",
    "calendars/sync",
    "calendars/sync-status",
}
BODIES: dict[str, dict[str, Any]] = {
    "calendars/<id:calendar_id>/providers": {
        "provider": "acme_calendar",
        "redirect_uri": "https://example.com/callback",
    },
    "calendars/<id:calendar_id>/providers/<id:provider_id>/reconnect": {
        "redirect_uri": "https://example.com/callback"
    },
}
METHODS = ("get", "put", "patch", "post", "delete")


def walk(patterns: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from walk(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            yield route, pattern.callback


def api_routes() -> Iterator[tuple[str, str]]:
    """(route below /api/v1/, method) of all routes with something of a tenant in their path."""
    for route, view in walk(get_resolver().url_patterns):
        if not route.startswith("api/v1/") or route.removeprefix("api/v1/") in OWN:
            continue
        for method in METHODS:
            if method in getattr(view, "actions", {}):
                yield route.removeprefix("api/v1/"), method


ROUTES = list(api_routes())


@pytest.fixture
def connection(calendar: Calendar) -> ProviderConnection:
    EventFactory(calendar=calendar)
    connection: ProviderConnection = ProviderConnectionFactory(
        calendar=calendar, configuration__identifier="acme_calendar"
    )
    return connection


def fill(route: str, connection: ProviderConnection) -> str:
    values = {
        "calendar_id": connection.calendar_id,
        "provider_id": connection.pk,
        "event_id": connection.calendar.events.values_list("pk", flat=True)[0],
    }
    return "/api/v1/" + re.sub(r"<\w+:(\w+)>", lambda match: str(values[match[1]]), route)


def test_there_are_routes() -> None:
    assert len(ROUTES) >= 5


@pytest.mark.parametrize(("route", "method"), ROUTES)
def test_another_environments_objects_are_not_found(
    other_api: APIClient, connection: ProviderConnection, route: str, method: str
) -> None:
    response = getattr(other_api, method)(
        fill(route, connection), BODIES.get(route, {}), format="json"
    )
    body = assert_error(response, 404, "NOT_FOUND")
    # The same as for what does not exist at all: nothing tells that it does.
    nowhere = re.sub(r"<\w+:\w+>", lambda _: str(uuid.uuid4()), f"/api/v1/{route}")
    missing = getattr(other_api, method)(nowhere, BODIES.get(route, {}), format="json").json()
    assert {**missing, "request_id": ""} == {**body, "request_id": ""}
    connection.refresh_from_db()
    assert connection.status == ProviderConnection.Status.ACTIVE
    assert connection.calendar.name == "Ada's appointments"


@pytest.mark.parametrize(("route", "method"), ROUTES)
def test_every_route_wants_a_token(
    client: Any, connection: ProviderConnection, route: str, method: str
) -> None:
    response = getattr(client, method)(fill(route, connection))
    assert_error(response, 401, "MISSING_TOKEN")


@pytest.mark.parametrize(
    "path", ["calendars", "users", "calendars/sync-status", "environment", "calendars/sync"]
)
def test_lists_have_only_ones_own(
    other_api: APIClient,
    connection: ProviderConnection,
    environment: Environment,
    path: str,
) -> None:
    method = other_api.post if path == "calendars/sync" else other_api.get
    response = method(f"/api/v1/{path}")
    assert response.status_code < 300
    text = response.content.decode()
    for secret in (
        environment.pk,
        environment.name,
        connection.pk,
        connection.calendar_id,
        connection.calendar.owner_id,
        connection.configuration.identifier,
    ):
        assert str(secret) not in text


def test_a_calendar_of_ones_own_does_not_open_anothers_connection(
    api: APIClient, calendar: Calendar, connection: ProviderConnection
) -> None:
    elsewhere = ProviderConnectionFactory()
    for route, method in ROUTES:
        if "<id:provider_id>" not in route:
            continue
        path = fill(route, connection).replace(str(connection.pk), str(elsewhere.pk))
        response = getattr(api, method)(path, BODIES.get(route, {}), format="json")
        assert_error(response, 404, "NOT_FOUND")
