"""One run: full and incremental listings, resuming after any crash, starting over, the sweep."""

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

from calendars import upsert
from calendars.models import Event
from providers import registry, scheduler, sync, sync_writer
from providers.base import EventQuery, InvalidEvent
from providers.errors import CursorExpired, ProviderUnavailable
from providers.models import ExternalCalendar, SyncRun, SyncRunPage
from providers.sync_reader import PageReader
from tests.providers.sync_remote import (
    ScriptedProvider,
    make_due,
    make_source,
    offered,
    remote_event,
    stored,
)

pytestmark = pytest.mark.django_db


class PowerCut(BaseException):
    """The process ends here: no handler of the engine runs."""


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> ScriptedProvider:
    scripted = ScriptedProvider()
    scripted.put(*(remote_event(f"e{n}") for n in range(8)))
    monkeypatch.setattr(registry, "get_provider", lambda _kind: scripted)
    return scripted


@pytest.fixture
def source(provider: ScriptedProvider) -> ExternalCalendar:
    return make_source()


def run(source: ExternalCalendar) -> SyncRun:
    make_due(source)
    result = sync.run(source.pk)
    assert result is not None
    in_database = SyncRun.objects.get(pk=result.pk)
    for field in SyncRun._meta.fields:
        assert getattr(result, field.attname) == getattr(in_database, field.attname), field.attname
    source.refresh_from_db()
    return result


def relist(source: ExternalCalendar) -> SyncRun:
    """The next run is a full listing: the last one is a day ago."""
    ExternalCalendar.objects.filter(pk=source.pk).update(
        last_full_sync_at=timezone.now() - sync.RELIST_AFTER - timedelta(minutes=1)
    )
    return run(source)


def assert_synced(source: ExternalCalendar, provider: ScriptedProvider) -> None:
    assert stored(source) == offered(provider)
    source.refresh_from_db()
    assert source.cursor == f"at-{len(provider.log)}"
    assert source.events_synced == len(offered(provider))
    assert not SyncRunPage.objects.exists()
    assert not SyncRun.objects.filter(status__in=SyncRun.UNFINISHED).exists()


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
    assert scheduler.claim_due(limit=1) == [source.pk]
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


# Crashes -----------------------------------------------------------------------------------------


def crash_at(number: int) -> Callable[..., Any]:
    """A wrapper of database statements: the power fails before the n-th."""
    count = 0

    def wrapper(execute: Any, *arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count == number:
            raise PowerCut
        return execute(*arguments)

    return wrapper


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["first", "relist", "incremental"])
def test_after_a_crash_at_any_statement_the_next_run_completes(
    kind: str, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_writer, "SWEEP_BATCH", 2)
    number = 0
    while True:
        number += 1
        source = make_source()
        provider.events.clear()
        provider.log.clear()
        provider.put(*(remote_event(f"e{n}") for n in range(8)))
        if kind != "first":
            run(source)
            provider.put(remote_event("e4", version=2), remote_event("new"))
            provider.delete("e1", "e2", "e3")
        if kind == "relist":
            ExternalCalendar.objects.filter(pk=source.pk).update(
                last_full_sync_at=timezone.now() - timedelta(days=2)
            )
        make_due(source)
        try:
            with connection.execute_wrapper(crash_at(number)):
                sync.run(source.pk)
        except PowerCut:
            # Nobody takes over before the lease ends, and nothing has to be asked for again.
            ExternalCalendar.objects.filter(pk=source.pk, lease_until__isnull=False).update(
                lease_until=timezone.now()
            )
            if scheduler.claim_due(limit=1):
                assert sync.run(source.pk) is not None
            assert_synced(source, provider)
            assert Event.objects.filter(source=source).count() == len(offered(provider))
        else:
            break
        source.connection.delete()
    assert number > 6
    assert_synced(source, provider)


def test_a_crash_while_fetching_resumes_at_the_page(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    def fail(query: EventQuery) -> None:
        if query.page_token.endswith("e5"):
            raise PowerCut

    provider.before = fail
    with pytest.raises(PowerCut):
        sync.run(source.pk)
    assert len(stored(source)) == 6
    # Meanwhile, in what is listed already and in what is not yet.
    provider.put(remote_event("e1", version=2))
    provider.delete("e7")
    ExternalCalendar.objects.update(lease_until=timezone.now())
    provider.before = lambda _query: None
    provider.queries.clear()
    result = run(source)
    assert (result.resumed, result.pages, result.status) == (1, 3, "succeeded")
    assert len(provider.queries) == 1
    run(source)
    assert_synced(source, provider)


def test_what_was_seen_before_the_crash_is_not_swept(
    source: ExternalCalendar, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(source)
    monkeypatch.setattr(upsert, "remove_events", _raise_once(upsert.remove_events, at_call=3))
    with pytest.raises(PowerCut):
        relist(source)
    ExternalCalendar.objects.update(lease_until=timezone.now())
    assert run(source).events_removed == 0
    assert_synced(source, provider)


def _raise_once(function: Callable[..., Any], *, at_call: int) -> Callable[..., Any]:
    calls = 0

    def wrapper(**arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at_call:
            raise PowerCut
        return function(**arguments)

    return wrapper


def test_a_run_that_is_too_old_is_not_resumed(
    source: ExternalCalendar, provider: ScriptedProvider, time_machine: Any
) -> None:
    def fail(query: EventQuery) -> None:
        if query.page_token:
            raise ProviderUnavailable

    provider.before = fail
    interrupted = run(source)
    assert interrupted.status == "interrupted"
    provider.before = lambda _query: None
    provider.delete("e0")
    time_machine.move_to(timezone.now() + sync.RESUMABLE_FOR + timedelta(minutes=1))
    result = run(source)
    assert (result.resumed, result.kind, result.pages) == (0, "full", 3)
    interrupted.refresh_from_db()
    assert (interrupted.status, interrupted.error_code) == ("failed", "abandoned")
    assert_synced(source, provider)


# Starting over -----------------------------------------------------------------------------------


def test_an_expired_cursor_starts_a_full_listing_at_once_and_keeps_the_rows(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    run(source)
    provider.delete("e1", "e2")
    provider.put(remote_event("new"))
    provider.expired_before = len(provider.log)
    there: list[int] = []
    provider.on_read = lambda: there.append(Event.objects.count())
    result = run(source)
    assert (result.kind, result.status, result.events_removed) == ("full", "succeeded", 2)
    assert min(there) == 8
    assert_synced(source, provider)
    assert list(SyncRun.objects.order_by("started_at").values_list("status", "error_code")) == [
        ("succeeded", ""),
        ("failed", "cursor_expired"),
        ("succeeded", ""),
    ]


def test_an_expired_page_token_restarts_the_listing(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    times = 0

    def expire(query: EventQuery) -> None:
        nonlocal times
        if query.page_token and times < 2:
            times += 1
            provider.delete(f"e{times}")
            raise CursorExpired

    provider.before = expire
    assert run(source).status == "succeeded"
    assert_synced(source, provider)


def test_page_tokens_that_always_expire_end_the_run(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    def expire(query: EventQuery) -> None:
        if query.page_token:
            raise CursorExpired

    provider.before = expire
    result = run(source)
    assert (result.status, result.error_code) == ("failed", "cursor_expired")
    assert sum(not query.page_token for query in provider.queries) == sync.MOST_RESTARTS + 1
    assert source.next_sync_at is not None
    assert source.next_sync_at > timezone.now()
    assert source.failures == 1


def test_a_listing_that_loops_is_stopped(
    source: ExternalCalendar, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = provider._everything

    def loop(query: EventQuery) -> Any:
        page = everything(query)
        page.next_page_token, page.next_cursor = "8:e2", ""
        return page

    monkeypatch.setattr(provider, "_everything", loop)
    assert run(source).error_code == "listing_loops"
    monkeypatch.setattr(provider, "_everything", everything)
    run(source)
    assert_synced(source, provider)


def test_a_listing_without_end_is_stopped(
    source: ExternalCalendar, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_writer, "MOST_PAGES", 2)
    assert run(source).error_code == "listing_loops"


# What cannot be believed -------------------------------------------------------------------------


def test_a_suddenly_empty_calendar_is_believed_the_third_time(
    source: ExternalCalendar, provider: ScriptedProvider, time_machine: Any
) -> None:
    run(source)
    everything = dict(provider.events)
    provider.delete(*everything)
    time_machine.move_to(timezone.now() + timedelta(days=2))
    for _ in range(2):
        result = run(source)
        assert (result.status, result.error_code) == ("failed", "suddenly_empty")
        assert len(stored(source)) == 8
        source.connection.refresh_from_db()
        assert source.connection.is_active
        assert source.connection.last_error_code == "suddenly_empty"
        assert source.next_sync_at is not None
        time_machine.move_to(source.next_sync_at + timedelta(seconds=1))
    result = run(source)
    assert (result.status, result.events_removed) == ("succeeded", 8)
    assert_synced(source, provider)
    source.connection.refresh_from_db()
    assert source.connection.last_error_code == ""


def test_asking_often_does_not_make_emptiness_credible(
    source: ExternalCalendar, provider: ScriptedProvider, time_machine: Any
) -> None:
    run(source)
    provider.delete(*list(provider.events))
    time_machine.move_to(timezone.now() + timedelta(days=2))
    assert {run(source).error_code for _ in range(5)} == {"suddenly_empty"}


def test_events_that_came_back_were_never_gone(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    run(source)
    everything = list(provider.events.values())
    provider.delete(*list(provider.events))
    assert relist(source).error_code == "suddenly_empty"
    provider.put(*everything)
    result = run(source)
    assert (result.status, result.kind, result.events_changed) == ("succeeded", "full", 0)
    assert_synced(source, provider)


def test_events_that_left_the_window_do_not_alarm(
    source: ExternalCalendar, provider: ScriptedProvider, time_machine: Any
) -> None:
    run(source)
    provider.events.clear()
    time_machine.move_to(timezone.now() + timedelta(days=40))
    result = run(source)
    assert (result.status, result.events_removed) == ("succeeded", 8)
    assert not stored(source)


def test_a_calendar_that_never_had_events(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    provider.events.clear()
    assert run(source).status == "succeeded"
    assert relist(source).status == "succeeded"


def test_an_unreadable_event_is_left_out_and_its_last_good_row_stays(
    source: ExternalCalendar, provider: ScriptedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    provider.put(InvalidEvent("bad", "no start"))
    provider.put(InvalidEvent("zzz", "on the last page, no start"))
    result = run(source)
    assert (result.status, result.events_invalid, len(stored(source))) == ("succeeded", 2, 8)
    assert not SyncRunPage.objects.exists()
    provider.delete("zzz")
    assert "'bad' left out: no start" in caplog.text
    provider.put(InvalidEvent("e3", "no end"))
    assert run(source).events_invalid == 1
    result = relist(source)
    assert (result.events_invalid, result.events_removed) == (2, 0)
    assert stored(source)["e3"] == "e3 v1"


def test_an_event_that_the_database_refuses_is_left_out(
    source: ExternalCalendar, provider: ScriptedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    start = timezone.now()
    provider.put(
        remote_event("e4", version=2, start_at=start, end_at=start - timedelta(1), title="private")
    )
    result = run(source)
    assert (result.status, result.events_invalid, result.events_changed) == ("succeeded", 1, 7)
    assert set(stored(source)) == set(provider.events) - {"e4"}
    assert "'e4' left out" in caplog.text
    assert "private" not in caplog.text
    provider.put(remote_event("e4", version=3))
    run(source)
    assert_synced(source, provider)


def test_the_history_is_kept_to_a_number(
    source: ExternalCalendar, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "KEEP_RUNS", 5)
    for _ in range(20):
        last = run(source)
    assert SyncRun.objects.count() == 6
    assert SyncRun.objects.first() == last
