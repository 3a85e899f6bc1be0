"""What a run does not believe: a calendar suddenly empty, events that cannot be read or stored."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from providers.base import InvalidEvent
from providers.models import ExternalCalendar, SyncRunPage
from tests.providers.sync_remote import (
    ScriptedProvider,
    assert_synced,
    relist,
    remote_event,
    run,
    stored,
)

pytestmark = pytest.mark.django_db


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


@pytest.fixture
def large(source: ExternalCalendar, provider: ScriptedProvider) -> ExternalCalendar:
    """120 events, synced."""
    provider.put(*(remote_event(f"more-{number}") for number in range(112)))
    run(source)
    return source


def test_a_listing_that_breaks_off_and_looks_complete_takes_nothing_away(
    large: ExternalCalendar, provider: ScriptedProvider
) -> None:
    everything = list(provider.events.values())
    provider.delete(*(f"more-{number}" for number in range(70)))
    result = relist(large)
    assert (result.status, result.error_code) == ("failed", "suddenly_shrunk")
    assert (result.events_removed, len(stored(large))) == (0, 120)
    large.connection.refresh_from_db()
    assert large.connection.is_active
    provider.put(*everything)
    assert run(large).status == "succeeded"
    assert_synced(large, provider)


def test_a_great_loss_is_believed_the_third_time(
    large: ExternalCalendar, provider: ScriptedProvider, time_machine: Any
) -> None:
    provider.delete(*(f"more-{number}" for number in range(70)))
    time_machine.move_to(timezone.now() + timedelta(days=2))
    for _ in range(2):
        assert run(large).error_code == "suddenly_shrunk"
        assert large.next_sync_at is not None
        time_machine.move_to(large.next_sync_at + timedelta(seconds=1))
    result = run(large)
    assert (result.status, result.events_removed) == ("succeeded", 70)
    assert_synced(large, provider)


def test_what_people_delete_is_believed_at_once(
    large: ExternalCalendar, provider: ScriptedProvider
) -> None:
    provider.delete(*(f"more-{number}" for number in range(100)))
    result = run(large)
    assert (result.kind, result.status, result.events_removed) == ("incremental", "succeeded", 100)
    assert_synced(large, provider)


@pytest.mark.parametrize("gone", [40, 49])
def test_a_smaller_loss_is_believed_at_once(
    large: ExternalCalendar, provider: ScriptedProvider, gone: int
) -> None:
    provider.delete(*(f"more-{number}" for number in range(gone)))
    assert relist(large).events_removed == gone
    assert_synced(large, provider)


def test_half_of_a_large_calendar_may_go(
    large: ExternalCalendar, provider: ScriptedProvider
) -> None:
    provider.delete(*(f"more-{number}" for number in range(60)))
    assert relist(large).events_removed == 60


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
