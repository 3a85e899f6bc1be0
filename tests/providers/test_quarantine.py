"""Poison events: kept apart with the reason, tried again, let go; the calendar goes on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from calendars.models import Event
from providers import quarantine, scheduler, sync
from providers.base import InvalidEvent
from providers.models import ExternalCalendar, QuarantinedEvent, SyncRun
from tests.providers.sync_remote import (
    ScriptedProvider,
    make_due,
    make_source,
    relist,
    remote_event,
    run,
    stored,
)
from tests.providers.test_sync_restarts import PowerCut, crash_at

pytestmark = pytest.mark.django_db


def quarantined(source: ExternalCalendar) -> dict[str, tuple[str, int]]:
    """(reason, times) by event id; the number noted on the external calendar is theirs."""
    rows = QuarantinedEvent.objects.filter(external_calendar=source)
    source.refresh_from_db()
    assert source.quarantined_count == len(rows)
    return {row.external_id: (row.reason, row.times) for row in rows}


def refused_event(key: str, *, version: int = 1, **fields: Any) -> Any:
    """One that the database does not take: it ends before it starts."""
    start = timezone.now()
    return remote_event(
        key, version=version, start_at=start, end_at=start - timedelta(days=1), **fields
    )


# In -----------------------------------------------------------------------------------------------


def test_one_among_five_hundred_stops_nothing(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    provider.page_size = 200
    provider.put(*(remote_event(f"good{n:03}") for n in range(492)))
    provider.put(InvalidEvent("good250!", "it has no start"))
    result = run(source)
    assert (result.status, result.events_invalid, result.events_seen) == ("succeeded", 1, 501)
    assert len(stored(source)) == source.events_synced == 500
    assert source.cursor == "at-501"
    row = QuarantinedEvent.objects.get()
    assert (row.external_id, row.etag, row.reason) == (
        "good250!", '"unreadable"', "it has no start",
    )  # fmt: skip
    assert row.times == source.quarantined_count == 1
    provider.put(remote_event("good001", version=2), remote_event("later"))
    result = run(source)
    assert (result.kind, result.events_changed, result.events_invalid) == ("incremental", 2, 0)
    assert source.cursor == "at-503"
    assert stored(source)["good001"] == "good001 v2"
    assert quarantined(source) == {"good250!": ("it has no start", 1)}


def test_what_the_database_refuses_is_in_quarantine_too(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    run(source)
    provider.put(refused_event("e4", version=2, title="private"))
    result = run(source)
    assert (result.kind, result.status, result.events_invalid) == ("incremental", "succeeded", 1)
    assert stored(source)["e4"] == "e4 v1"
    assert QuarantinedEvent.objects.get().etag == '"e4-2"'
    assert quarantined(source) == {"e4": ("refused by the database", 1)}


def test_an_id_that_no_index_takes_stops_nothing(
    source: ExternalCalendar, provider: ScriptedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """PostgreSQL calls that an operational error, as it does a lost connection."""
    if connection.vendor != "postgresql":
        pytest.skip("other databases take it")
    key = "".join(chr(0x4E00 + number * 7919 % 20000) for number in range(3000))
    provider.put(remote_event(key))
    result = run(source)
    assert (result.status, result.events_invalid) == ("succeeded", 1)
    assert len(stored(source)) == 8
    assert quarantined(source) == {}
    assert max(len(record.getMessage()) for record in caplog.records) < 500


@pytest.mark.parametrize("key", ["a\0b", "a half pair \ud800", "a" * 1025])
def test_without_an_id_that_can_be_kept_it_is_counted_and_logged(
    key: str, source: ExternalCalendar, provider: ScriptedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    provider.put(InvalidEvent(key, "it has no id"))
    assert run(source).events_invalid == 1
    assert quarantined(source) == {}
    assert "left out: it has no id" in caplog.text


def test_the_reason_is_short_and_on_one_line(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    provider.put(InvalidEvent("bad", "one\nline\0 \u202e\ud800" + "x" * 100_000))
    run(source)
    [(reason, _)] = quarantined(source).values()
    assert reason.startswith("one line")
    assert reason.isprintable()
    assert len(reason) == quarantine.REASON_LENGTH


def test_there_are_never_more_than_so_many(
    source: ExternalCalendar, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "MOST_QUARANTINED", 4)
    provider.put(*(InvalidEvent(f"bad{n}", "no start") for n in range(7)))
    result = run(source)
    assert (result.status, result.events_invalid) == ("succeeded", 7)
    assert len(quarantined(source)) == 4
    provider.put(remote_event("bad0"))
    run(source)
    assert len(quarantined(source)) == 3
    relist(source)
    assert len(quarantined(source)) == 4
    assert "bad0" in stored(source)


# Again --------------------------------------------------------------------------------------------


def test_it_is_tried_again_at_each_full_listing_and_is_no_news_then(
    source: ExternalCalendar, provider: ScriptedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    run(source)
    provider.put(InvalidEvent("e3", "no end"))
    run(source)
    [first] = QuarantinedEvent.objects.all()
    assert "'e3' left out" in caplog.text
    caplog.clear()
    for times in (2, 3):
        result = relist(source)
        assert (result.events_invalid, result.events_removed) == (1, 0)
        assert quarantined(source) == {"e3": ("no end", times)}
    [again] = QuarantinedEvent.objects.all()
    assert (again.pk, again.first_seen_at) == (first.pk, first.first_seen_at)
    assert again.last_seen_at > first.last_seen_at
    assert stored(source)["e3"] == "e3 v1"
    assert "left out" not in caplog.text
    provider.put(InvalidEvent("e3", "no start either"))
    run(source)
    assert "'e3' left out: no start either" in caplog.text


def test_nothing_new_leaves_it_alone(source: ExternalCalendar, provider: ScriptedProvider) -> None:
    provider.put(InvalidEvent("bad", "no start"))
    run(source)
    provider.put(remote_event("e1", version=2))
    assert run(source).events_invalid == 0
    assert run(source).events_invalid == 0
    assert quarantined(source) == {"bad": ("no start", 1)}


# Out ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", [run, relist])
def test_a_repaired_event_is_stored_and_leaves(
    again: Any, source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    provider.put(InvalidEvent("bad", "no start"), refused_event("worse"))
    run(source)
    assert set(quarantined(source)) == {"bad", "worse"}
    provider.put(remote_event("bad", version=2))
    result = again(source)
    assert result.events_changed == 1
    assert stored(source)["bad"] == "bad v2"
    assert set(quarantined(source)) == {"worse"}


def test_one_that_went_back_to_its_last_good_version_leaves(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    run(source)
    provider.put(InvalidEvent("e3", "no end"))
    run(source)
    provider.put(remote_event("e3"))
    assert run(source).events_changed == 0
    assert quarantined(source) == {}


@pytest.mark.parametrize("again", [run, relist])
def test_a_deleted_event_leaves(
    again: Any, source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    run(source)
    provider.put(InvalidEvent("bad", "no start"), InvalidEvent("e3", "no end"))
    run(source)
    provider.delete("bad", "e3")
    again(source)
    assert quarantined(source) == {}
    assert "e3" not in stored(source)


def test_a_listing_of_nothing_but_poison_sweeps_too(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    provider.events.clear()
    provider.put(InvalidEvent("bad", "no start"), InvalidEvent("worse", "no start"))
    assert run(source).status == "succeeded"
    del provider.events["bad"]
    assert relist(source).status == "succeeded"
    assert quarantined(source) == {"worse": ("no start", 2)}


def test_another_calendars_are_not_touched(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    provider.put(InvalidEvent("bad", "no start"))
    run(source)
    other = make_source()
    run(other)
    provider.put(remote_event("bad", version=2))
    run(source)
    assert (quarantined(source), quarantined(other)) == ({}, {"bad": ("no start", 1)})
    relist(other)
    assert quarantined(other) == {}


def test_an_event_that_left_the_window_leaves(
    source: ExternalCalendar, provider: ScriptedProvider, time_machine: Any
) -> None:
    provider.put(InvalidEvent("bad", "no start"))
    run(source)
    del provider.events["bad"]
    time_machine.move_to(timezone.now() + timedelta(days=2))
    assert run(source).kind == "full"
    assert quarantined(source) == {}


# Together with its page, or not at all ------------------------------------------------------------


def test_a_lost_lease_leaves_nothing_half(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    provider.put(InvalidEvent("bad", "no start"))
    run(source)
    provider.put(remote_event("bad", version=2), InvalidEvent("e3", "no end"))
    make_due(source)
    provider.on_read = lambda: scheduler.revoke_leases(source.connection_id)
    assert sync.run(source.pk) is None
    assert quarantined(source) == {"bad": ("no start", 1)}
    assert "bad" not in stored(source)
    provider.on_read = lambda: None
    run(source)
    assert quarantined(source) == {"e3": ("no end", 1)}
    assert stored(source)["bad"] == "bad v2"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["first", "relist", "incremental"])
def test_after_a_crash_at_any_statement_the_quarantine_is_whole(
    kind: str, provider: ScriptedProvider
) -> None:
    number = 0
    while True:
        number += 1
        source = make_source()
        provider.events.clear()
        provider.log.clear()
        provider.put(*(remote_event(f"e{n}") for n in range(5)))
        provider.put(InvalidEvent("bad", "no start"), InvalidEvent("gone", "no start"))
        if kind != "first":
            run(source)
            provider.put(remote_event("bad", version=2), refused_event("e1", version=2))
        del provider.events["gone"]
        provider.log.append("gone")
        if kind == "relist":
            ExternalCalendar.objects.filter(pk=source.pk).update(last_full_sync_at=None)
        make_due(source)
        try:
            with connection.execute_wrapper(crash_at(number)):
                sync.run(source.pk)
        except PowerCut:
            ExternalCalendar.objects.filter(pk=source.pk).update(lease_until=None)
            quarantined(source)  # the number is right at any time
            make_due(source)
            sync.run(source.pk)
            crashed = True
        else:
            crashed = False
        poison = {"bad"} if kind == "first" else {"e1"}
        assert set(quarantined(source)) == poison
        assert set(stored(source)) == set(provider.events) - ({"bad"} if kind == "first" else set())
        if not crashed:
            break
        source.connection.delete()
        assert not QuarantinedEvent.objects.exists()
    assert number > 6


# What it costs ------------------------------------------------------------------------------------


def statements(source: ExternalCalendar) -> list[str]:
    make_due(source)
    with CaptureQueriesContext(connection) as queries:
        assert sync.run(source.pk) is not None
    return [query["sql"] for query in queries]


def test_without_poison_nothing_is_asked(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    table = QuarantinedEvent._meta.db_table
    for _ in range(2):
        assert not any(table in sql for sql in statements(source))
        provider.put(remote_event("e1", version=2))
        provider.delete("e2")
    ExternalCalendar.objects.update(last_full_sync_at=None)
    assert not any(table in sql for sql in statements(source))


def test_with_poison_a_sync_without_changes_costs_what_it_did(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    run(source)
    before = len(statements(source))
    provider.put(InvalidEvent("bad", "no start"))
    run(source)
    assert len(statements(source)) == before
    assert SyncRun.objects.filter(events_invalid=1).count() == 1
    assert Event.objects.count() == 8
