"""Configurations do not stand in each other's way: budgets of runs, and of hints."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone

from providers import claims, limits, scheduler, tasks
from providers.base import EventQuery
from providers.models import ExternalCalendar, ProviderConfiguration
from tests.providers.sync_remote import (
    ScriptedProvider,
    claimed,
    make_siblings,
    make_source,
)
from tests.providers.test_scheduler import in_threads

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _budget(settings: Any) -> None:
    settings.SYNC_BUDGET_PER_CONFIGURATION = 2


def test_a_lone_configuration_has_every_worker() -> None:
    source = make_source()
    calendars = [source, *make_siblings(source, 9)]
    assert len(claimed(100)) == 10
    assert all(scheduler.acquire(calendar.pk) for calendar in calendars)


@pytest.mark.parametrize("hindrance", [{"is_active": False}, {"paused_at": timezone.now()}])
def test_beside_one_that_is_off_it_is_alone(hindrance: dict[str, Any]) -> None:
    source = make_source()
    make_source(configuration=hindrance)
    assert all(scheduler.acquire(calendar.pk) for calendar in [source, *make_siblings(source, 4)])


def test_beside_others_it_has_its_budget(time_machine: Any) -> None:
    source, other = make_source(), make_source()
    first, second, third = (source, *make_siblings(source, 2))
    lease = scheduler.acquire(first.pk)
    assert lease is not None
    assert scheduler.acquire(second.pk) is not None
    ExternalCalendar.objects.filter(pk=third.pk).update(
        queued_until=timezone.now() + scheduler.QUEUED_FOR
    )
    assert scheduler.acquire(third.pk) is None
    # It stays due, and is not waited for: its hint is used up.
    assert claimed(100) == [other.pk, third.pk]
    assert scheduler.acquire(other.pk) is not None
    # A slot is free again: given back, or left behind by a worker that died.
    lease.release(next_sync_at=None, at_once=True)
    assert scheduler.acquire(third.pk) is not None
    time_machine.move_to(timezone.now() + timedelta(seconds=django_settings.SYNC_LEASE_SECONDS + 1))
    assert scheduler.acquire(second.pk) is not None


def test_a_configurations_own_budget_has_precedence() -> None:
    source = make_source(configuration={"sync_budget": 3})
    calendars = [source, *make_siblings(source, 9)]
    leases = [scheduler.acquire(calendar.pk) for calendar in calendars]
    assert sum(lease is not None for lease in leases) == 3


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="one writer at a time")
@pytest.mark.parametrize("budget", [1, 3])
def test_workers_at_once_never_exceed_it_and_use_it(budget: int, settings: Any) -> None:
    settings.SYNC_BUDGET_PER_CONFIGURATION = budget
    source = make_source()
    make_source()
    waiting = [source.pk, *(row.pk for row in make_siblings(source, 7))]
    for _ in range(5):
        ids = list(waiting)
        leases = in_threads(8, lambda: scheduler.acquire(ids.pop()))  # noqa: B023  called here
        taken = sum(lease is not None for lease in leases)
        assert 1 <= taken <= budget
        assert ExternalCalendar.objects.filter(lease_until__isnull=False).count() == taken
        ExternalCalendar.objects.update(lease_until=None)


def test_ten_thousand_do_not_stand_in_front_of_ten() -> None:
    now = timezone.now()
    crowd = make_source(next_sync_at=now - timedelta(hours=2))
    make_siblings(crowd, 50, next_sync_at=now - timedelta(hours=1))
    few = make_source(next_sync_at=now - timedelta(minutes=1))
    late = make_siblings(few, 2, next_sync_at=now)
    found = claims.claim_due(limit=100)
    ids = [claim.pk for claim in found]
    # In turns, and of each no more than its workers will need.
    assert len(ids) == 2 * claims.HINTS_PER_SLOT + 3
    assert ids[:2] == [crowd.pk, few.pk]
    assert {ids[3], ids[5]} == {row.pk for row in late}
    crowded = {claim.pk for claim in found if claim.crowded}
    assert crowded == set(ids)  # three of the few are more than two at once, too
    # What is on its way is not sent again, and counts.
    assert claimed(100) == []


def test_of_each_those_due_longest_come_first() -> None:
    now = timezone.now()
    source = make_source(next_sync_at=now - timedelta(seconds=1))
    make_source(next_sync_at=None)
    others = make_siblings(source, 9)
    for number, row in enumerate(others):
        row.next_sync_at = now - timedelta(minutes=number + 1)
        row.save()
    assert claimed(100) == [row.pk for row in reversed(others)][:4]


def test_hints_on_their_way_are_bounded_in_all() -> None:
    for _ in range(6):
        make_source()
    assert len(claimed(4)) == 4
    assert claimed(4) == []
    assert len(claimed(5)) == 1


def test_the_run_that_ends_sends_the_next_hint(
    provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, _other = make_source(), make_source()
    calendars = [source, *make_siblings(source, 9)]
    sent: list[tuple[Any, ...]] = []
    monkeypatch.setattr(tasks, "CARRIED_SECONDS", 0.0)
    monkeypatch.setattr(
        tasks.sync_external_calendar, "apply_async", lambda message, **_: sent.append(message)
    )
    assert tasks.dispatch_due_syncs() == 2 * claims.HINTS_PER_SLOT + 1
    own = {str(row.pk) for row in calendars}
    done: list[str] = []
    # Without another dispatch: one after the other, and each once.
    while sent:
        arguments = sent.pop(0)
        tasks.sync_external_calendar(*arguments)
        done.append(arguments[0])
    assert len(done) == 11
    assert own < set(done)
    assert not ExternalCalendar.objects.filter(next_sync_at__lte=timezone.now()).exists()


def test_the_next_hint_is_sent_whatever_becomes_of_the_run(
    provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_source(configuration={"sync_budget": 1})
    [other] = make_siblings(source, 1)
    sent: list[tuple[Any, ...]] = []
    monkeypatch.setattr(tasks, "CARRIED_SECONDS", 0.0)
    monkeypatch.setattr(
        tasks.sync_external_calendar, "apply_async", lambda message, **_: sent.append(message)
    )

    def before(_query: EventQuery) -> None:
        raise ZeroDivisionError

    provider.before = before
    with pytest.raises(ZeroDivisionError):
        tasks.sync_external_calendar(str(source.pk), True)
    assert sent == [(str(other.pk), True)]


def test_a_worker_goes_on_with_the_next_of_a_crowd(
    provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_source(configuration={"sync_budget": 1})
    make_siblings(source, 5)
    sent: list[tuple[Any, ...]] = []
    monkeypatch.setattr(
        tasks.sync_external_calendar, "apply_async", lambda message, **_: sent.append(message)
    )
    tasks.sync_external_calendar(str(source.pk), True)
    assert sent == []
    assert not ExternalCalendar.objects.filter(next_sync_at__lte=timezone.now()).exists()


def test_a_message_carries_many_of_a_lone_configuration(
    provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_source()
    make_siblings(source, 79)
    sent: list[tuple[Any, ...]] = []
    monkeypatch.setattr(
        tasks.sync_external_calendar, "apply_async", lambda message, **_: sent.append(message)
    )
    assert tasks.dispatch_due_syncs() == 80
    assert [1 + len(others) for _first, _crowded, others in sent] == [4] * tasks.MESSAGES_FOR_MANY
    monkeypatch.setattr(tasks, "CARRIED_SECONDS", 0.0)
    first, crowded, others = sent.pop()
    tasks.sync_external_calendar(first, crowded, others)
    # Its time was over after one: the others are a message each, for whoever is free.
    assert sent[-3:] == [(pk,) for pk in others]


def test_many_wishes_at_once_are_sent_in_parts() -> None:
    source = make_source()
    make_siblings(source, scheduler.MOST_WISHES + 20)
    wishes = scheduler.note_wishes(ExternalCalendar.objects.all())
    assert len(wishes.due) == scheduler.MOST_WISHES + 21
    assert len(wishes.hints) == scheduler.MOST_WISHES
    assert len(claimed(1000)) == 21


def test_a_configuration_without_a_budget_of_its_own_says_so() -> None:
    configuration = ProviderConfiguration(sync_budget=None)
    assert limits.budget_of(configuration, has_rivals=False) is None
    assert limits.budget_of(configuration, has_rivals=True) == 2
    configuration.sync_budget = 7
    assert limits.budget_of(configuration, has_rivals=False) == 7
