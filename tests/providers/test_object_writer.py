"""Syncing a provider that lists iCalendar objects: many occurrences a version."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from calendars.models import Event
from providers import object_writer, outages, registry
from providers.errors import ProviderUnavailable
from providers.models import (
    ExternalCalendar,
    ProviderConfiguration,
    QuarantinedEvent,
    SyncedObject,
    SyncRun,
)
from tests.providers.object_remote import (
    ScriptedObjects,
    Series,
    daily,
    make_object_source,
    single,
)
from tests.providers.sync_remote import relist, run, stored

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> ScriptedObjects:
    scripted = ScriptedObjects()
    monkeypatch.setattr(registry, "get_provider", lambda _kind: scripted)
    monkeypatch.setattr(object_writer, "PORTION", 2)
    monkeypatch.setattr(object_writer, "LOOKED_UP_AT_ONCE", 2)
    return scripted


@pytest.fixture
def source(provider: ScriptedObjects) -> ExternalCalendar:
    return make_object_source()


def assert_equal(source: ExternalCalendar, provider: ScriptedObjects) -> None:
    source.refresh_from_db()
    assert stored(source) == provider.offered(source)
    assert source.events_synced == len(stored(source))
    objects = SyncedObject.objects.filter(external_calendar=source)
    assert {item.object_id for item in objects} == provider.objects.keys()
    assert not SyncRun.objects.filter(status__in=SyncRun.UNFINISHED).exists()


def test_a_first_sync_and_then_only_what_changed(
    source: ExternalCalendar, provider: ScriptedObjects
) -> None:
    provider.put(*(single(f"s{number}") for number in range(5)), daily("d"))
    assert run(source).kind == "full"
    assert_equal(source, provider)
    assert provider.pages[-1].reads == [["d", "s0"], ["s1", "s2"], ["s3", "s4"]]

    provider.change("s1")
    provider.change("d", starts=provider.objects["d"].starts[1:3])
    provider.delete("s2")
    result = run(source)
    assert result.kind == "incremental"
    assert_equal(source, provider)
    assert provider.pages[-1].reads == [["d", "s1"]]
    assert (result.events_changed, result.events_removed) == (3, 4)


def test_a_single_event_becomes_a_series_and_back(
    source: ExternalCalendar, provider: ScriptedObjects
) -> None:
    provider.put(single("a"))
    run(source)
    for starts in (daily("a").starts, single("a").starts):
        provider.change("a", starts=starts)
        run(source)
        assert_equal(source, provider)


def test_a_full_listing_reads_nothing_again_and_sweeps(
    source: ExternalCalendar, provider: ScriptedObjects
) -> None:
    provider.page_size = 2
    provider.put(*(single(f"s{number}") for number in range(5)))
    run(source)
    del provider.objects["s3"]  # without a word in the log
    result = relist(source)
    assert_equal(source, provider)
    assert result.events_removed == 1
    assert [page.reads for page in provider.pages[-2:]] == [[], []]


def test_a_snapshot_turns_the_run_into_a_full_listing(
    source: ExternalCalendar, provider: ScriptedObjects
) -> None:
    provider.snapshots = True
    provider.put(single("a"), daily("b"), single("c"))
    run(source)
    assert run(source).kind == "incremental"  # 304, as it were
    assert provider.pages[-1].reads == []
    provider.change("a")
    provider.delete("c")
    result = run(source)
    assert result.kind == "full"
    assert provider.pages[-1].reads == [["a"]]
    assert_equal(source, provider)
    assert source.listing == 2


def test_the_window_moves_over_what_did_not_change(
    source: ExternalCalendar, provider: ScriptedObjects
) -> None:
    provider.put(
        daily("endless", first=364.5, count=40, endless=True),
        single("later", days=380),
        single("soon", days=1),
        single("past", days=-29),
    )
    run(source)
    assert len(stored(source)) == 3
    assert provider.pages[-1].reads == [["endless", "later"], ["past", "soon"]]
    # As after twenty days: the window of the last run ended so much earlier.
    ExternalCalendar.objects.filter(pk=source.pk).update(
        window_start=timezone.now() - timedelta(days=50),
        window_end=timezone.now() + timedelta(days=345),
    )
    Event.objects.filter(source=source, external_id="past").update(
        start_at=timezone.now() - timedelta(days=40), end_at=timezone.now() - timedelta(days=39)
    )
    Event.objects.filter(source=source, series_id="endless").delete()
    SyncedObject.objects.filter(object_id="endless").update(event_ids=[])
    relist(source)
    assert provider.pages[-1].reads == [["endless"]]
    assert "past" not in stored(source)
    assert sum(key.startswith("endless") for key in stored(source)) == 1


def test_a_calendar_is_left_alone_as_long_as_it_wants(
    source: ExternalCalendar, provider: ScriptedObjects
) -> None:
    provider.poll_after = timedelta(hours=5)
    provider.put(single("a"))
    for _ in range(2):
        run(source)
        assert source.next_sync_at is not None
        wait = source.next_sync_at - timezone.now()
        assert timedelta(hours=4.9) < wait < timedelta(hours=6.3)


def test_a_lost_cursor_lists_everything_and_reads_only_what_differs(
    source: ExternalCalendar, provider: ScriptedObjects
) -> None:
    provider.put(single("a"), single("b"))
    run(source)
    provider.change("a")
    provider.delete("b")
    provider.expired_before = 99
    result = run(source)
    assert result.kind == "full"
    assert provider.pages[-1].reads == [["a"]]
    assert_equal(source, provider)


def test_a_broken_object_stays_as_it_was_and_is_tried_again(
    source: ExternalCalendar, provider: ScriptedObjects
) -> None:
    provider.put(single("a"), daily("b"), single("c"))
    run(source)
    before = stored(source)
    provider.change("b", broken=True)
    result = run(source)
    assert (result.status, result.events_invalid) == ("succeeded", 1)
    assert stored(source) == before
    assert QuarantinedEvent.objects.get().external_id == "b"
    relist(source)
    assert provider.pages[-1].reads == [["b"]]
    assert stored(source) == before
    provider.change("b", broken=False)
    run(source)
    assert_equal(source, provider)
    assert not QuarantinedEvent.objects.exists()


def test_what_no_column_takes_stops_one_object(
    source: ExternalCalendar, provider: ScriptedObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.put(single("a"), single("b"))
    good = Series.read

    def spoil(self: Series, query: Any) -> Any:
        item = good(self, query)
        if self.key != "a":
            return item
        [event] = item.events
        return type(item)(
            id=item.id,
            etag=item.etag,
            events=(type(event)(**{**_fields(event), "title": "\0"}),),
            starts_at=item.starts_at,
            ends_at=item.ends_at,
        )

    monkeypatch.setattr(Series, "read", spoil)
    result = run(source)
    if Event.objects.filter(external_id="a").exists():
        pytest.skip("this database takes a NUL")
    assert result.events_invalid == 1
    assert stored(source).keys() == {"b"}
    assert QuarantinedEvent.objects.get().external_id == "a"
    assert [item.object_id for item in SyncedObject.objects.all()] == ["b"]


def test_an_object_that_vanishes_before_it_is_read(
    source: ExternalCalendar, provider: ScriptedObjects
) -> None:
    provider.put(single("a"), single("b"))
    run(source)
    provider.change("a")
    provider.on_read = lambda _ids: provider.objects.pop("a", None)
    run(source)
    assert stored(source).keys() == {"b"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("portion", [1, 2])
def test_an_interrupted_run_goes_on_where_it_stood(
    source: ExternalCalendar, provider: ScriptedObjects, portion: int
) -> None:
    provider.put(*(single(f"s{number}") for number in range(6)))
    reads: list[list[str]] = []

    def fall(ids: list[str]) -> None:
        reads.append(ids)
        if len(reads) == portion + 1:
            raise ProviderUnavailable

    provider.on_read = fall
    assert run(source).status == SyncRun.Status.INTERRUPTED
    assert len(stored(source)) == 2 * portion
    provider.on_read = lambda _ids: None
    run(source)
    assert_equal(source, provider)
    # What was stored is known, and not read again.
    assert sum(map(len, provider.pages[-1].reads)) == 6 - 2 * portion


def test_a_calendar_that_is_suddenly_empty_is_doubted(
    source: ExternalCalendar, provider: ScriptedObjects
) -> None:
    provider.put(*(single(f"s{number}") for number in range(3)))
    run(source)
    before = stored(source)
    provider.objects.clear()
    result = relist(source)
    assert (result.status, result.error_code) == ("failed", "suddenly_empty")
    assert stored(source) == before


def _fields(event: Any) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__struct_fields__}


def test_servers_that_are_down_are_no_outage_of_the_others(
    source: ExternalCalendar, provider: ScriptedObjects
) -> None:
    provider.put(single("a"))

    def fall(_ids: list[str]) -> None:
        raise ProviderUnavailable

    provider.on_read = fall
    for _ in range(2 * outages.THRESHOLD):
        assert run(source).error_code == "provider_unavailable"
    configuration = ProviderConfiguration.objects.get()
    assert (configuration.outage_failures, configuration.outage_until) == (0, None)
