"""Several calendars of one mailbox, synced by several workers: Graph serves four requests of an
application and a mailbox at once, and the sandbox minds.
"""

from __future__ import annotations

import queue
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from providers import sync
from providers.microsoft.provider import MicrosoftProvider
from providers.models import ExternalCalendar, ProviderConnection, SyncRun
from tests.providers.choosing import make
from tests.providers.connecting import connection_of
from tests.providers.contract_world import Connected
from tests.providers.microsoft.world import MicrosoftWorld, client
from tests.providers.test_scheduler import in_threads
from tests.sandbox.process import SandboxProcess

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="one writer at a time"),
]

WORKERS = 8
# What the sandbox says to who is one too many.
RETRY_AFTER = timedelta(seconds=1)


@pytest.fixture
def mailbox(outside: SandboxProcess) -> ProviderConnection:
    """Connected, with as many calendars as there are workers; each has an event."""
    world = MicrosoftWorld(outside, client(outside))
    for number in range(1, WORKERS):
        make(outside, world.email, f"Calendar {number}", events=1)
    connected = Connected(world)
    found = connection_of(connected)
    ExternalCalendar.objects.bulk_create(
        ExternalCalendar(connection=found, external_id=each.id, next_sync_at=timezone.now())
        for each in world.provider.list_calendars(world.http, connected.access)
    )
    assert ExternalCalendar.objects.count() == WORKERS
    # So long that all that is asked for at the same time is on its way at the same time.
    outside.trouble("latency", "events", times=None, milliseconds=2000)
    outside.control("DELETE", "requests")
    return found


def sync_all_at_once() -> list[SyncRun]:
    """A worker for each calendar; the runs that there were."""
    waiting: queue.Queue[ExternalCalendar] = queue.Queue()
    for source in ExternalCalendar.objects.all():
        waiting.put(source)
    runs = in_threads(WORKERS, lambda: sync.run(waiting.get().pk))
    return [run for run in runs if run is not None]


def refusals(sandbox: SandboxProcess) -> int:
    return sandbox.counts().get("events:429", 0)


def test_workers_leave_a_mailbox_its_room(
    mailbox: ProviderConnection, outside: SandboxProcess
) -> None:
    outside.switch(mailbox_requests=MicrosoftProvider.syncs_per_account)
    runs: list[SyncRun] = []
    while ExternalCalendar.objects.filter(last_sync_at=None).exists():
        more = sync_all_at_once()
        assert more, "of those that take the last place at once one stays"
        runs += more
        # Their pause is over.
        ExternalCalendar.objects.filter(last_sync_at=None).update(next_sync_at=timezone.now())
    assert {run.status for run in runs} == {"succeeded"}
    assert len(runs) == WORKERS
    assert refusals(outside) == 0


def test_what_is_throttled_nevertheless_only_waits(
    mailbox: ProviderConnection, outside: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others of the same application may ask the mailbox as well."""
    monkeypatch.setattr(MicrosoftProvider, "syncs_per_account", None)
    outside.switch(mailbox_requests=1)
    runs = sync_all_at_once()
    assert len(runs) == WORKERS
    throttled = [run for run in runs if run.status != "succeeded"]
    assert refusals(outside) == len(throttled) > 0
    assert {run.error_code for run in throttled} == {"rate_limited"}
    mailbox.refresh_from_db()
    assert mailbox.status == "active"
    waiting = ExternalCalendar.objects.filter(last_sync_at=None)
    assert waiting.count() == len(throttled)
    for source in waiting:
        [run] = [run for run in throttled if run.external_calendar_id == source.pk]
        assert source.blocked_until is not None
        assert source.next_sync_at == source.blocked_until
        assert source.blocked_until - run.started_at >= RETRY_AFTER
    ExternalCalendar.objects.update(next_sync_at=timezone.now(), blocked_until=None)
    again = [sync.run(source.pk) for source in waiting.all()]
    assert {run and run.status for run in again} == {"succeeded"}
