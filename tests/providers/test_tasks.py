"""The tasks: hints that may get lost or doubled, a broker that is away, and housekeeping."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from providers import grants, scheduler, sync, tasks
from providers.models import (
    AuthorizationRequest,
    ExternalCalendar,
    ProviderConnection,
    SyncRun,
    SyncRunPage,
)
from talkover.celery import app
from tests.providers.sync_remote import claimed, make_source

pytestmark = pytest.mark.django_db

Sent = list[tuple[str, tuple[str, ...], float | None]]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """What was sent: names of tasks, arguments, seconds after which the message expires."""
    messages: Sent = []
    for task in (tasks.sync_external_calendar, tasks.revoke_grants):

        def send(
            arguments: tuple[str, ...], expires: float | None = None, name: str = task.name
        ) -> None:
            messages.append((name, tuple(arguments), expires))

        monkeypatch.setattr(task, "apply_async", send)
    return messages


def hints(*sources: ExternalCalendar) -> Sent:
    return [("providers.tasks.sync_external_calendar", (str(row.pk),), 60.0) for row in sources]


@pytest.fixture
def broker_away(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    tries: list[Any] = []

    def send(*arguments: Any, **options: Any) -> None:
        tries.append(arguments)
        raise OperationalError("connection refused")

    monkeypatch.setattr(tasks.sync_external_calendar, "apply_async", send)
    monkeypatch.setattr(tasks.revoke_grants, "apply_async", send)
    return tries


def test_a_hint_is_sent_after_the_commit(
    sent: Sent, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    source, other = make_source(next_sync_at=None), make_source(next_sync_at=None)
    ProviderConnection.objects.filter(pk=other.connection_id).update(status="error")
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        assert tasks.request_sync([source.pk, other.pk]) == [source.pk]
        assert sent == []
    assert sent == hints(source)
    source.refresh_from_db()
    assert source.is_syncing


def test_nothing_is_sent_when_the_caller_fails(
    sent: Sent, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    source = make_source(next_sync_at=None)
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        tasks.request_sync(ExternalCalendar.objects.all())
        transaction.set_rollback(True)
    assert sent == []
    source.refresh_from_db()
    assert source.next_sync_at is None


def test_a_broker_that_is_away_only_delays(
    broker_away: list[Any],
    django_capture_on_commit_callbacks: Callable[..., Any],
    time_machine: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sources = [make_source(next_sync_at=None) for _ in range(3)]
    with django_capture_on_commit_callbacks(execute=True):
        assert len(tasks.request_sync(row.pk for row in sources)) == 3
    # It is not asked again for each: every try may cost a time-out.
    assert len(broker_away) == 1
    assert "The broker is away" in caplog.text
    tasks.enqueue_revocations()
    time_machine.move_to(timezone.now() + scheduler.QUEUED_FOR + timedelta(seconds=1))
    assert set(claimed(10)) == {row.pk for row in sources}


def test_dispatch_sends_each_due_calendar_once(sent: Sent) -> None:
    now = timezone.now()
    due = [make_source(next_sync_at=now - timedelta(seconds=9 - n)) for n in range(5)]
    make_source(next_sync_at=None)
    assert tasks.dispatch_due_syncs() == 5
    assert tasks.dispatch_due_syncs() == 0
    assert sent == hints(*due)


def test_dispatch_stops_at_its_limit(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "MOST_HINTS", 4)
    for _ in range(5):
        make_source()
    assert [tasks.dispatch_due_syncs(), tasks.dispatch_due_syncs()] == [4, 0]
    # A worker takes one, and gives it back.
    lease = scheduler.acquire(sent[0][1][0])
    assert lease is not None
    lease.release(next_sync_at=None, at_once=False)
    assert tasks.dispatch_due_syncs() == 1


def test_dispatch_without_a_broker_ends(broker_away: list[Any]) -> None:
    for _ in range(3):
        make_source()
    assert tasks.dispatch_due_syncs() == 0
    assert len(broker_away) == 1


def test_hints_for_what_is_gone_are_ignored() -> None:
    tasks.sync_external_calendar(str(uuid.uuid4()))


def test_the_task_runs_one_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(sync, "run", lambda pk, **_: seen.append(pk))
    pk = uuid.uuid4()
    tasks.sync_external_calendar.apply((str(pk),), throw=True)
    assert seen == [pk]


def test_beat_asks_for_tasks_that_exist() -> None:
    app.loader.import_default_modules()
    for entry in app.conf.beat_schedule.values():
        assert entry["task"] in app.tasks


def test_syncs_have_a_queue_of_their_own_and_a_plain_worker_serves_both() -> None:
    assert set(app.amqp.queues.consume_from) == {"talkover", "sync"}
    queues = {
        name: app.amqp.router.route({}, name)["queue"].name
        for name in app.tasks
        if name.startswith("providers.")
    }
    assert queues.pop(tasks.sync_external_calendar.name) == "sync"
    assert set(queues.values()) == {"talkover"}


# Housekeeping ------------------------------------------------------------------------------------


def test_attempts_expire() -> None:
    now = timezone.now()
    late, early, active = make_source(), make_source(), make_source()
    rows = ProviderConnection.objects
    rows.filter(pk=late.connection_id).update(status="pending", pending_until=now)
    rows.filter(pk=early.connection_id).update(
        status="pending", pending_until=now + timedelta(minutes=1)
    )
    rows.filter(pk=active.connection_id).update(pending_until=now - timedelta(days=1))
    tasks.housekeeping()
    assert dict(rows.values_list("pk", "status")) == {
        late.connection_id: "expired",
        early.connection_id: "pending",
        active.connection_id: "active",
    }


def make_run(source: ExternalCalendar, **fields: Any) -> SyncRun:
    now = timezone.now()
    values = {"kind": "full", "fence": source.fence, "window_start": now, "window_end": now}
    run = SyncRun.objects.create(
        connection=source.connection, external_calendar=source, **(values | fields)
    )
    SyncRunPage.objects.create(run=run, number=1, external_ids=["a"])
    return run


def test_runs_that_nobody_will_resume_are_closed() -> None:
    now = timezone.now()
    long_ago = now - sync.RESUMABLE_FOR - timedelta(minutes=1)
    closed = make_source()
    ProviderConnection.objects.filter(pk=closed.connection_id).update(status="disconnected")
    hopeless = [make_run(make_source(), heartbeat_at=long_ago), make_run(closed)]
    working = make_source(lease_until=now + timedelta(seconds=9), fence=3)
    alive = [
        make_run(make_source()),
        make_run(make_source(), status="interrupted"),
        make_run(working, heartbeat_at=long_ago),
    ]
    tasks.housekeeping()
    for run in hopeless:
        run.refresh_from_db()
        assert (run.status, run.error_code) == ("failed", "abandoned")
        assert run.finished_at is not None
    for run in alive:
        run.refresh_from_db()
        assert run.status in SyncRun.UNFINISHED
    assert SyncRunPage.objects.count() == len(alive)


def test_old_runs_and_requests_are_forgotten() -> None:
    now = timezone.now()
    source = make_source()
    month, day = now - timedelta(days=31), now - timedelta(days=1, minutes=1)
    make_run(source, status="succeeded", started_at=month)
    kept = make_run(source, status="failed", started_at=now - timedelta(days=29))
    for number, expires_at in enumerate([day, now - timedelta(hours=23)]):
        AuthorizationRequest.objects.create(
            environment=source.connection.environment,
            connection=source.connection,
            configuration=source.connection.configuration,
            state_digest=str(number),
            provider_redirect_uri="https://example.com/",
            client_id="client",
            expires_at=expires_at,
        )
    tasks.housekeeping()
    assert SyncRun.objects.get() == kept
    assert AuthorizationRequest.objects.get().state_digest == "1"


def test_one_failing_step_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def expire_attempts() -> None:
        raise ZeroDivisionError

    revoked: list[bool] = []

    def revoke_due() -> None:
        revoked.append(True)

    monkeypatch.setattr(tasks, "expire_attempts", expire_attempts)
    monkeypatch.setattr(grants, "revoke_due", revoke_due)
    tasks.housekeeping()
    assert revoked
    assert "expire_attempts failed" in caplog.text
