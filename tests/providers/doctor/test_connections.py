"""What the doctor says of redirect URIs, configurations, outages, grants and syncs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from providers import audit
from providers.audit import Action, Actor
from providers.doctor import connections
from providers.doctor.findings import Finding, Level
from providers.models import AuditEntry, ExternalCalendar, ProviderConnection
from talkover.environments.models import Environment, RedirectURI
from tests.factories import ProviderConfigurationFactory, ProviderConnectionFactory

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
DAY = 24 * HOUR


def found(check: Any) -> list[tuple[Level, str]]:
    findings: list[Finding] = list(check())
    assert all(finding.remedy for finding in findings)
    return [(finding.level, finding.what) for finding in findings]


def only(check: Any) -> tuple[Level, str]:
    (finding,) = found(check)
    return finding


class TestRedirectURIs:
    def test_a_registered_one_is_well(self, environment: Environment) -> None:
        ProviderConfigurationFactory(environment=environment)
        RedirectURI.objects.create(environment=environment, uri="https://app.example.com/back")
        assert found(connections.check_redirect_uris) == []

    def test_one_that_would_be_refused_now(self, environment: Environment) -> None:
        RedirectURI.objects.create(environment=environment, uri="http://app.example.com/back")
        level, what = only(connections.check_redirect_uris)
        assert level == Level.ERROR
        assert "http://app.example.com/back of Acme would be refused" in what

    @pytest.mark.parametrize("base", ["https://calendars.example.com", "http://127.0.0.1:8000"])
    def test_one_on_loopback_where_the_public_comes(
        self, environment: Environment, settings: Any, base: str
    ) -> None:
        settings.PUBLIC_BASE_URL = base
        RedirectURI.objects.create(environment=environment, uri="http://localhost:3000/back")
        levels = [level for level, _ in found(connections.check_redirect_uris)]
        assert levels == ([Level.WARNING] if base.startswith("https") else [])

    def test_none_registered(self, environment: Environment, other_environment: Any) -> None:
        """Once an environment; one that connects nothing is of no concern."""
        ProviderConfigurationFactory.create_batch(2, environment=environment)
        level, what = only(connections.check_redirect_uris)
        assert level == Level.WARNING
        assert what == "Acme has registered none, so any https address is accepted."

    def test_a_direct_one_is_named(self, environment: Environment) -> None:
        RedirectURI.objects.create(
            environment=environment, uri="https://app.example.com/back", is_direct=True
        )
        level, what = only(connections.check_redirect_uris)
        assert level == Level.OK
        assert "is direct" in what


class TestConfigurations:
    def test_one_in_use_is_well(self) -> None:
        ProviderConfigurationFactory(secret="secret")
        assert found(connections.check_configurations) == []

    def test_one_without_a_secret(self) -> None:
        ProviderConfigurationFactory(identifier="work")
        level, what = only(connections.check_configurations)
        assert (level, "work of" in what, "no client secret" in what) == (Level.ERROR, True, True)

    def test_one_on_hold(self) -> None:
        ProviderConfigurationFactory(
            secret="secret", paused_at=timezone.now(), paused_reason="invalid_client"
        )
        level, what = only(connections.check_configurations)
        assert level == Level.ERROR
        assert what.endswith("invalid_client")

    def test_one_of_an_unknown_kind(self) -> None:
        ProviderConfigurationFactory(kind="of yesterday", secret="secret")
        assert "unknown kind 'of yesterday'" in only(connections.check_configurations)[1]

    def test_one_that_is_switched_off_is_of_no_concern(self) -> None:
        ProviderConfigurationFactory(kind="of yesterday", is_active=False)
        assert found(connections.check_configurations) == []


class TestOutages:
    def test_an_open_one(self) -> None:
        now = timezone.now()
        ProviderConfigurationFactory(
            identifier="work", outage_failures=12, outage_since=now - HOUR, outage_until=now + HOUR
        )
        level, what = only(connections.check_outages)
        assert level == Level.WARNING
        assert "work of" in what
        assert "after 12 failures" in what

    def test_one_that_is_over(self) -> None:
        ProviderConfigurationFactory(outage_until=timezone.now() - HOUR)
        assert found(connections.check_outages) == []


def lost(configuration: Any, age: timedelta) -> ProviderConnection:
    """A connection that lost its access at that age, as it stands now."""
    now = timezone.now()
    connection: ProviderConnection = ProviderConnectionFactory(
        calendar__environment=configuration.environment,
        configuration=configuration,
        status="reauthorization_required",
        last_error_code="authorization_revoked",
        activated_at=now - age,
        last_error_at=now,
    )
    return connection


class TestGrants:
    def test_several_that_ended_after_a_week(self) -> None:
        configuration = ProviderConfigurationFactory(identifier="work")
        for age in (7 * DAY, 7 * DAY + 2 * HOUR, 30 * DAY):
            lost(configuration, age)
        level, what = only(connections.check_grants)
        assert level == Level.WARNING
        assert what.startswith("2 connections of work of ")

    def test_one_alone_proves_nothing_nor_do_others_ages(self) -> None:
        configuration = ProviderConfigurationFactory()
        for age in (7 * DAY, 6 * DAY, 8 * DAY):
            lost(configuration, age)
        lost(ProviderConfigurationFactory(), 7 * DAY)
        assert found(connections.check_grants) == []

    def test_those_that_were_reconnected_are_told_by_the_log(self) -> None:
        configuration = ProviderConfigurationFactory()
        now = timezone.now()
        for _ in range(2):
            connection = ProviderConnectionFactory(
                calendar__environment=configuration.environment, configuration=configuration
            )
            for action, ago, code in (
                (Action.CONNECTED, 14 * DAY, ""),
                (Action.REAUTHORIZATION_REQUIRED, 7 * DAY, "authorization_revoked"),
                (Action.RECONNECTED, 2 * HOUR, ""),
            ):
                entry = audit.entry(connection, action, actor=Actor.system(), code=code)
                entry.created_at = now - ago
                AuditEntry.objects.bulk_create([entry])
        assert only(connections.check_grants)[1].startswith("2 connections of ")

    def test_another_end_is_another_matter(self) -> None:
        configuration = ProviderConfigurationFactory()
        for _ in range(2):
            lost(configuration, 7 * DAY)
        ProviderConnection.objects.update(last_error_code="scope_missing")
        assert found(connections.check_grants) == []


class TestSyncs:
    def late(self, by: timedelta, **fields: Any) -> ExternalCalendar:
        due = {"next_sync_at": timezone.now() - by} | fields
        return ExternalCalendar.objects.create(
            connection=ProviderConnectionFactory(), external_id="x", **due
        )

    def test_in_time(self) -> None:
        self.late(timedelta(minutes=5))
        self.late(-HOUR, lease_until=timezone.now() + timedelta(seconds=20))
        assert found(connections.check_syncs) == []

    @pytest.mark.parametrize(
        ("by", "level"), [(timedelta(minutes=15), Level.WARNING), (2 * HOUR, Level.ERROR)]
    )
    def test_late(self, by: timedelta, level: Level) -> None:
        self.late(by)
        self.late(timedelta(minutes=12))
        assert only(connections.check_syncs)[0] == level
        assert only(connections.check_syncs)[1].startswith("2 calendars wait")

    def test_late_on_purpose(self) -> None:
        connection = self.late(2 * HOUR).connection
        ProviderConnection.objects.filter(pk=connection.pk).update(status="error")
        assert found(connections.check_syncs) == []

    def test_left_by_a_worker_that_died(self) -> None:
        self.late(-HOUR, lease_until=timezone.now() - HOUR)
        level, what = only(connections.check_syncs)
        assert level == Level.WARNING
        assert what.startswith("1 calendars were left")
