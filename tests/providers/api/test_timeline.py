"""The timeline over the API: its words, its order, whose it is, and what it keeps to itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from calendars.models import Calendar
from providers import audit
from providers.audit import Action, Actor
from providers.models import AuditEntry, ProviderConnection
from talkover.environments.models import EnvironmentToken
from tests.factories import CalendarFactory, ProviderConnectionFactory, UserFactory


@pytest.fixture
def connection(calendar: Calendar) -> ProviderConnection:
    connection: ProviderConnection = ProviderConnectionFactory(calendar=calendar)
    return connection


def timeline_of(connection: ProviderConnection) -> str:
    return f"/api/v1/calendars/{connection.calendar_id}/providers/{connection.pk}/timeline"


def entries(api: APIClient, connection: ProviderConnection) -> list[dict[str, Any]]:
    response = api.get(timeline_of(connection))
    assert response.status_code == 200, response.content
    rows: list[dict[str, Any]] = response.json()["data"]
    return rows


def test_an_entry_says_what_happened_in_words(api, connection) -> None:
    token = EnvironmentToken.objects.get(environment=connection.environment)
    audit.record(
        connection,
        Action.AUTHORIZATION_FAILED,
        actor=Actor.of_token(token, "198.51.100.7"),
        code="access_denied",
        details={"external_calendar_id": "anna"},
    )
    at = AuditEntry.objects.get().created_at

    assert entries(api, connection) == [
        {
            "at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "action": "authorization_failed",
            "text": "An authorization failed.",
            "actor": {"kind": "token", "label": "test"},
            "address": "198.51.100.7",
            "error": {
                "code": "access_denied",
                "cause": "Access was declined on the provider's page.",
                "remedy": "Connect again and choose Allow.",
            },
            "details": {"external_calendar_id": "anna"},
        }
    ]


def test_the_newest_comes_first_in_pages(api, connection) -> None:
    earlier = audit.entry(connection, Action.CONNECTED, actor=Actor.system())
    earlier.created_at = timezone.now() - timedelta(hours=1)
    for action in (Action.SYNC_FAILING, Action.SYNC_RECOVERED):  # in one and the same moment
        audit.record(connection, action, actor=Actor.system())
    AuditEntry.objects.bulk_create([earlier])

    first = api.get(timeline_of(connection), {"per_page": 2}).json()
    second = api.get(timeline_of(connection), {"per_page": 2, "page": 2}).json()

    seen = [row["action"] for row in first["data"] + second["data"]]
    assert seen == ["sync_recovered", "sync_failing", "connected"]
    assert first["pagination"]["total"] == 3


def test_a_connection_without_entries_has_an_empty_timeline(api, connection) -> None:
    assert entries(api, connection) == []


def test_the_timeline_outlives_the_connection_and_its_calendar(api, connection) -> None:
    audit.record(connection, Action.DISCONNECTED, actor=Actor.system())
    ProviderConnection.objects.filter(pk=connection.pk).update(status="disconnected")
    assert [row["action"] for row in entries(api, connection)] == ["disconnected"]
    kept = ProviderConnection(pk=connection.pk, calendar_id=connection.calendar_id)
    connection.calendar.delete()
    assert [row["action"] for row in entries(api, kept)] == ["disconnected"]


def test_another_environment_and_another_calendar_have_no_such_timeline(
    api, other_api, connection
) -> None:
    audit.record(connection, Action.CONNECTED, actor=Actor.system())
    assert other_api.get(timeline_of(connection)).status_code == 404
    elsewhere = ProviderConnection(
        pk=connection.pk, calendar=CalendarFactory(environment=connection.environment)
    )
    assert api.get(timeline_of(elsewhere)).status_code == 404


def test_who_the_staff_are_is_not_told(api, connection) -> None:
    actor = Actor.of_staff(UserFactory(email="operator@example.com"), "198.51.100.7")
    audit.record(connection, Action.SYNC_REQUESTED, actor=actor)
    (entry,) = entries(api, connection)
    assert entry["actor"] == {"kind": "staff", "label": None}
    assert entry["address"] is None


def test_what_concerns_other_environments_is_not_told(api, connection) -> None:
    for action in audit.STAFF_ONLY:
        audit.record(connection, action, actor=Actor.system(), details={"people": 2})
    assert entries(api, connection) == []
    ProviderConnection.objects.all().delete()
    assert api.get(timeline_of(connection)).status_code == 404


def test_an_action_of_another_version_still_reads(api, connection) -> None:
    entry = audit.entry(connection, Action.CONNECTED, actor=Actor.system())
    entry.action = "moved_house"
    AuditEntry.objects.bulk_create([entry])
    assert entries(api, connection)[0]["text"] == "Moved house."
