"""A connection's page: how it stands, its progress, and what its buttons do."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from calendars.models import Calendar
from providers.models import (
    AuthorizationRequest,
    NotificationChannel,
    ProviderConfiguration,
    ProviderConnection,
    SyncRun,
)
from tests.factories import EventFactory
from tests.providers.pages.conftest import (
    AUTHORIZATION,
    change,
    external_calendar,
    notices,
    text_of,
    url,
)
from tests.providers.posting import make_channel


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ["In sync", "Synced: 312 events, last 20 seconds ago", "Next sync in"]),
        ({"quarantined_count": 1}, ["In sync", "1 event could not be read.", "it changes"]),
        ({"quarantined_count": 3}, ["In sync", "3 events could not be read.", "they change"]),
        (
            {"last_sync_at": None, "next_sync_at": timezone.now()},
            ["First sync", "The first sync starts in a moment."],
        ),
        (
            {"status": "reauthorization_required", "last_error_code": "authorization_revoked"},
            ["Needs reconnecting", "has ended the access", "What to do: Reconnect"],
        ),
        (
            {"last_error_code": "rate_limited"},
            ["Sync failing", "asks for a pause", "312 events from the last complete sync"],
        ),
        (
            {"status": "error", "last_error_code": "calendar_forbidden"},
            ["Stopped", "may not read the chosen calendar"],
        ),
        (
            {
                "status": "error",
                "account_subject": "",
                "account_email": "",
                "last_error_code": "scope_missing",
                "last_sync_at": None,
            },
            ["Not connected", "permission to read the calendar was not given", "Try again"],
        ),
        (
            {
                "status": "pending",
                "account_subject": "",
                "account_email": "",
                "pending_until": timezone.now() + timedelta(hours=1),
                "last_sync_at": None,
            },
            ["Not authorised yet", "Continue at the provider", "Remove"],
        ),
        (
            {
                "status": "pending",
                "account_subject": "",
                "account_email": "",
                "pending_until": timezone.now() - timedelta(hours=1),
                "last_sync_at": None,
            },
            ["Not finished", "was not finished in time", "Try again"],
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_a_connection_says_how_it_stands(
    owner: Client, connection: ProviderConnection, changes: dict[str, Any], words: list[str]
) -> None:
    change(connection, **changes)
    page = text_of(owner.get(url("connection-detail", connection.pk)))
    for word in words:
        assert word in page


def test_a_provider_on_hold(owner: Client, connection: ProviderConnection) -> None:
    ProviderConfiguration.objects.update(paused_at=timezone.now(), paused_reason="internal: x")
    page = text_of(owner.get(url("connection-detail", connection.pk)))
    assert "On hold This service is not registered correctly at the provider." in page
    assert "internal: x" not in page
    assert "Reconnect" not in page
    assert "Sync now" not in page
    response = owner.post(url("reconnect-calendar", connection.pk))
    assert response["Location"] == url("connection-detail", connection.pk)
    assert "switched off" in notices(response)
    ProviderConfiguration.objects.update(paused_at=None, is_active=False)
    assert "Switched off" in text_of(owner.get(url("connection-detail", connection.pk)))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("google", "With the next sync: the provider has not told us of changes yet."),
        ("microsoft", "With the next sync: the provider has not told us of changes yet."),
        ("ics", "With the next sync: this provider does not tell us of changes."),
    ],
)
def test_changes_that_a_sync_finds(
    owner: Client, connection: ProviderConnection, kind: str, words: str
) -> None:
    ProviderConfiguration.objects.update(kind=kind)
    assert f"Changes arrive {words}" in text_of(owner.get(url("connection-detail", connection.pk)))


def test_changes_that_the_provider_tells(owner: Client, connection: ProviderConnection) -> None:
    """Of all calendars, on channels that have delivered."""
    page = url("connection-detail", connection.pk)
    at_once = "Changes arrive At once: the provider tells us of changes."
    channel = make_channel(connection.external_calendars.get())
    assert at_once not in text_of(owner.get(page))
    NotificationChannel.objects.update(last_notified_at=timezone.now())
    assert at_once in text_of(owner.get(page))
    other = external_calendar(connection, external_id="team@example.com")
    assert at_once not in text_of(owner.get(page))
    make_channel(other, last_notified_at=timezone.now())
    assert at_once in text_of(owner.get(page))
    NotificationChannel.objects.filter(pk=channel.pk).update(stopped_at=timezone.now())
    assert at_once not in text_of(owner.get(page))


def test_nothing_is_said_of_changes_where_nothing_is_synced(
    owner: Client, connection: ProviderConnection
) -> None:
    change(connection, status="error", last_error_code="calendar_forbidden")
    assert "Changes arrive" not in text_of(owner.get(url("connection-detail", connection.pk)))


def run_of(connection: ProviderConnection, **fields: Any) -> SyncRun:
    """A run that is under way."""
    now = timezone.now()
    external = connection.external_calendars.get()
    change(connection, lease_until=now + timedelta(minutes=1), dirty=1, next_sync_at=now)
    values = {"kind": "full", "fence": 1, "window_start": now, "window_end": now} | fields
    return SyncRun.objects.create(connection=connection, external_calendar=external, **values)


def poll_seconds(response: Any) -> int:
    found = re.search(r'data-poll-seconds="(\d+)"', response.content.decode())
    assert found
    return int(found.group(1))


def test_progress_of_the_first_sync(owner: Client, connection: ProviderConnection) -> None:
    change(connection, last_sync_at=None, events_synced=0)
    run = run_of(connection, pages=3, events_seen=7500)
    progress = owner.get(url("connection-progress", connection.pk))
    assert "<html" not in progress.content.decode()
    assert "The first sync is running. Events so far 7,500 Pages 3" in text_of(progress)
    assert poll_seconds(progress) == 1
    run.phase = SyncRun.Phase.SWEEPING
    run.save()
    assert "Almost done" in text_of(owner.get(url("connection-progress", connection.pk)))
    run.status = SyncRun.Status.SUCCEEDED
    run.save()
    change(
        connection, lease_until=None, settled=1, last_sync_at=timezone.now(), events_synced=7412,
        next_sync_at=timezone.now() + timedelta(minutes=5),
    )  # fmt: skip
    done = owner.get(url("connection-progress", connection.pk))
    assert "Synced: 7,412 events, last just now" in text_of(done)
    assert poll_seconds(done) == 0


def test_progress_asks_less_often_while_it_waits(
    owner: Client, connection: ProviderConnection
) -> None:
    now = timezone.now()
    change(connection, dirty=1, next_sync_at=now)
    assert poll_seconds(owner.get(url("connection-progress", connection.pk))) == 1
    change(connection, last_error_code="rate_limited", next_sync_at=now + timedelta(minutes=1))
    assert poll_seconds(owner.get(url("connection-progress", connection.pk))) == 5
    change(connection, next_sync_at=now + timedelta(hours=1))
    assert poll_seconds(owner.get(url("connection-progress", connection.pk))) == 0


def test_a_sync_that_nobody_takes_up(owner: Client, connection: ProviderConnection) -> None:
    change(connection, dirty=1, next_sync_at=timezone.now() - timedelta(minutes=2))
    response = owner.get(url("connection-progress", connection.pk))
    assert "If it lasts, tell the operator." in text_of(response)
    assert poll_seconds(response) == 5


def test_a_failed_reconnect_is_told_though_the_connection_is_as_before(
    owner: Client, connection: ProviderConnection
) -> None:
    owner.post(url("reconnect-calendar", connection.pk))
    request = AuthorizationRequest.objects.get()
    assert request.expected_account == connection.account_email
    AuthorizationRequest.objects.update(consumed_at=timezone.now(), outcome="account_mismatch")
    page = text_of(owner.get(url("connection-detail", connection.pk)))
    assert "Reconnecting did not work. Another account was chosen" in page
    assert "In sync" in page
    AuthorizationRequest.objects.update(outcome="connected")
    assert "did not work" not in text_of(owner.get(url("connection-detail", connection.pk)))
    AuthorizationRequest.objects.update(
        outcome="account_mismatch", consumed_at=timezone.now() - timedelta(hours=1)
    )
    assert "did not work" not in text_of(owner.get(url("connection-detail", connection.pk)))


def test_nothing_is_said_where_every_event_could_be_read(
    owner: Client, connection: ProviderConnection
) -> None:
    assert "could not be read" not in text_of(owner.get(url("connection-detail", connection.pk)))


def test_reconnect_leads_to_the_provider(owner: Client, connection: ProviderConnection) -> None:
    response = owner.post(url("reconnect-calendar", connection.pk))
    assert response.status_code == 303
    assert response["Location"].startswith(AUTHORIZATION + "?")
    assert AuthorizationRequest.objects.get().connection == connection


def test_sync_now(owner: Client, connection: ProviderConnection) -> None:
    response = owner.post(url("sync-connection", connection.pk))
    assert response.status_code == 303
    external = connection.external_calendars.get()
    assert external.dirty == 1
    assert external.next_sync_at is not None
    assert external.next_sync_at <= timezone.now()
    assert "Syncing" in text_of(owner.get(response["Location"]))


def test_sync_now_of_what_is_not_active(owner: Client, connection: ProviderConnection) -> None:
    change(connection, status="error", last_error_code="scope_missing")
    response = owner.post(url("sync-connection", connection.pk))
    assert "connect the account first" in notices(response)
    assert connection.external_calendars.get().dirty == 0


def test_disconnect_asks_first(
    owner: Client, calendar: Calendar, connection: ProviderConnection
) -> None:
    EventFactory(calendar=calendar, source=connection.external_calendars.get())
    question = owner.get(url("disconnect-calendar", connection.pk))
    assert "Disconnect this account?" in text_of(question)
    connection.refresh_from_db()
    assert connection.is_active
    response = owner.post(url("disconnect-calendar", connection.pk))
    assert response.status_code == 303
    assert response["Location"] == url("calendar-detail", calendar.pk)
    assert "The events that were synced stay" in notices(response)
    connection.refresh_from_db()
    assert connection.status == "disconnected"
    assert calendar.events.count() == 1


def test_an_attempt_can_be_removed(owner: Client, connection: ProviderConnection) -> None:
    change(connection, status="expired", account_subject="", account_email="")
    calendar_page = text_of(owner.get(url("calendar-detail", connection.calendar_id)))
    assert "Not finished (1)" in calendar_page
    assert "Connect another account" not in calendar_page
    assert "Remove this attempt?" in text_of(owner.get(url("disconnect-calendar", connection.pk)))
    assert "Removed." in notices(owner.post(url("disconnect-calendar", connection.pk)))
