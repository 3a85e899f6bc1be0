"""When a calendar is listed anew: daily, and not all of them at once."""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from providers import sync
from providers.models import ExternalCalendar, SyncRun
from tests.providers.sync_remote import ScriptedProvider, make_source, run

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def next_listing(number: int, last: datetime) -> datetime:
    return sync._next_full_listing(uuid.uuid5(uuid.NAMESPACE_OID, str(number)), last)


def test_the_first_comes_within_thirty_hours_and_then_daily() -> None:
    for number in range(500):
        first = next_listing(number, NOON)
        assert 6 * HOUR <= first - NOON <= 30 * HOUR
        # A poll comes some minutes after the time, and the listing takes a while.
        second = next_listing(number, first + timedelta(minutes=7))
        assert second == first + timedelta(days=1)


def test_calendars_connected_in_one_hour_are_spread_over_the_day() -> None:
    connected = [NOON + timedelta(seconds=number) for number in range(3600)]
    hours = Counter(next_listing(number, last).hour for number, last in enumerate(connected))
    assert len(hours) == 24
    assert max(hours.values()) < 2 * 3600 / 24


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("own_time", "kind"), [(-HOUR, SyncRun.Kind.FULL), (HOUR, SyncRun.Kind.INCREMENTAL)]
)
def test_a_run_is_a_full_listing_once_its_time_has_come(
    own_time: timedelta, kind: str, provider: ScriptedProvider
) -> None:
    now = timezone.now()
    seconds = int((now + own_time - sync._ANY_MIDNIGHT).total_seconds()) % 86_400
    drawn = uuid.uuid4().int // 86_400 * 86_400 + seconds
    source = make_source(pk=uuid.UUID(int=drawn))
    run(source)
    ExternalCalendar.objects.filter(pk=source.pk).update(last_full_sync_at=now - 12 * HOUR)
    assert run(source).kind == kind
