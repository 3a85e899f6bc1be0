"""One run: full and incremental listings, who makes it, fetching ahead, what is kept of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from calendars.models import Event
from providers import scheduler, sync
from providers.base import EventQuery, InvalidEvent
from providers.models import ExternalCalendar, SyncRun
from providers.sync_reader import PageReader
from tests.providers.sync_remote import (
    ScriptedProvider,
    assert_synced,
    claimed,
    make_source,
    relist,
    remote_event,
    run,
    stored,
)

pytestmark = pytest.mark.django_db


# Listings ----------------------------------------------------------------------------------------


def test_a_first_sync(source: ExternalCalendar, provider: ScriptedProvider) -> None:
    before = timezone.now()
    result = run(source)
    assert_synced(source, provider)
    assert (result.kind, result.status, result.phase) == ("full", "succeeded", "done")
    assert (result.pages, result.events_seen, result.events_changed) == (3, 8, 8)
    assert result.finished_at is not None
    assert source.last_sync_at == source.last_full_sync_at == result.finished_at
    assert source.next_sync_at is not None
    assert source.next_sync_at > before + timedelta(seconds=settings.SYNC_INTERVAL_SECONDS / 2)
    assert source.lease_until is None
    window = provider.queries[0].window
    assert {query.window for query in provider.queries} == {window}
    assert (window.start, window.end) == (source.window_start, source.window_end)
    assert timedelta(days=394) < window.end - window.start < timedelta(days=396)


def test_changes_since(source: ExternalCalendar, provider: ScriptedProvider) -> None:
    run(source)
    window = (source.window_start, source.window_end)
    provider.put(remote_event("e1", version=2), remote_event("new"))
    provider.delete("e2", "e3", "never seen")
    result = run(source)
    assert_synced(source, provider)
    assert result.kind == "incremental"
    assert (result.events_changed, result.events_removed) == (2, 2)
    assert provider.queries[-1].cursor == "at-8"
    assert (source.window_start, source.window_end) == window


def test_nothing_new(source: ExternalCalendar, provider: ScriptedProvider) -> None:
    run(source)
    first = source.last_sync_at
    result = run(source)
    assert (result.events_seen, result.events_changed, result.events_removed) == (0, 0, 0)
    assert source.last_sync_at is not None
    assert first is not None
    assert source.last_sync_at > first


def test_a_full_listing_reads_and_writes_only_what_differs_and_sweeps(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    run(source)
    updated = dict(Event.objects.values_list("external_id", "updated_at"))
    provider.put(remote_event("e4", version=2), remote_event("new"))
    provider.delete("e2", "e7")
    provider.served.clear()
    result = relist(source)
    assert_synced(source, provider)
    assert (result.kind, result.events_changed, result.events_removed) == ("full", 2, 2)
    read = [key for page in provider.served for ids in page.reads for key in ids]
    assert sorted(read) == ["e4", "new"]
    now = dict(Event.objects.values_list("external_id", "updated_at"))
    assert {key for key in now if updated.get(key) != now[key]} == {"e4", "new"}


def test_the_window_moves_with_a_full_listing(
    source: ExternalCalendar, provider: ScriptedProvider, time_machine: Any
) -> None:
    run(source)
    end = source.window_end
    assert end is not None
    time_machine.move_to(timezone.now() + timedelta(days=2))
    assert run(source).kind == "full"
    assert source.window_end is not None
    assert source.window_end - end >= timedelta(days=2)


def test_two_calendars_do_not_mix(source: ExternalCalendar, provider: ScriptedProvider) -> None:
    run(source)
    other = make_source()
    run(other)
    provider.delete("e1")
    relist(source)
    assert len(stored(other)) == 8
    assert len(stored(source)) == 7


def test_the_same_event_on_two_pages(source: ExternalCalendar, provider: ScriptedProvider) -> None:
    """Listings shift while they are paged: an event may come twice, in two versions."""

    def shift(query: EventQuery) -> None:
        if query.page_token and "zz" not in provider.events:
            provider.put(remote_event("zz", version=2), remote_event("e0", version=2))

    provider.before = shift
    run(source)
    run(source)
    assert_synced(source, provider)


def test_cancelled_occurrences_stay_as_tombstones(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    run(source)
    provider.put(remote_event("e1", version=2, status="cancelled", title=""))
    run(source)
    assert Event.objects.get(external_id="e1").status == "cancelled"
    assert stored(source)["e1"] == "e1 v1"
    assert source.events_synced == 7
    relist(source)
    assert Event.objects.filter(external_id="e1", status="cancelled").exists()


def test_the_number_of_living_events_is_kept(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    run(source)
    steps: list[Callable[[], None]] = [
        lambda: provider.put(*(remote_event(f"new{n}") for n in range(7))),
        lambda: provider.put(
            *(remote_event(f"e{n}", version=2, status="cancelled") for n in range(4))
        ),
        lambda: provider.put(remote_event("e1", version=3), remote_event("e5", version=2)),
        lambda: provider.delete("e0", "e1", "e6", "never seen"),
        lambda: provider.put(remote_event("e2", version=4, status="cancelled")),
        lambda: provider.put(remote_event("tomb", status="cancelled"), InvalidEvent("e7", "bad")),
    ]
    for step in steps:
        step()
        assert run(source).kind == "incremental"
        alive = Event.objects.filter(source=source).exclude(status="cancelled").count()
        assert source.events_synced == alive


# Who runs ----------------------------------------------------------------------------------------


def test_a_second_hint_does_nothing(source: ExternalCalendar, provider: ScriptedProvider) -> None:
    assert sync.run(str(source.pk)) is not None
    assert sync.run(str(source.pk)) is None
    assert SyncRun.objects.count() == 1


def test_unknown_calendars_are_ignored(provider: ScriptedProvider) -> None:
    assert sync.run("01234567-89ab-cdef-0123-456789abcdef") is None


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_make_one_run(provider: ScriptedProvider) -> None:
    source = make_source()
    provider.before = lambda _query: time.sleep(0.05)
    results: list[SyncRun | None] = []
    barrier = threading.Barrier(4)

    def work() -> None:
        barrier.wait()
        results.append(sync.run(source.pk))
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(result is not None for result in results) == 1
    assert len(provider.queries) == 3
    assert_synced(source, provider)


def test_a_wish_during_the_run_is_not_forgotten(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    provider.on_read = lambda: scheduler.request_sync([source.pk])
    run(source)
    assert source.is_syncing
    assert claimed(1) == [source.pk]
    provider.on_read = lambda: None
    run(source)
    assert not source.is_syncing


@pytest.fixture
def before_page(monkeypatch: pytest.MonkeyPatch) -> dict[int, Callable[[], object]]:
    """What happens when the n-th page is there and not yet written, by n from 1."""
    happenings: dict[int, Callable[[], object]] = {}
    next_page = PageReader.next_page
    number = 0

    def wrapper(reader: PageReader) -> Any:
        nonlocal number
        number += 1
        page = next_page(reader)
        happenings.get(number, int)()
        return page

    monkeypatch.setattr(PageReader, "next_page", wrapper)
    return happenings


def test_disconnecting_in_the_middle_leaves_nothing_half_done(
    source: ExternalCalendar,
    provider: ScriptedProvider,
    before_page: dict[int, Callable[[], object]],
) -> None:
    before_page[2] = lambda: scheduler.revoke_leases(source.connection_id)
    assert sync.run(source.pk) is None
    source.refresh_from_db()
    assert (len(stored(source)), source.cursor, source.last_sync_at) == (3, "", None)
    assert SyncRun.objects.get().pages == 1
    before_page.clear()
    assert run(source).resumed == 1
    assert_synced(source, provider)


def test_deleting_the_connection_in_the_middle(
    source: ExternalCalendar, before_page: dict[int, Callable[[], object]]
) -> None:
    before_page[2] = source.connection.delete
    assert sync.run(source.pk) is None
    assert not Event.objects.exists()


# Fetching ----------------------------------------------------------------------------------------


def test_the_next_page_is_on_its_way_while_one_is_written(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    under_way = []

    def look() -> None:
        deadline = time.monotonic() + 5
        expected = min(len(provider.served) + 1, 3)
        while len(provider.queries) < expected and time.monotonic() < deadline:
            time.sleep(0.001)
        under_way.append(len(provider.queries))

    provider.on_read = look
    run(source)
    assert under_way == [2, 3, 3]


def test_waiting_keeps_the_lease(
    source: ExternalCalendar,
    provider: ScriptedProvider,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> None:
    settings.SYNC_LEASE_SECONDS = 0.15
    held: list[scheduler.Lease] = []

    def hold(lease: scheduler.Lease, **_changes: Any) -> None:
        held.append(lease)

    monkeypatch.setattr(scheduler.Lease, "hold", hold)
    provider.before = lambda _query: time.sleep(0.2)
    provider.page_size = 100
    run(source)
    assert len(held) >= 4  # three times while waiting, and for the page's own transactions


# History -----------------------------------------------------------------------------------------


def test_the_history_is_kept_to_a_number(
    source: ExternalCalendar, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "KEEP_RUNS", 5)
    for _ in range(20):
        last = run(source)
    assert SyncRun.objects.count() == 6
    assert SyncRun.objects.first() == last


def test_when_something_changed_is_known(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    provider.put(remote_event("a"))
    assert changes_after(source)
    assert not changes_after(source)
    provider.put(remote_event("a", version=2))
    assert changes_after(source)
    assert not changes_after(source)
    provider.delete("a")
    assert changes_after(source)


def changes_after(source: ExternalCalendar) -> bool:
    """Whether a sync now is one that finds something new."""
    before = source.changed_at
    run(source)
    return source.changed_at != before
