"""A push, or a person's wish, for a calendar that is being synced: not lost, and not doubled."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from providers import scheduler, sync, tasks
from providers.base import EventQuery
from providers.errors import ProviderUnavailable
from providers.models import ExternalCalendar, SyncRun
from tests.providers.sync_remote import (
    ScriptedProvider,
    assert_synced,
    claimed,
    make_source,
    offered,
    remote_event,
    run,
    stored,
)

pytestmark = pytest.mark.django_db

PUSHES = 20


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hints that were sent, each at once, as if every push were committed by itself."""
    messages: list[str] = []
    monkeypatch.setattr(
        tasks.sync_external_calendar,
        "apply_async",
        lambda arguments, **_options: messages.append(arguments[0]),
    )
    monkeypatch.setattr("django.db.transaction.on_commit", lambda function: function())
    return messages


def push(source: ExternalCalendar) -> None:
    for _ in range(PUSHES):
        assert tasks.request_sync([source.pk]) == [source.pk]


def drain(source: ExternalCalendar, sent: list[str]) -> int:
    """Deliver every hint, and dispatch until nothing is due; how many runs that made."""
    before = SyncRun.objects.count()
    while sent or claimed(10):
        if sent:
            sent.clear()
        sync.run(source.pk)
    return SyncRun.objects.count() - before


def test_of_many_pushes_comes_one_hint_and_one_run(
    source: ExternalCalendar, provider: ScriptedProvider, sent: list[str]
) -> None:
    run(source)
    provider.put(remote_event("new"))
    push(source)
    assert sent == [str(source.pk)]
    assert drain(source, sent) == 1
    assert_synced(source, provider)
    source.refresh_from_db()
    assert (source.dirty, source.settled) == (PUSHES, PUSHES)


@pytest.mark.parametrize("page", ["first", "last"])
def test_pushes_during_a_run_lead_to_one_more(
    source: ExternalCalendar, provider: ScriptedProvider, sent: list[str], page: str
) -> None:
    wanted = "" if page == "first" else "e5"

    def before(query: EventQuery) -> None:
        # Of this version of the calendar the run has seen nothing, or not all.
        if query.page_token.endswith(wanted) and "late" not in provider.events:
            provider.put(remote_event("late"))
            pushed.append(True)

    def on_read() -> None:
        if pushed:
            pushed.clear()
            push(source)

    pushed: list[bool] = []
    provider.before, provider.on_read = before, on_read
    run(source)
    # No hint for what is being synced: it could only be refused.
    assert sent == []
    assert source.is_syncing
    assert drain(source, sent) == 1
    assert stored(source) == offered(provider)
    source.refresh_from_db()
    assert not source.is_syncing


def test_a_push_between_the_last_page_and_the_release_is_not_lost(
    source: ExternalCalendar,
    provider: ScriptedProvider,
    sent: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run(source)
    release = scheduler.Lease.release

    def pushed_before(lease: scheduler.Lease, **options: Any) -> None:
        monkeypatch.setattr(scheduler.Lease, "release", release)
        provider.put(remote_event("late"))
        push(source)
        release(lease, **options)

    monkeypatch.setattr(scheduler.Lease, "release", pushed_before)
    run(source)
    assert "late" not in stored(source)
    assert drain(source, sent) == 1
    assert_synced(source, provider)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="one writer at a time")
def test_pushes_at_the_very_moment_of_the_release_are_not_lost(
    provider: ScriptedProvider,
) -> None:
    """From other processes, against the real locks: each is seen by the run, or follows it."""
    for _ in range(10):
        source = make_source()
        lease = scheduler.acquire(source.pk)
        assert lease is not None
        barrier = threading.Barrier(3)

        def wish(source: ExternalCalendar = source, barrier: Any = barrier) -> None:
            barrier.wait()
            scheduler.note_wishes([source.pk])
            connection.close()

        threads = [threading.Thread(target=wish) for _ in range(2)]
        for thread in threads:
            thread.start()
        barrier.wait()
        lease.release(next_sync_at=timezone.now() + timedelta(minutes=5), at_once=True)
        for thread in threads:
            thread.join()
        again = scheduler.acquire(source.pk)
        assert again is not None
        assert again.dirty == 2
        again.release(next_sync_at=None, at_once=True)
        assert scheduler.acquire(source.pk) is None


def test_a_push_is_not_lost_with_the_worker(
    source: ExternalCalendar, provider: ScriptedProvider, sent: list[str], time_machine: Any
) -> None:
    run(source)

    class PowerCut(BaseException):
        pass

    def before(_query: EventQuery) -> None:
        raise PowerCut

    provider.before = before
    provider.put(remote_event("late"))
    ExternalCalendar.objects.update(next_sync_at=timezone.now(), queued_until=None)
    with pytest.raises(PowerCut):
        sync.run(source.pk)
    push(source)
    assert sent == []
    provider.before = lambda _query: None
    time_machine.move_to(timezone.now() + timedelta(seconds=settings.SYNC_LEASE_SECONDS + 1))
    assert drain(source, sent) == 1
    assert_synced(source, provider)


def test_a_push_is_not_lost_with_its_hint(
    source: ExternalCalendar, provider: ScriptedProvider, sent: list[str], time_machine: Any
) -> None:
    run(source)
    provider.put(remote_event("late"))
    push(source)
    sent.clear()  # the broker has forgotten it
    push(source)
    assert sent == []
    time_machine.move_to(timezone.now() + scheduler.QUEUED_FOR + timedelta(seconds=1))
    assert drain(source, sent) == 1
    assert_synced(source, provider)


def test_a_hint_delivered_twice_runs_once(
    source: ExternalCalendar, provider: ScriptedProvider, sent: list[str]
) -> None:
    run(source)
    push(source)
    assert sync.run(source.pk) is not None
    assert sync.run(source.pk) is None


def test_a_wish_between_an_interruption_and_the_end_of_the_run(
    provider: ScriptedProvider, sent: list[str]
) -> None:
    source = make_source()
    provider.put(*(remote_event(f"e{number}") for number in range(6)))

    def break_off(query: EventQuery) -> None:
        if query.page_token:
            raise ProviderUnavailable

    provider.before = break_off
    assert run(source).status == SyncRun.Status.INTERRUPTED
    provider.before = lambda _query: None
    provider.put(remote_event("e0", version=2))  # its page was listed before
    push(source)
    assert run(source).resumed == 1
    assert stored(source) != offered(provider)

    source.refresh_from_db()
    assert source.dirty > source.settled
    assert source.next_sync_at is not None
    assert source.next_sync_at <= timezone.now()
    assert drain(source, sent) == 1
    assert_synced(source, provider)
