"""What is recorded of syncs, housekeeping and people: once, with its cause, and who it was."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from providers import grants, scheduler, sync, tasks
from providers.errors import (
    AuthorizationRevoked,
    CalendarForbidden,
    Misconfigured,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)
from providers.models import (
    AuditEntry,
    ExternalCalendar,
    ProviderConfiguration,
    ProviderConnection,
    RevocationJob,
)
from talkover.encryption import seal
from talkover.environments.models import EnvironmentToken, User
from tests.factories import ProviderConnectionFactory
from tests.providers.admin.conftest import run_action
from tests.providers.pages.conftest import signed_in
from tests.providers.sync_remote import ScriptedProvider, make_due, make_source

pytestmark = pytest.mark.django_db


def recorded() -> list[tuple[str, ...]]:
    """(action, who, code), the oldest first."""
    rows = AuditEntry.objects.order_by("id").values_list("action", "actor", "code")
    return [tuple(row) for row in rows]


def run(provider: ScriptedProvider, source: ExternalCalendar, error: Exception | None) -> None:
    def before(_query: Any) -> None:
        if error:
            raise error

    provider.before = before
    ExternalCalendar.objects.filter(pk=source.pk).update(lease_until=None)
    make_due(source)
    sync.run(source.pk)


def test_a_streak_of_failures_is_recorded_at_its_beginning_and_its_end(provider, source) -> None:
    for error in (ProviderUnavailable("503"), RateLimited("429"), None, None):
        run(provider, source, error)

    assert recorded() == [
        ("sync_failing", "system", "provider_unavailable"),
        ("sync_recovered", "system", ""),
    ]
    entry = AuditEntry.objects.first()
    assert entry is not None
    assert entry.connection_id == source.connection_id
    assert entry.details == {"external_calendar_id": source.external_id}


def test_a_sync_without_news_records_nothing(provider, source) -> None:
    for _ in range(3):
        run(provider, source, None)
    assert recorded() == []


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (AuthorizationRevoked("gone"), "reauthorization_required"),
        (CalendarForbidden("no access"), "stopped"),
    ],
)
def test_the_end_of_the_syncs_is_recorded(
    provider, source, error: ProviderError, action: str
) -> None:
    run(provider, source, error)
    assert recorded() == [(action, "system", error.code)]


def test_a_registration_that_is_refused_is_recorded_where_it_was_met(provider, source) -> None:
    """Pausing a configuration with thousands of connections writes no thousands of entries."""
    ProviderConnectionFactory.create_batch(
        3, configuration=source.connection.configuration, calendar=source.connection.calendar
    )
    run(provider, source, Misconfigured("invalid_client"))
    assert ProviderConfiguration.objects.get(pk=source.connection.configuration_id).paused_at
    assert recorded() == [("sync_failing", "system", "provider_misconfigured")]


def test_an_error_after_a_reconnection_is_not_recorded(provider, source) -> None:
    def before(query: Any) -> None:
        if query.page_token:
            raise AuthorizationRevoked("the old grant")

    provider.before = before
    provider.on_read = lambda: scheduler.revoke_leases(source.connection_id)
    make_due(source)
    sync.run(source.pk)
    assert recorded() == []


def test_an_attempt_that_ran_out_is_recorded_once(environment) -> None:
    late = timezone.now() - timedelta(seconds=1)
    connection = ProviderConnectionFactory(
        calendar__environment=environment, status="pending", pending_until=late
    )
    ProviderConnectionFactory(status="pending", pending_until=late + timedelta(minutes=5))
    assert tasks.expire_attempts() == 1
    assert tasks.expire_attempts() == 0
    assert recorded() == [("expired", "system", "request_expired")]
    assert AuditEntry.objects.get().connection_id == connection.pk


def noted_grant(connection: ProviderConnection) -> None:
    grants.revoke_later(connection=connection, subject="somebody else", token="token")


def test_a_grant_that_was_revoked_is_recorded(monkeypatch) -> None:
    connection = make_source(kind="google").connection
    noted_grant(connection)
    calendar_id = connection.calendar_id
    monkeypatch.setattr(grants, "_revoke", lambda _job, **_: True)
    connection.calendar.delete()  # what it was about may be gone by then

    assert grants.revoke_due() == 1

    assert recorded() == [("grant_revoked", "system", "")]
    entry = AuditEntry.objects.get()
    assert (entry.calendar_id, entry.provider) == (calendar_id, "provider")


def test_a_grant_that_could_not_be_revoked_in_a_day_is_recorded(monkeypatch, caplog) -> None:
    connection = make_source(kind="google").connection
    noted_grant(connection)
    monkeypatch.setattr(grants, "_revoke", lambda _job, **_: False)
    assert grants.revoke_due() == 0
    assert recorded() == []
    RevocationJob.objects.update(expires_at=timezone.now())

    assert grants.revoke_due() == 0

    assert not RevocationJob.objects.exists()
    assert recorded() == [("revocation_failed", "system", "")]
    assert AuditEntry.objects.get().connection_id == connection.pk
    assert "given up" in caplog.text


def test_a_grant_noted_before_the_log_is_revoked_all_the_same(monkeypatch) -> None:
    configuration = make_source().connection.configuration
    job = RevocationJob(
        environment=configuration.environment,
        configuration=configuration,
        expires_at=timezone.now() + timedelta(hours=1),
    )
    seal(job, "token", "token")
    job.save()
    monkeypatch.setattr(grants, "_revoke", lambda _job, **_: True)
    assert grants.revoke_due() == 1
    assert recorded() == []


def test_a_sync_over_the_api_names_the_token_and_its_address(api, calendar) -> None:
    connection = ProviderConnectionFactory(calendar=calendar)
    url = f"/api/v1/calendars/{calendar.pk}/providers/{connection.pk}/sync"

    response = api.post(url, HTTP_X_FORWARDED_FOR="203.0.113.9", HTTP_X_REQUEST_ID="r-1")

    assert response.status_code == 202
    assert recorded() == [("sync_requested", "token", "")]
    entry = AuditEntry.objects.get()
    token = EnvironmentToken.objects.get(environment=calendar.environment)
    assert (entry.actor_id, entry.actor_label) == (str(token.pk), "test")
    assert (entry.address, entry.request_id) == ("127.0.0.1", "r-1")


def test_a_sync_on_the_page_names_the_person(calendar) -> None:
    connection = ProviderConnectionFactory(calendar=calendar)
    signed_in(calendar.owner).post(reverse("sync-connection", args=[connection.pk]))
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.actor_label) == ("user", calendar.owner.email)


def test_a_sync_in_the_admin_names_the_staff_and_only_what_was_reached(client, calendar) -> None:
    root = User.objects.create_superuser("root@example.com")
    client.force_login(root)
    active, broken = (
        ProviderConnectionFactory(calendar=calendar, status=status)
        for status in ("active", "error")
    )
    for connection in (active, broken):
        ExternalCalendar.objects.create(connection=connection, external_id="x")

    run_action(client, "providerconnection", "sync_now", active, broken)

    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.actor_label) == ("staff", "root@example.com")
    assert entry.connection_id == active.pk
