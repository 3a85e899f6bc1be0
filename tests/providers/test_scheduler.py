"""What is due, claiming it, and the lease."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from providers import scheduler
from providers.models import ExternalCalendar, ProviderConfiguration, ProviderConnection
from tests.providers.sync_remote import claimed, make_source

pytestmark = pytest.mark.django_db


def due() -> list[Any]:
    return claimed(100)


def change(source: ExternalCalendar, **values: Any) -> None:
    ExternalCalendar.objects.filter(pk=source.pk).update(**values)


def test_what_has_come_due_is_claimed_once() -> None:
    now = timezone.now()
    late = make_source(next_sync_at=now - timedelta(hours=1))
    source = make_source(next_sync_at=now)
    make_source(next_sync_at=now + timedelta(minutes=1))
    make_source(next_sync_at=None)
    assert claimed(1) == [late.pk]
    assert due() == [source.pk]
    assert due() == []


def test_a_lost_hint_is_sent_again(time_machine: Any) -> None:
    source = make_source()
    assert due() == [source.pk]
    time_machine.move_to(timezone.now() + scheduler.QUEUED_FOR + timedelta(seconds=1))
    assert due() == [source.pk]


@pytest.mark.parametrize("hindrance", ["lease_until", "blocked_until"])
def test_a_wish_waits_no_longer_than_what_it_has_to_wait_for(
    hindrance: str, time_machine: Any
) -> None:
    """Such as the lease of a worker that was killed: the hint finds it held, and is used up."""
    source = make_source()
    change(source, **{hindrance: timezone.now() + timedelta(seconds=5)})
    assert scheduler.request_sync([source.pk]) == [source.pk]
    assert scheduler.acquire(source.pk) is None
    assert due() == []
    time_machine.move_to(timezone.now() + timedelta(seconds=6))
    assert due() == [source.pk]


@pytest.mark.parametrize(
    "hindrance",
    [
        lambda source: change(source, lease_until=timezone.now() + timedelta(seconds=5)),
        *(
            lambda _source, status=status: ProviderConnection.objects.update(status=status)
            for status in ProviderConnection.Status.values
            if status != "active"
        ),
        lambda _source: ProviderConfiguration.objects.update(is_active=False),
        lambda _source: ProviderConfiguration.objects.update(paused_at=timezone.now()),
        lambda source: change(source, next_sync_at=timezone.now() + timedelta(seconds=5)),
        lambda source: change(source, next_sync_at=None),
    ],
)
def test_what_is_not_due_is_neither_claimed_nor_leased(
    hindrance: Callable[[ExternalCalendar], Any],
) -> None:
    source = make_source()
    hindrance(source)
    assert due() == []
    assert scheduler.acquire(source.pk) is None


def test_a_lease_is_given_once_and_its_fence_grows(time_machine: Any) -> None:
    source = make_source()
    first = scheduler.acquire(source.pk)
    assert first is not None
    assert scheduler.acquire(source.pk) is None
    time_machine.move_to(timezone.now() + timedelta(seconds=settings.SYNC_LEASE_SECONDS + 1))
    first.hold()  # late, but nobody else came
    assert scheduler.acquire(source.pk) is None
    time_machine.move_to(timezone.now() + timedelta(seconds=settings.SYNC_LEASE_SECONDS + 1))
    second = scheduler.acquire(str(source.pk))
    assert second is not None
    assert second.fence == first.fence + 1
    with pytest.raises(scheduler.LostLease):
        first.hold()
    with pytest.raises(scheduler.LostLease):
        first.release(next_sync_at=None, at_once=True)
    second.hold()


def test_unknown_ids_get_no_lease() -> None:
    assert scheduler.acquire("01234567-89ab-cdef-0123-456789abcdef") is None


def test_release_says_when_the_next_is_due() -> None:
    source = make_source()
    lease = scheduler.acquire(source.pk)
    assert lease is not None
    later = timezone.now() + timedelta(minutes=5)
    lease.release(next_sync_at=later, at_once=True, failures=3)
    source.refresh_from_db()
    assert (source.next_sync_at, source.lease_until, source.failures) == (later, None, 3)
    assert not source.is_syncing


def test_a_wish_during_a_run_is_due_at_once_after_it() -> None:
    source = make_source()
    lease = scheduler.acquire(source.pk)
    assert lease is not None
    assert scheduler.request_sync([source.pk]) == [source.pk]
    assert due() == []
    lease.release(next_sync_at=timezone.now() + timedelta(minutes=5), at_once=True)
    source.refresh_from_db()
    assert source.is_syncing
    assert due() == [source.pk]


def test_asking_makes_due_what_is_connected() -> None:
    source = make_source(next_sync_at=None)
    make_source(next_sync_at=None)
    ProviderConnection.objects.exclude(pk=source.connection_id).update(status="error")
    assert scheduler.request_sync(ExternalCalendar.objects.all()) == [source.pk]
    # The asker sends the hint: the dispatcher leaves it alone for a while.
    assert due() == []
    assert scheduler.acquire(source.pk) is not None


def test_asking_does_not_break_a_silence_that_the_provider_wants() -> None:
    until = timezone.now() + timedelta(minutes=10)
    source = make_source(blocked_until=until, next_sync_at=until)
    scheduler.request_sync([source.pk])
    assert scheduler.acquire(source.pk) is None
    source.refresh_from_db()
    assert source.next_sync_at == until


def test_revoking_takes_the_lease_away() -> None:
    source = make_source()
    lease = scheduler.acquire(source.pk)
    assert lease is not None
    scheduler.revoke_leases(source.connection_id)
    with pytest.raises(scheduler.LostLease):
        lease.hold()


@pytest.mark.parametrize(
    ("quiet", "seconds"),
    [(0, 300), (7200, 300), (14_400, 600), (86_400, 1800), (8_640_000, 1800)],
)
def test_quiet_calendars_are_asked_less_often(quiet: int, seconds: int) -> None:
    now = timezone.now()
    for _ in range(50):
        at = scheduler.next_regular(now, changed_at=now - timedelta(seconds=quiet))
        assert 0.74 * seconds < (at - now).total_seconds() < 1.26 * seconds


def test_a_provider_is_left_alone_as_long_as_it_wants() -> None:
    now, hour = timezone.now(), timedelta(hours=1)
    for _ in range(50):
        assert hour <= scheduler.next_regular(now, at_least=hour) - now <= 1.26 * hour


def test_waits() -> None:
    for _ in range(50):
        regular = scheduler.next_regular(timezone.now()) - timezone.now()
        seconds = settings.SYNC_INTERVAL_SECONDS
        assert 0.74 * seconds < regular.total_seconds() < 1.26 * seconds
        assert 22 < scheduler.back_off(1).total_seconds() < 38
        assert 90 <= scheduler.back_off(3).total_seconds() <= 150
        assert scheduler.back_off(10_000) <= 1.25 * scheduler.LONGEST_BACK_OFF
        hour = timedelta(hours=1)
        assert 100 <= scheduler.silence(100, otherwise=hour).total_seconds() <= 110
        assert scheduler.silence(None, otherwise=hour) >= hour
        assert scheduler.silence(1e9, otherwise=hour) <= 1.1 * scheduler.LONGEST_SILENCE
        assert scheduler.silence(-5, otherwise=hour) >= timedelta(seconds=1)


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_one_gets_the_lease() -> None:
    source = make_source()
    leases = in_threads(8, lambda: scheduler.acquire(source.pk))
    assert sum(lease is not None for lease in leases) == 1


@pytest.mark.django_db(transaction=True)
def test_dispatchers_at_once_claim_each_calendar_once() -> None:
    ids = {make_source().pk for _ in range(20)}
    found = [pk for part in in_threads(6, lambda: claimed(10) + claimed(10)) for pk in part]
    assert len(found) == len(set(found))
    # A dispatcher skips what another has locked; what is left over comes with the next.
    assert set(found) | set(claimed(20)) == ids


@pytest.mark.django_db(transaction=True)
def test_a_writer_and_a_disconnect_do_not_cross() -> None:
    """The lease's row lock: who closes the connection waits for the write, or the write is lost."""
    source = make_source()
    lease = scheduler.acquire(source.pk)
    assert lease is not None
    outcomes: list[str] = []

    def write() -> None:
        try:
            with transaction.atomic():
                lease.hold()
                outcomes.append("written")
        except scheduler.LostLease:
            outcomes.append("lost")

    def disconnect() -> None:
        with transaction.atomic():
            scheduler.revoke_leases(source.connection_id)
            outcomes.append("revoked")

    in_threads(2, iter_once(write, disconnect))
    assert outcomes in (["written", "revoked"], ["revoked", "lost"])


def iter_once(*functions: Callable[[], Any]) -> Callable[[], Any]:
    pending = list(functions)
    lock = threading.Lock()

    def next_one() -> Any:
        with lock:
            function = pending.pop(0)
        return function()

    return next_one


def in_threads(number: int, function: Callable[[], Any]) -> list[Any]:
    """Call the function in so many threads at the same moment; their results."""
    results: list[Any] = []
    barrier = threading.Barrier(number)

    def work() -> None:
        try:
            barrier.wait()
            results.append(function())
        except Exception as error:  # noqa: BLE001  reported by the test
            results.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not [result for result in results if isinstance(result, Exception)]
    return results
