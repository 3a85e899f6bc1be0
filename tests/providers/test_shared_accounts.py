"""An account that somebody else has connected, too: staff learn it, other environments do not."""

from __future__ import annotations

import pytest

from providers import audit
from providers.audit import Actor
from providers.models import AuditEntry, ProviderConnection
from tests.factories import CalendarFactory, ProviderConnectionFactory
from tests.providers.api.test_timeline import entries

ACTOR = Actor.system()


@pytest.fixture
def connection(environment) -> ProviderConnection:
    connection: ProviderConnection = ProviderConnectionFactory(
        calendar__environment=environment, account_subject="subject"
    )
    return connection


def recorded() -> list[tuple[str, dict[str, int]]]:
    rows = AuditEntry.objects.order_by("id").values_list("action", "details")
    return [(action, details) for action, details in rows]


def test_an_account_of_ones_own_is_nothing_to_report(connection) -> None:
    owner, environment = connection.calendar.owner, connection.environment
    calendar = CalendarFactory(environment=environment, owner=owner)
    ProviderConnectionFactory(calendar=calendar, account_subject="subject")
    ProviderConnectionFactory(account_subject="subject", status="disconnected")
    ProviderConnectionFactory(account_subject="subject", configuration__kind="another")
    ProviderConnectionFactory(account_subject="another")
    audit.report_shared_account(connection, ACTOR)
    assert recorded() == []


def test_before_the_account_is_known_there_is_nothing_to_compare(connection) -> None:
    connections = ProviderConnectionFactory.create_batch(2, account_subject="")
    audit.report_shared_account(connections[0], ACTOR)
    assert recorded() == []


def test_somebody_else_in_the_same_environment(api, connection, caplog) -> None:
    ProviderConnectionFactory(
        calendar__environment=connection.environment, account_subject="subject"
    )
    audit.report_shared_account(connection, ACTOR)
    assert recorded() == [("account_shared", {"others": 1})]
    assert entries(api, connection)[0]["details"] == {"others": 1}
    assert "connected for 1 other people" in caplog.text


def test_somebody_in_another_environment_is_for_staff_only(api, connection, caplog) -> None:
    others = ProviderConnectionFactory.create_batch(2, account_subject="subject")
    audit.report_shared_account(connection, ACTOR)
    assert recorded() == [("account_shared_elsewhere", {"others": 2})]
    assert entries(api, connection) == []
    assert "connected for 2 other people" in caplog.text
    # Nothing is written to theirs either.
    assert not AuditEntry.objects.filter(connection_id__in=[row.pk for row in others]).exists()
