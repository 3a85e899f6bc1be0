"""Several calendars of one account: what ends, what goes on, and what a run may still write."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from calendars.models import Event
from providers import channels, clearing, registry, scheduler, selection, sync, tasks
from providers.audit import Actor
from providers.base import EventQuery, InvalidEvent
from providers.errors import CalendarForbidden, CalendarNotFound, InvalidResponse, ProviderError
from providers.models import (
    AuditEntry,
    ExternalCalendar,
    NotificationChannel,
    ProviderConnection,
    QuarantinedEvent,
    SyncedObject,
    SyncRun,
    SyncRunPage,
)
from tests.providers.object_remote import ScriptedObjects, daily, make_object_source, single
from tests.providers.posting import make_channel
from tests.providers.sync_remote import (
    ScriptedProvider,
    assert_synced,
    claimed,
    make_due,
    make_source,
    offered,
    run,
    stored,
)
from tests.providers.watching import Watching, fail_with

pytestmark = pytest.mark.django_db

Status = ProviderConnection.Status


@pytest.fixture
def other(source: ExternalCalendar) -> ExternalCalendar:
    """A second selected calendar of the same account."""
    return sibling(source, "team@example.com")


def sibling(source: ExternalCalendar, external_id: str, **fields: Any) -> ExternalCalendar:
    values = {"is_selected": True} | fields
    return ExternalCalendar.objects.create(
        connection=source.connection, external_id=external_id, **values
    )


def choose(*rows: ExternalCalendar) -> None:
    selection.choose(
        connection_id=rows[0].connection_id,
        external_ids=[row.external_id for row in rows],
        actor=Actor.system(),
    )
    for row in rows:
        row.refresh_from_db()


def fail_for(source: ExternalCalendar, error: ProviderError) -> Any:
    def fail(query: EventQuery) -> None:
        if query.calendar_id == source.external_id:
            raise error

    return fail


def connection_of(source: ExternalCalendar) -> ProviderConnection:
    return ProviderConnection.objects.get(pk=source.connection_id)


# A choice, and what is under way -----------------------------------------------------------------


def test_a_run_under_way_writes_nothing_after_the_choice(
    source: ExternalCalendar, other: ExternalCalendar, provider: ScriptedProvider
) -> None:
    def let_go() -> None:
        if Event.objects.filter(source=source).exists():
            provider.on_read = lambda: None
            choose(other)

    provider.on_read = let_go
    make_due(source)
    assert sync.run(source.pk) is None, "it has lost its lease"
    assert not Event.objects.filter(source=source).exists()
    assert not SyncRun.objects.filter(status__in=SyncRun.UNFINISHED).exists()
    assert not SyncRunPage.objects.exists()
    source.refresh_from_db()
    assert (source.is_selected, source.next_sync_at, source.cursor) == (False, None, "")
    assert (source.lease_until, source.is_syncing, source.to_clear) == (None, False, False)
    # Chosen again, it begins anew.
    choose(source, other)
    assert run(source).kind == SyncRun.Kind.FULL
    assert_synced(source, provider)


def test_what_is_not_selected_is_never_looked_at(
    source: ExternalCalendar, other: ExternalCalendar, provider: ScriptedProvider
) -> None:
    unselected = sibling(source, "unselected", is_selected=False)
    vanished = sibling(source, "vanished", vanished_at=timezone.now())
    assert tasks.repair_schedule() == 1  # the other one had never been due
    asked = scheduler.request_sync(ExternalCalendar.objects.all())
    assert set(asked) == {source.pk, other.pk}
    for row in (unselected, vanished):
        row.refresh_from_db()
        assert (row.next_sync_at, row.dirty, row.is_syncing) == (None, 0, False)
        assert sync.run(row.pk) is None
    ExternalCalendar.objects.update(queued_until=None)
    assert set(claimed(10)) == {source.pk, other.pk}


@pytest.mark.parametrize("fields", [{"is_selected": False}, {"vanished_at": timezone.now()}])
def test_the_database_refuses_to_make_them_due(source: ExternalCalendar, fields: Any) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        sibling(source, "x", next_sync_at=timezone.now(), **fields)


def test_a_choice_and_its_runs_are_all_or_nothing(
    source: ExternalCalendar, other: ExternalCalendar, provider: ScriptedProvider, monkeypatch
) -> None:
    run(source)
    run(other)
    before = list(ExternalCalendar.objects.order_by("pk").values())
    third = sibling(source, "third", is_selected=False)

    def break_down(_row: ExternalCalendar) -> None:
        raise RuntimeError

    monkeypatch.setattr(tasks, "start_syncing", break_down)
    with pytest.raises(RuntimeError):
        choose(source, third)
    after = ExternalCalendar.objects.exclude(pk=third.pk).order_by("pk")
    assert list(after.values()) == before
    assert stored(other) == offered(provider)


# Removing events ---------------------------------------------------------------------------------


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clearing, "CLEARED_AT_ONCE", 3)
    monkeypatch.setattr(clearing.clear_some, "__defaults__", (3,))


def test_the_events_of_a_large_calendar_go_in_steps(
    source: ExternalCalendar, other: ExternalCalendar, provider: ScriptedProvider, small_steps
) -> None:
    provider.put(InvalidEvent("bad", "no time"))
    run(source)
    run(other)
    assert QuarantinedEvent.objects.count() == 2
    choose(other)
    assert len(stored(source)) == 5, "three of eight went with the choice"
    source.refresh_from_db()
    assert (source.to_clear, source.events_synced, source.quarantined_count) == (True, 0, 0)
    assert QuarantinedEvent.objects.count() == 1
    # No time at all: one step a message.
    assert clearing.clear(source.pk, until=0.0) is False
    assert len(stored(source)) == 2
    # The message was lost; housekeeping sends another, and twice is once.
    assert tasks.send_clearings() == 1
    for _ in range(2):
        tasks.clear_calendars([str(source.pk)])
    assert stored(source) == {}
    assert stored(other) == offered(provider)
    assert tasks.send_clearings() == 0


def test_a_calendar_that_is_chosen_again_before_all_is_gone(
    source: ExternalCalendar, other: ExternalCalendar, provider: ScriptedProvider, small_steps
) -> None:
    run(source)
    choose(other)
    provider.delete("e7")
    choose(source, other)
    assert source.to_clear is False
    tasks.clear_calendars([str(source.pk)])
    assert len(stored(source)) == 5
    run(source)
    assert_synced(source, provider)


def test_objects_go_together_with_their_events(monkeypatch, small_steps) -> None:
    remote = ScriptedObjects()
    remote.put(daily("a"), daily("b"), single("c"), single("d"))
    monkeypatch.setattr(registry, "get_provider", lambda _kind: remote)
    source = make_object_source()
    other = sibling(source, "team")
    run(source)
    assert len(stored(source)) == 12
    choose(other)
    left = SyncedObject.objects.filter(external_calendar=source)
    assert 0 < left.count() < 4
    of_objects = {key for row in left for key in row.event_ids}
    assert set(stored(source)) == of_objects, "what is left of it is whole"
    # Meanwhile one of those that are left is deleted at the provider.
    gone = left.values_list("object_id", flat=True).first()
    assert gone is not None
    remote.delete(gone)
    choose(source, other)
    run(source)
    assert stored(source) == remote.offered(source)

    choose(other)
    assert clearing.clear(source.pk, until=time.monotonic() + 60)
    assert (stored(source), left.all().count()) == ({}, 0)


# One calendar in trouble -------------------------------------------------------------------------


def test_a_calendar_that_is_gone_leaves_the_others_alone(
    source: ExternalCalendar, other: ExternalCalendar, provider: ScriptedProvider
) -> None:
    run(source)
    run(other)
    ExternalCalendar.objects.update(next_watch_at=timezone.now())
    provider.before = fail_for(other, CalendarNotFound())
    for _ in range(3):
        assert run(other).error_code == "calendar_not_found"
        assert connection_of(source).status == Status.ACTIVE
    assert other.state == "vanished"
    assert (other.next_sync_at, other.next_watch_at) == (None, None)
    assert other.last_error_code == "calendar_not_found"
    assert stored(other) == offered(provider)
    # The connection says so as long as it is so, however well the other one is.
    assert run(source).status == SyncRun.Status.SUCCEEDED
    assert connection_of(source).last_error_code == "calendar_not_found"
    actions = AuditEntry.objects.filter(action__in=["calendar_gone", "stopped"])
    assert [entry.action for entry in actions] == ["calendar_gone"]
    choose(source)
    assert connection_of(source).last_error_code == ""


def test_the_last_calendar_that_is_gone_ends_the_syncs(
    source: ExternalCalendar, other: ExternalCalendar, provider: ScriptedProvider
) -> None:
    provider.before = lambda _query: fail_with(CalendarNotFound())()
    for row in (source, other):
        assert connection_of(source).status == Status.ACTIVE
        for _ in range(3):
            run(row)
    assert connection_of(source).status == Status.ERROR
    assert not ExternalCalendar.objects.filter(next_sync_at__isnull=False).exists()
    assert AuditEntry.objects.filter(action="stopped").count() == 1


def test_a_calendar_that_may_not_be_read_leaves_the_others_alone(
    source: ExternalCalendar, other: ExternalCalendar, provider: ScriptedProvider
) -> None:
    provider.before = fail_for(other, CalendarForbidden())
    run(source)
    assert run(other).error_code == "calendar_forbidden"
    assert connection_of(source).status == Status.ACTIVE
    assert (other.state, other.last_error_code) == ("available", "calendar_forbidden")
    assert other.next_sync_at is not None
    assert other.next_sync_at > timezone.now() + timedelta(hours=23)
    # Shared again, it is well by itself.
    provider.before = lambda _query: None
    run(other)
    assert connection_of(source).last_error_code == ""


def test_the_last_calendar_that_may_be_read_ends_the_syncs(
    source: ExternalCalendar, other: ExternalCalendar, provider: ScriptedProvider
) -> None:
    provider.before = lambda _query: fail_with(CalendarForbidden())()
    run(source)
    run(other)
    assert connection_of(source).status == Status.ERROR
    assert other.next_sync_at is None


def test_a_success_does_not_hide_anothers_failure(
    source: ExternalCalendar, other: ExternalCalendar, provider: ScriptedProvider
) -> None:
    provider.before = fail_for(other, InvalidResponse())
    run(other)
    run(source)
    row = connection_of(source)
    assert row.last_error_code == "provider_invalid_response"
    assert (source.last_error_code, other.last_error_code) == ("", "provider_invalid_response")
    provider.before = lambda _query: None
    run(other)
    row = connection_of(source)
    assert (row.last_error_code, row.last_error_at) == ("", None)


# Channels ----------------------------------------------------------------------------------------


def test_the_channels_of_an_unselected_calendar_are_stopped_afterwards(
    watching: Watching, quiet: ExternalCalendar, django_capture_on_commit_callbacks
) -> None:
    other = sibling(quiet, "team@example.com")
    channel, kept = make_channel(quiet), make_channel(other)
    choose(other)
    channel.refresh_from_db()
    assert channel.stopped_at is not None, "nothing is taken from it any more"
    assert watching.stopped == [], "the provider is not asked in the transaction"
    tasks.renew_channel(str(quiet.pk))
    assert watching.stopped == [(str(channel.pk), channel.resource_id)]
    quiet.refresh_from_db()
    assert quiet.next_watch_at is None
    assert not watching.watched, "and no other is opened"
    assert NotificationChannel.objects.get(pk=kept.pk).stopped_at is None


def test_a_channel_that_cannot_be_stopped_is_tried_again(
    watching: Watching, quiet: ExternalCalendar
) -> None:
    other = sibling(quiet, "team@example.com")
    make_channel(quiet)
    choose(other)
    watching.before_stop = fail_with(InvalidResponse())
    tasks.renew_channel(str(quiet.pk))
    quiet.refresh_from_db()
    assert quiet.next_watch_at is not None
    assert quiet.next_watch_at > timezone.now()
    watching.before_stop = lambda: None
    ExternalCalendar.objects.update(next_watch_at=timezone.now())
    tasks.renew_channel(str(quiet.pk))
    assert len(watching.stopped) == 1


@pytest.mark.parametrize("when", ["before its row is there", "while the provider opens it"])
def test_a_channel_that_is_opened_while_its_calendar_is_let_go(
    watching: Watching, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    source = make_source(kind="google", next_watch_at=timezone.now())
    other = sibling(source, "team@example.com")
    if when == "before its row is there":
        digest = channels.digest

        def let_go(token: str) -> str:
            choose(other)
            return digest(token)

        monkeypatch.setattr(channels, "digest", let_go)
    else:
        watching.before_watch = lambda: choose(other)
    tasks.renew_channel(str(source.pk))
    assert [channel_id for channel_id, _ in watching.stopped] == [watching.watched[0].channel_id]


# At once -----------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_two_choices_at_once_are_one_after_the_other() -> None:
    """The last one holds as a whole, never a mixture."""
    source = make_source()
    rows = [source, *(sibling(source, f"c{n}", is_selected=False) for n in range(5))]
    ids = [row.external_id for row in rows]
    choices = [frozenset(ids[:3]), frozenset(ids[3:]), frozenset(ids[1::2])]
    barrier = threading.Barrier(len(choices))
    problems: list[Exception] = []

    def work(choice: frozenset[str]) -> None:
        try:
            barrier.wait()
            for _ in range(5):
                selection.choose(
                    connection_id=source.connection_id, external_ids=choice, actor=Actor.system()
                )
        except Exception as error:  # noqa: BLE001  reported by the test
            problems.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(choice,)) for choice in choices]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    selected = ExternalCalendar.objects.filter(is_selected=True)
    assert frozenset(selected.values_list("external_id", flat=True)) in choices
    assert not selected.filter(next_sync_at=None).exists()
