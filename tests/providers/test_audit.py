"""The audit log: what an entry holds, and that nobody changes it."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from providers import audit
from providers.audit import Action, Actor
from providers.models import AuditEntry, ProviderConnection
from talkover.api import request_ids
from talkover.environments.models import Environment, EnvironmentToken
from tests.factories import ProviderConnectionFactory, UserFactory


@pytest.fixture
def connected(environment: Environment) -> ProviderConnection:
    connected: ProviderConnection = ProviderConnectionFactory(calendar__environment=environment)
    return connected


def test_an_entry_says_who_what_when_and_from_where(connected) -> None:
    token, _ = EnvironmentToken.issue(environment=connected.environment, name="backend")
    context = request_ids.current.set("request-7")
    try:
        audit.record(
            connected,
            Action.SYNC_FAILING,
            actor=Actor.of_token(token, "2001:db8::7"),
            code="rate_limited",
            details={"external_calendar_id": "it's"},
        )
    finally:
        request_ids.current.reset(context)

    entry = AuditEntry.objects.get()
    assert entry.environment_id == connected.environment_id
    assert entry.calendar_id == connected.calendar_id
    assert entry.connection_id == connected.pk
    assert entry.provider == connected.configuration.identifier
    assert (entry.action, entry.code) == ("sync_failing", "rate_limited")
    assert (entry.actor, entry.actor_id, entry.actor_label) == ("token", str(token.pk), "backend")
    assert (entry.address, entry.request_id) == ("2001:db8::7", "request-7")
    assert entry.details == {"external_calendar_id": "it's"}
    assert abs((timezone.now() - entry.created_at).total_seconds()) < 60


def test_recording_is_one_statement(connected, django_assert_num_queries) -> None:
    with django_assert_num_queries(1):
        audit.record(connected, Action.DISCONNECTED, actor=Actor.system())
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.address, entry.request_id) == ("system", None, "")


def test_an_entry_belongs_to_the_transaction_of_what_it_tells(connected) -> None:
    with transaction.atomic():
        audit.record(connected, Action.DISCONNECTED, actor=Actor.system())
        transaction.set_rollback(True)
    assert not AuditEntry.objects.exists()


def test_a_long_label_is_shortened(connected) -> None:
    actor = Actor(AuditEntry.Actor.TOKEN, label="x" * 1000)
    audit.record(connected, Action.SYNC_REQUESTED, actor=actor)
    assert AuditEntry.objects.get().actor_label == "x" * 320


def test_people_and_staff_are_told_apart(connected) -> None:
    user = UserFactory()
    assert Actor.of_person(user).kind == "user"
    assert Actor.of_staff(user).kind == "staff"


def test_every_action_has_words() -> None:
    assert set(audit.WORDS) == set(Action)
    assert all(len(action) <= 40 for action in Action)


def raw(sql: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)


def test_the_database_refuses_to_change_or_remove_an_entry(connected) -> None:
    audit.record(connected, Action.CONNECTED, actor=Actor.system())

    with pytest.raises(DatabaseError, match="append-only"):
        raw("UPDATE providers_auditentry SET action = 'disconnected'")
    if connection.vendor == "postgresql":  # docs/security.md says what SQLite does not hold
        with pytest.raises(DatabaseError, match="append-only"):
            raw("DELETE FROM providers_auditentry")

    assert AuditEntry.objects.get().action == "connected"


def test_the_orm_refuses_before_the_database_is_asked(connected) -> None:
    audit.record(connected, Action.CONNECTED, actor=Actor.system())
    entry = AuditEntry.objects.get()
    for change in (
        entry.save,
        entry.delete,
        AuditEntry.objects.all().delete,
        lambda: AuditEntry.objects.update(action="x"),
    ):
        with pytest.raises(TypeError, match="append-only"):
            change()


def test_entries_outlive_what_they_tell_about(connected) -> None:
    audit.record(connected, Action.CONNECTED, actor=Actor.system())
    environment, calendar = connected.environment, connected.calendar
    for row in (connected, calendar, connected.configuration, environment):
        row.delete()
    assert AuditEntry.objects.get().calendar_id is not None


@pytest.mark.django_db(transaction=True)
def test_a_test_database_can_be_emptied(connected) -> None:
    """The flush after this test meets an entry."""
    audit.record(connected, Action.CONNECTED, actor=Actor.system())
