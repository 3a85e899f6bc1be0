"""Ten thousand calendars due at once drain in order, each once, and do not come back as a herd."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict, deque
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone

from calendars.models import Calendar
from providers import claims, scheduler, tasks
from providers.models import ExternalCalendar, ProviderConfiguration
from tests.providers.sync_remote import make_connections, make_source

pytestmark = [
    # Not in one transaction: what every calendar's row had been would all be kept and looked at.
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="for one machine and one person"),
]

# One has nearly all of them, and some are small.
SIZES = [9000, 700, 290, 10]
# The small ones to their end, and enough of the crowd.
RUNS = 1500
WORKERS = 4
MOST_HINTS = 200


def make_calendars(number: int) -> uuid.UUID:
    """So many calendars of a new configuration, which came due one after the other."""
    source = make_source(next_sync_at=None)
    connections = make_connections(source, number)
    now = timezone.now()
    ExternalCalendar.objects.bulk_create(
        [
            ExternalCalendar(
                connection=row,
                external_id="primary",
                next_sync_at=now - timedelta(hours=1) + timedelta(milliseconds=place),
            )
            for place, row in enumerate(connections)
        ],
        batch_size=2000,
    )
    return source.connection.configuration_id


class Broker:
    """A queue in the order of sending, and how full it has been."""

    def __init__(self) -> None:
        self.queue: deque[tuple[Any, ...]] = deque()
        self.longest = 0
        self.sent = 0

    def send(self, arguments: tuple[Any, ...], **_options: Any) -> None:
        self.queue.append(arguments)
        self.longest = max(self.longest, len(self.queue))
        self.sent += 1


def test_ten_thousand_due_at_once(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real claims, leases and follow-ups; only the run between two of them is left out."""
    settings.SYNC_BUDGET_PER_CONFIGURATION = 2
    monkeypatch.setattr(tasks, "MOST_HINTS", MOST_HINTS)
    broker = Broker()
    monkeypatch.setattr(tasks.sync_external_calendar, "apply_async", broker.send)
    of_configuration = {make_calendars(size): size for size in SIZES}
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as in a database that has been running
    due_at = {
        key: list(
            ExternalCalendar.objects.filter(
                connection__configuration=key, next_sync_at__isnull=False
            )
            .order_by("next_sync_at")
            .values_list("next_sync_at", flat=True)
        )
        for key in of_configuration
    }
    began: dict[uuid.UUID, list[Any]] = defaultdict(list)
    finished_at: dict[uuid.UUID, int] = {}
    running: deque[tuple[scheduler.Lease, bool]] = deque()
    most_at_once: Counter[uuid.UUID] = Counter()
    refused = dispatches = steps = 0

    def end(lease: scheduler.Lease, crowded: bool) -> None:
        lease.release(next_sync_at=scheduler.next_regular(timezone.now()), at_once=True)
        if crowded:
            tasks._send_hints(
                claims.claim_next(lease.external_calendar.connection.configuration_id)
            )

    while steps < RUNS:
        if not broker.queue and not running:
            dispatches += 1
            assert tasks.dispatch_due_syncs()
        # Four workers: each takes a message while the three before it are still at work.
        while broker.queue and len(running) < WORKERS:
            pk, *crowded = broker.queue.popleft()
            lease = scheduler.acquire(pk)
            if lease is None:
                refused += 1
                continue
            steps += 1
            configuration = lease.external_calendar.connection.configuration_id
            began[configuration].append(lease.external_calendar.next_sync_at)
            finished_at[configuration] = steps
            running.append((lease, bool(crowded)))
            at_once = Counter(
                each.external_calendar.connection.configuration_id for each, _ in running
            )
            most_at_once |= at_once
        if running:
            end(*running.popleft())

    assert sum(map(len, began.values())) == RUNS
    for key, moments in began.items():
        # Each once; the small ones all of theirs.
        assert len(set(moments)) == len(moments)
        assert len(moments) == of_configuration[key] or of_configuration[key] >= 700
        # In order, from the first on: two at once may change places, no more.
        ranks = {moment: rank for rank, moment in enumerate(due_at[key])}
        assert all(abs(ranks[moment] - place) <= 4 for place, moment in enumerate(moments))
    assert max(most_at_once.values()) <= 2
    assert broker.longest <= MOST_HINTS
    # The small ones were through long before the crowd, in proportion to their size.
    done = {size: finished_at[key] for key, size in of_configuration.items()}
    assert done[10] < 100
    assert done[290] < 4 * 290 + 100
    # Few messages were for nothing, and workers did not wait for the dispatcher.
    assert refused < steps / 4
    assert dispatches < steps / 20
    # No herd afterwards: spread over the half interval of the jitter.
    interval = django_settings.SYNC_INTERVAL_SECONDS
    now = timezone.now()
    coming = ExternalCalendar.objects.filter(next_sync_at__gt=now + timedelta(seconds=1))
    histogram = Counter(
        int((moment - now).total_seconds() // (interval / 20))
        for moment in coming.values_list("next_sync_at", flat=True)
        if moment is not None
    )
    assert sum(histogram.values()) >= RUNS - WORKERS
    assert max(histogram.values()) < RUNS / 5


def test_a_lone_configuration_drains_in_order(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "MOST_HINTS", MOST_HINTS)
    broker = Broker()
    monkeypatch.setattr(tasks.sync_external_calendar, "apply_async", broker.send)
    make_calendars(1000)
    began = []
    while tasks.dispatch_due_syncs():
        while broker.queue:
            first, _crowded, others = broker.queue.popleft()
            for pk in (first, *others):
                lease = scheduler.acquire(pk)
                assert lease is not None
                assert lease.external_calendar.next_sync_at is not None
                began.append(lease.external_calendar.next_sync_at)
                lease.release(next_sync_at=None, at_once=True)
    assert len(began) == 1000
    assert began == sorted(began)
    # A message carries several, and all workers get some.
    assert broker.longest == tasks.MESSAGES_FOR_MANY


def test_a_pause_of_many_drains_when_it_is_lifted() -> None:
    make_calendars(1500)
    ProviderConfiguration.objects.update(paused_at=timezone.now())
    assert claims.claim_due(limit=1000) == []
    ProviderConfiguration.objects.update(paused_at=None)
    assert len(claims.claim_due(limit=1000)) == 1000
    assert Calendar.objects.count() == 1


def test_postgresql_keeps_the_plan_of_taking_a_lease() -> None:
    """However many calendars there are: planning would cost it more than all the rest."""
    make_calendars(4000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        cursor.execute("DEALLOCATE ALL")
    for pk in [claim.pk for claim in claims.claim_due(limit=12)]:
        lease = scheduler.acquire(pk)
        assert lease is not None
        lease.release(next_sync_at=None, at_once=True)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT generic_plans, custom_plans FROM pg_prepared_statements"
            " WHERE statement LIKE '%providers_notificationchannel%'"
        )
        [(kept, anew)] = cursor.fetchall()
    # The server looks at the values of the first five.
    assert (kept, anew) == (7, 5)
