"""What providers post: what follows, what a flood of it costs, and what may be away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerAway

from providers import push, scheduler, tasks
from providers.models import ExternalCalendar, NotificationChannel, ProviderConnection
from tests.providers.posting import dirty, make_channel, post, settle
from tests.providers.sync_remote import claimed, make_source
from tests.providers.test_scheduler import in_threads, iter_once

pytestmark = pytest.mark.django_db


@pytest.fixture
def hints(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was told to the workers."""
    sent: list[Any] = []
    monkeypatch.setattr(
        tasks.sync_external_calendar, "apply_async", lambda arguments, **_: sent.append(arguments)
    )
    return sent


# A genuine one


def test_a_notification_has_the_calendar_synced(
    channel: NotificationChannel,
    quiet: ExternalCalendar,
    hints: list[Any],
    django_capture_on_commit_callbacks: Callable[..., Any],
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        response = post(channel, 7)
    assert (response.status_code, response.content) == (204, b"")
    assert response["Cache-Control"] == "no-store"
    assert dirty(quiet) == 1
    assert quiet.next_sync_at is not None
    assert quiet.next_sync_at <= timezone.now()
    assert hints == [(str(quiet.pk),)]
    assert scheduler.acquire(quiet.pk) is not None
    channel.refresh_from_db()
    assert channel.last_message_number == 7
    assert channel.last_notified_at is not None


def test_the_first_message_of_a_channel_is_no_change(
    channel: NotificationChannel, quiet: ExternalCalendar
) -> None:
    assert post(channel, 1, "sync").status_code == 204
    assert dirty(quiet) == 0
    channel.refresh_from_db()
    assert (channel.last_message_number, channel.last_notified_at is None) == (1, False)


def test_a_message_that_comes_before_the_channel_s_answer(quiet: ExternalCalendar) -> None:
    channel = make_channel(quiet, resource_id="", expires_at=None)
    assert post(channel, 1, "sync").status_code == 204
    channel.refresh_from_db()
    assert channel.resource_id == "resource-1"
    assert post(channel, 2, Resource_ID="another").status_code == 404
    assert post(channel, 2).status_code == 204
    assert dirty(quiet) == 1


def test_a_deleted_calendar_is_a_change(
    channel: NotificationChannel, quiet: ExternalCalendar
) -> None:
    assert post(channel, 3, "not_exists").status_code == 204
    assert dirty(quiet) == 1


def test_what_comes_twice_or_late_counts_once(
    channel: NotificationChannel, quiet: ExternalCalendar, django_assert_num_queries: Any
) -> None:
    assert post(channel, 5).status_code == 204
    for number in (5, 4, 1):
        with django_assert_num_queries(1):  # nothing is locked for it
            assert post(channel, number).status_code == 204
    assert dirty(quiet) == 1
    settle(quiet)
    assert post(channel, 5).status_code == 204
    assert dirty(quiet) == 1
    assert post(channel, 6).status_code == 204
    assert dirty(quiet) == 2


def test_a_notification_while_a_sync_is_under_way_is_neither_lost_nor_doubled(
    channel: NotificationChannel, quiet: ExternalCalendar
) -> None:
    scheduler.request_sync([quiet.pk])
    lease = scheduler.acquire(quiet.pk)
    assert lease is not None
    for number in (2, 3, 4):
        assert post(channel, number).status_code == 204
    assert dirty(quiet) > lease.dirty
    lease.release(next_sync_at=timezone.now() + timedelta(hours=1), at_once=True)
    again = scheduler.acquire(quiet.pk)
    assert again is not None
    again.release(next_sync_at=timezone.now() + timedelta(hours=1), at_once=True)
    assert scheduler.acquire(quiet.pk) is None


def test_of_a_flood_one_does_the_work(
    channel: NotificationChannel,
    quiet: ExternalCalendar,
    hints: list[Any],
    django_capture_on_commit_callbacks: Callable[..., Any],
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        post(channel, 2)
    with (
        django_capture_on_commit_callbacks(execute=True),
        CaptureQueriesContext(connection) as queries,
    ):
        for number in range(3, 23):
            assert post(channel, number).status_code == 204
    writes = [query["sql"] for query in queries if query["sql"].startswith("UPDATE")]
    assert len(writes) == 20
    assert all("notificationchannel" in sql for sql in writes)
    assert (dirty(quiet), len(hints)) == (1, 1)


def test_a_hint_that_was_lost_is_not_waited_for_for_ever(
    channel: NotificationChannel, quiet: ExternalCalendar, time_machine: Any
) -> None:
    post(channel, 2)
    time_machine.move_to(timezone.now() + scheduler.QUEUED_FOR + timedelta(seconds=1))
    post(channel, 3)
    assert dirty(quiet) == 2


def test_a_provider_that_wants_silence_gets_it(
    channel: NotificationChannel, quiet: ExternalCalendar
) -> None:
    until = timezone.now() + timedelta(minutes=10)
    ExternalCalendar.objects.filter(pk=quiet.pk).update(blocked_until=until, next_sync_at=until)
    assert post(channel).status_code == 204
    assert scheduler.acquire(quiet.pk) is None


@pytest.mark.parametrize("status", [s for s in ProviderConnection.Status.values if s != "active"])
def test_a_connection_that_is_not_active_is_not_synced(
    channel: NotificationChannel, quiet: ExternalCalendar, status: str
) -> None:
    ProviderConnection.objects.update(status=status)
    assert post(channel).status_code == 204
    assert dirty(quiet) == 0


# What may be away, and several at once


def test_a_broker_that_is_away_costs_a_minute_and_no_message(
    channel: NotificationChannel,
    quiet: ExternalCalendar,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Callable[..., Any],
    time_machine: Any,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise BrokerAway("connection refused")

    monkeypatch.setattr(tasks.sync_external_calendar, "apply_async", fail)
    with django_capture_on_commit_callbacks(execute=True):
        assert post(channel).status_code == 204
    time_machine.move_to(timezone.now() + scheduler.QUEUED_FOR + timedelta(seconds=1))
    assert claimed(10) == [quiet.pk]


@pytest.mark.parametrize("part", ["_recognise", "_note"])
def test_a_database_that_is_away_has_the_message_repeated(
    channel: NotificationChannel,
    quiet: ExternalCalendar,
    monkeypatch: pytest.MonkeyPatch,
    part: str,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OperationalError("server closed the connection")

    with monkeypatch.context() as broken:
        broken.setattr(push, part, fail)
        response = post(channel)
    assert (response.status_code, response["Retry-After"]) == (503, "10")
    assert "no-store" in response["Cache-Control"]
    # Nothing of it was kept: the repetition counts.
    assert dirty(quiet) == 0
    assert post(channel).status_code == 204
    assert dirty(quiet) == 1


@pytest.mark.django_db(transaction=True)
def test_of_the_same_message_many_times_at_once_one_counts(hints: list[Any]) -> None:
    source = make_source(kind="google", next_sync_at=timezone.now() + timedelta(hours=1))
    channel = make_channel(source)
    responses = in_threads(6, lambda: post(channel, 9))
    assert [response.status_code for response in responses] == [204] * 6
    assert dirty(source) == 1
    assert len(hints) == 1


@pytest.mark.django_db(transaction=True)
def test_a_notification_and_a_disconnection_do_not_wait_for_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both lock the external calendar first."""
    source = make_source(kind="google", next_sync_at=timezone.now() + timedelta(hours=1))
    channel = make_channel(source)
    leases_are_revoked, channel_is_read = threading.Event(), threading.Event()
    is_new = push._is_new

    def read_and_look(*given: Any) -> bool:
        channel_is_read.set()  # before a transaction begins: SQLite has one at a time
        return is_new(*given)

    def disconnect() -> None:
        with transaction.atomic():
            scheduler.revoke_leases(source.connection_id)
            leases_are_revoked.set()
            assert channel_is_read.wait(30)
            time.sleep(0.5)  # the notification locks what it can meanwhile
            NotificationChannel.objects.update(stopped_at=timezone.now())

    def notify() -> int:
        assert leases_are_revoked.wait(30)
        status: int = post(channel).status_code
        return status

    monkeypatch.setattr(push, "_is_new", read_and_look)
    assert sorted(in_threads(2, iter_once(disconnect, notify)), key=str) == [204, None]
    assert dirty(source) == 0  # it came too late
