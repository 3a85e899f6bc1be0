"""The audit log in the admin: found by what one knows, shown with the connection, never edited."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from providers import audit
from providers.audit import Action, Actor
from providers.models import AuditEntry, ProviderConnection
from tests.factories import ProviderConnectionFactory, UserFactory
from tests.providers.admin.conftest import listing, page_of, run_action, staff_with


@pytest.fixture
def elsewhere(connection: ProviderConnection) -> ProviderConnection:
    """A connection of another environment, reconnected by a person."""
    other: ProviderConnection = ProviderConnectionFactory(account_email="eve@example.org")
    actor = Actor.of_person(UserFactory(email="mallory@example.org"), "198.51.100.7")
    audit.record(other, Action.RECONNECTED, actor=actor, code="rate_limited")
    return other


def found(root: Client, query: str) -> list[str]:
    response = root.get(f"{listing('auditentry')}?{query}")
    assert response.status_code == 200, query
    return [entry.action for entry in response.context["cl"].result_list]


def test_filters_and_search(root: Client, connection: Any, elsewhere: Any) -> None:
    assert found(root, "") == ["reconnected", "connected"]
    for query, action in (
        (f"environment__id__exact={connection.environment_id}", "connected"),
        ("action=reconnected", "reconnected"),
        ("actor__exact=user", "reconnected"),
        (f"provider={connection.configuration.identifier}", "connected"),
        (f"q={connection.pk}", "connected"),
        (f"q={elsewhere.calendar_id}", "reconnected"),
        ("q=EVE@example", "reconnected"),
        ("q=mallory", "reconnected"),
    ):
        assert found(root, query) == [action], query
    assert found(root, "q=%25nonsense") == []


def test_the_list_says_who_and_from_where(root: Client, elsewhere: Any) -> None:
    body = root.get(listing("auditentry")).content.decode()
    for words in (
        "The account was reconnected.",
        "eve@example.org",
        "mallory@example.org",
        "198.51.100.7",
        "The provider asks for a pause.",
        elsewhere.environment.name,
    ):
        assert words in body


def test_entries_of_what_is_gone_are_still_listed(root: Client, elsewhere: Any) -> None:
    entry = AuditEntry.objects.get(connection_id=elsewhere.pk)
    environment = elsewhere.environment
    for row in (elsewhere, elsewhere.calendar, elsewhere.configuration, environment):
        row.delete()
    assert found(root, f"q={entry.connection_id}") == ["reconnected"]
    for path in (listing("auditentry"), page_of(entry)):
        assert str(entry.environment_id) in root.get(path).content.decode()


def test_nobody_changes_or_removes_an_entry(root: Client, connection: Any) -> None:
    entry = AuditEntry.objects.get()
    run_action(root, "auditentry", "delete_selected", entry, post="yes")
    root.post(page_of(entry), {"action": "disconnected"})
    assert AuditEntry.objects.get().action == "connected"


def test_a_connections_page_has_its_latest_entries(root: Client, connection: Any) -> None:
    entries = []
    for number in range(21):
        entry = audit.entry(connection, Action.SYNC_REQUESTED, actor=Actor.system())
        entry.actor_label = f"token-{number:02}"
        entry.created_at = timezone.now() + timedelta(seconds=number)
        entries.append(entry)
    AuditEntry.objects.bulk_create(entries)

    body = root.get(page_of(connection)).content.decode()

    assert "token-20" in body
    assert "token-01" in body
    assert "token-00" not in body
    assert "The account was connected." not in body
    assert f"?q={connection.pk}" in body


def test_the_entries_are_for_those_who_may_read_the_log(connection: Any) -> None:
    body = staff_with("view_providerconnection").get(page_of(connection)).content.decode()
    assert "The account was connected." not in body
