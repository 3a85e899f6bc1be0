"""What a crash, a lost message or a disconnection leaves behind is found and mended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from providers import connect, grants, oauth2, scheduler, sync, tasks
from providers.audit import Actor
from providers.base import EventQuery
from providers.errors import ProviderUnavailable
from providers.models import (
    ExternalCalendar,
    ProviderConfiguration,
    ProviderConnection,
    RevocationJob,
    SyncRun,
    SyncRunPage,
)
from talkover.encryption import seal
from tests.providers.sync_remote import (
    ScriptedProvider,
    assert_synced,
    claimed,
    make_siblings,
    make_source,
    relist,
    run,
)

pytestmark = pytest.mark.django_db


class PowerCut(BaseException):
    """The process is gone: nothing is settled."""


def die_in_the_second_page(source: ExternalCalendar, provider: ScriptedProvider) -> None:
    """A full listing whose worker is killed after its first page."""
    run(source)

    def before(query: EventQuery) -> None:
        if query.page_token:
            raise PowerCut

    provider.before = before
    with pytest.raises(PowerCut):
        relist(source)
    provider.before = lambda _query: None
    source.refresh_from_db()
    assert source.lease_until is not None
    assert SyncRun.objects.filter(status=SyncRun.Status.RUNNING).count() == 1


def test_an_orphaned_lease_ends_and_the_run_goes_on(
    source: ExternalCalendar, provider: ScriptedProvider, time_machine: Any
) -> None:
    die_in_the_second_page(source, provider)
    tasks.housekeeping()
    assert claimed(10) == []
    time_machine.move_to(timezone.now() + timedelta(seconds=settings.SYNC_LEASE_SECONDS + 1))
    # Without housekeeping, and without anybody's asking.
    assert claimed(10) == [source.pk]
    result = sync.run(source.pk)
    assert result is not None
    assert (result.status, result.resumed) == (SyncRun.Status.SUCCEEDED, 1)
    assert_synced(source, provider)


def test_the_run_of_a_disconnected_calendar_is_closed(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    """The disconnection has raised the fence, so that the run's own is not the latest."""
    die_in_the_second_page(source, provider)
    connect.disconnect(connection=source.connection, actor=Actor.system())
    tasks.housekeeping()
    left = SyncRun.objects.exclude(status=SyncRun.Status.SUCCEEDED).get()
    assert (left.status, left.error_code) == (SyncRun.Status.FAILED, "abandoned")
    assert not SyncRunPage.objects.exists()


def test_a_worker_that_outlived_its_lease_does_not_write_to_a_closed_run(
    source: ExternalCalendar, provider: ScriptedProvider, time_machine: Any
) -> None:
    die_in_the_second_page(source, provider)
    source.refresh_from_db()
    late = scheduler.Lease(external_calendar=source, fence=source.fence, dirty=source.dirty)
    time_machine.move_to(timezone.now() + sync.RESUMABLE_FOR + timedelta(minutes=1))
    tasks.close_abandoned_runs()
    with pytest.raises(scheduler.LostLease):
        late.hold()
    assert run(source).resumed == 0
    assert_synced(source, provider)


def test_a_run_taken_up_meanwhile_is_left_alone(
    source: ExternalCalendar, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between finding it and locking it a worker has come."""
    die_in_the_second_page(source, provider)
    long_ago = timezone.now() - sync.RESUMABLE_FOR - timedelta(minutes=1)
    SyncRun.objects.filter(status=SyncRun.Status.RUNNING).update(heartbeat_at=long_ago)
    assert not tasks._close_abandoned(source.pk)
    ExternalCalendar.objects.update(lease_until=None)
    assert tasks._close_abandoned(source.pk)
    assert not tasks._close_abandoned(source.pk)


def test_what_would_never_be_due_is_found() -> None:
    forgotten = make_source(next_sync_at=None)
    ended = make_source()
    ProviderConnection.objects.filter(pk=ended.connection_id).update(status="error")
    waiting = make_source(next_sync_at=timezone.now() + timedelta(minutes=5))
    tasks.housekeeping()
    moments = dict(ExternalCalendar.objects.values_list("pk", "next_sync_at"))
    assert moments[waiting.pk] == waiting.next_sync_at
    assert moments[ended.pk] is None
    assert claimed(10) == [forgotten.pk]
    assert tasks.repair_schedule() == 0


def test_a_lost_hint_costs_a_minute(time_machine: Any) -> None:
    source = make_source(next_sync_at=None)
    scheduler.note_wishes([source.pk])  # and nothing is sent
    tasks.housekeeping()
    assert claimed(10) == []
    time_machine.move_to(timezone.now() + timedelta(seconds=61))
    assert claimed(10) == [source.pk]


def note_revocation(source: ExternalCalendar) -> None:
    connection = source.connection
    job = RevocationJob(
        environment_id=connection.environment_id,
        configuration_id=connection.configuration_id,
        expires_at=timezone.now() + grants.LIFE,
    )
    seal(job, "token", "token")
    job.save()


def test_a_provider_that_is_down_does_not_hold_up_the_others_revocations(
    provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    down, well, open_one = make_source(), make_source(), make_source()
    for _ in range(5):
        note_revocation(down)
    note_revocation(open_one)
    note_revocation(well)
    ProviderConfiguration.objects.filter(pk=down.connection.configuration_id).update(
        client_id="down"
    )
    ProviderConfiguration.objects.filter(pk=open_one.connection.configuration_id).update(
        client_id="open", outage_until=timezone.now() + timedelta(minutes=1)
    )
    asked: list[str] = []

    def revoke(_http: Any, _provider: Any, registration: Any, *, token: str) -> None:
        asked.append(registration.client_id)
        if registration.client_id == "down":
            raise ProviderUnavailable

    monkeypatch.setattr(oauth2, "revoke", revoke)
    assert grants.revoke_due() == 1
    assert sorted(asked) == ["client", "down"]
    assert RevocationJob.objects.count() == 6


def test_many_are_mended_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "DELETE_BATCH", 3)
    source = make_source(next_sync_at=None)
    make_siblings(source, 4, next_sync_at=None)
    assert [tasks.repair_schedule() for _ in range(3)] == [3, 2, 0]
