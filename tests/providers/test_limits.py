"""How many calendars of one account are synced at once, where its provider minds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from providers import claims, limits, registry, scheduler, tasks
from providers.models import (
    ExternalCalendar,
    ProviderConfiguration,
    ProviderConnection,
)
from providers.scheduler import Lease
from tests.providers.sync_remote import (
    ScriptedProvider,
    claimed,
    make_connections,
    make_siblings,
    make_source,
)
from tests.providers.test_scheduler import in_threads

pytestmark = pytest.mark.django_db


class Minding(ScriptedProvider):
    syncs_per_account = 2


@pytest.fixture(autouse=True)
def _minding(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.SYNC_BUDGET_PER_CONFIGURATION = 100
    monkeypatch.setattr(registry, "get_provider", lambda _kind: Minding())


def is_taken(source: ExternalCalendar) -> bool:
    return scheduler.acquire(source.pk) is not None


def test_the_calendars_of_an_account() -> None:
    """Over all connections that lead to it."""
    first = make_source()
    second, third = make_siblings(first, 2)
    lease = scheduler.acquire(first.pk)
    assert lease is not None
    assert is_taken(second)
    assert not is_taken(third)
    lease.release(next_sync_at=None, at_once=True)
    ExternalCalendar.objects.filter(pk=third.pk).update(next_sync_at=timezone.now())
    assert is_taken(third)


def test_who_is_refused_lets_others_go_first(time_machine: Any) -> None:
    source = make_source(next_sync_at=timezone.now() - timedelta(hours=1))
    refused, *rest = make_siblings(source, 2, next_sync_at=timezone.now() - timedelta(hours=1))
    assert is_taken(source)
    assert is_taken(rest[0])
    now = timezone.now()
    time_machine.move_to(now, tick=False)
    ExternalCalendar.objects.filter(pk=refused.pk).update(
        queued_until=now + scheduler.QUEUED_FOR, dirty=3
    )
    assert not is_taken(refused)
    refused.refresh_from_db()
    assert refused.next_sync_at == now + limits.ACCOUNT_PAUSE
    assert (refused.queued_until, refused.dirty, refused.settled) == (None, 3, 0)
    assert claimed(10) == []
    time_machine.move_to(now + limits.ACCOUNT_PAUSE, tick=False)
    assert claimed(10) == [refused.pk]


def refuse(first: ExternalCalendar, second: ExternalCalendar, *others: ExternalCalendar) -> Lease:
    """The first two are being synced, for which the others are refused; the first one's lease."""
    lease = scheduler.acquire(first.pk)
    assert lease is not None
    assert is_taken(second)
    assert not any(is_taken(each) for each in others)
    return lease


def test_when_a_run_of_the_account_ends_the_next_is_claimed() -> None:
    source = make_source()
    siblings = make_siblings(source, 4)
    lease = refuse(source, *siblings)
    assert claimed(10) == []
    lease.release(next_sync_at=timezone.now() + timedelta(hours=1), at_once=False)
    refused = {row.pk for row in siblings[1:]}
    ahead = [claims.claim_refused(source.connection)[0].pk for _ in refused]
    assert set(ahead) == refused
    assert claims.claim_refused(source.connection) == []
    assert is_taken(ExternalCalendar.objects.get(pk=ahead[0]))


@pytest.mark.parametrize(
    "change",
    [
        {"next_sync_at": timedelta(minutes=1)},
        {"blocked_until": timedelta(seconds=3)},
        {"queued_until": timedelta(seconds=30)},
        {"lease_until": timedelta(seconds=30)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_only_what_was_refused_is_claimed(change: dict[str, timedelta]) -> None:
    source = make_source()
    siblings = make_siblings(source, 2)
    refuse(source, *siblings).release(next_sync_at=None, at_once=False)
    fields = {name: timezone.now() + wait for name, wait in change.items()}
    ExternalCalendar.objects.filter(pk=siblings[1].pk).update(**fields)
    assert claims.claim_refused(source.connection) == []


def test_a_worker_goes_on_with_the_next_of_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a message, and without waiting for the pause."""
    monkeypatch.setattr(tasks.sync_external_calendar, "apply_async", pytest.fail)
    source = make_source()
    siblings = make_siblings(source, 5)
    refuse(source, *siblings).release(next_sync_at=timezone.now(), at_once=False)
    tasks.sync_external_calendar(str(source.pk))
    synced = set(ExternalCalendar.objects.exclude(last_sync_at=None).values_list("pk", flat=True))
    assert synced == {source.pk, *(row.pk for row in siblings[1:])}


def test_other_accounts_are_others() -> None:
    source = make_source()
    own = [source, *make_siblings(source, 1)]
    [theirs] = make_connections(source, 1)
    ProviderConnection.objects.filter(pk=theirs.pk).update(account_subject="another")
    other = ExternalCalendar.objects.create(
        connection=theirs, external_id="other", next_sync_at=timezone.now()
    )
    assert all(is_taken(each) for each in own)
    assert is_taken(other)


@pytest.mark.parametrize(
    ("change", "taken"), [({}, False), ({"client_id": "another"}, True), ({"kind": "other"}, True)]
)
def test_an_account_is_counted_by_client(change: dict[str, str], taken: bool) -> None:
    """Also where several environments have registered the same one."""
    source, other = make_source(), make_source()
    ProviderConfiguration.objects.filter(connections=other.connection).update(**change)
    assert is_taken(source)
    assert is_taken(make_siblings(source, 1)[0])
    assert is_taken(other) is taken


def test_a_provider_that_does_not_mind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Minding, "syncs_per_account", None)
    source = make_source()
    assert all(is_taken(each) for each in [source, *make_siblings(source, 5)])


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="one writer at a time")
def test_workers_at_once_never_exceed_it_and_use_it() -> None:
    source = make_source()
    waiting = [source.pk, *(row.pk for row in make_siblings(source, 7))]
    for _ in range(5):
        ids = list(waiting)
        leases = in_threads(8, lambda: scheduler.acquire(ids.pop()))  # noqa: B023  called here
        taken = sum(lease is not None for lease in leases)
        assert 1 <= taken <= Minding.syncs_per_account
        assert ExternalCalendar.objects.filter(lease_until__isnull=False).count() == taken
        ExternalCalendar.objects.update(lease_until=None, next_sync_at=timezone.now())
