"""Bulk writes of events: what is written, what is left alone, and what the database refuses."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import DataError, IntegrityError, connection, transaction

from calendars import upsert
from calendars.models import Event
from providers.base import RemoteAttendee, RemoteEvent
from providers.models import ExternalCalendar
from tests.providers.sync_remote import make_source, remote_event

pytestmark = pytest.mark.django_db


@pytest.fixture
def source() -> ExternalCalendar:
    return make_source()


def write(source: ExternalCalendar, *events: RemoteEvent, listing: int = 1) -> int:
    return upsert.write_events(
        calendar_id=source.connection.calendar_id,
        source_id=source.pk,
        listing=listing,
        events=events,
    )


def test_every_field_arrives(source: ExternalCalendar) -> None:
    start = datetime(2026, 3, 29, 0, tzinfo=UTC)
    event = RemoteEvent(
        id="e1",
        etag='"1"',
        status="tentative",
        start_at=start,
        end_at=start + timedelta(days=1),
        all_day=True,
        start_date=date(2026, 3, 29),
        end_date=date(2026, 3, 30),
        time_zone="Europe/Berlin",
        title='Ümläute, "quotes", {braces}, \\ and 🎉',
        description="line\nline\ttab",
        location="NULL",
        busy=False,
        visibility="private",
        event_type="outOfOffice",
        ical_uid="uid@example.com",
        series_id="series",
        original_start="2026-03-29",
        organizer_email="boss@example.com",
        meeting_url="https://meet.example/x",
        attendees=(RemoteAttendee("a@example.com", name="A", response="accepted"),),
        details={"color": "7", "nested": {"list": [1, None, True]}},
        remote_updated_at=datetime(2026, 1, 1, 12, 30, 15, 123000, tzinfo=UTC),
    )
    assert write(source, event, listing=7) == 1
    row = Event.objects.get(source=source)
    expected: dict[str, Any] = {name: getattr(event, name) for name in event.__struct_fields__}
    expected |= {
        "external_id": expected.pop("id"),
        "type": expected.pop("event_type"),
        "attendees": [{"email": "a@example.com", "name": "A", "response": "accepted"}],
        "calendar_id": source.connection.calendar_id,
        "listing": 7,
    }
    assert {name: getattr(row, name) for name in expected} == expected
    assert row.created_at == row.updated_at
    assert Event.objects.filter(details__nested__list__1=None, attendees__0__name="A").exists()


def test_rows_as_django_would_store_them(source: ExternalCalendar) -> None:
    """Queries by the fields find what was written past Django's fields."""
    event = remote_event("e1")
    write(source, event)
    row = Event.objects.get(
        source=source, calendar=source.connection.calendar, start_at=event.start_at, busy=True
    )
    row.full_clean()
    row.save()
    row.refresh_from_db()
    assert row.title == "e1 v1"


def test_only_other_versions_are_rewritten(source: ExternalCalendar) -> None:
    write(source, *(remote_event(f"e{n}") for n in range(5)))
    before = dict(Event.objects.values_list("external_id", "updated_at"))
    changed = write(
        source, *(remote_event(f"e{n}", version=2 if n == 3 else 1) for n in range(6)), listing=2
    )
    assert changed == 2
    after = dict(Event.objects.values_list("external_id", "updated_at"))
    assert {key for key in before if before[key] != after[key]} == {"e3"}
    assert set(Event.objects.filter(listing=2).values_list("external_id", flat=True)) == {
        "e3",
        "e5",
    }
    assert Event.objects.get(external_id="e3").title == "e3 v2"


def test_without_etags_rows_are_rewritten(source: ExternalCalendar) -> None:
    write(source, remote_event("e1", etag="", title="old"))
    assert write(source, remote_event("e1", etag="", title="new")) == 1
    assert Event.objects.get().title == "new"


def test_of_a_repeated_id_the_last_counts(source: ExternalCalendar) -> None:
    assert write(source, remote_event("e1"), remote_event("e1", version=2)) == 1
    assert Event.objects.get().title == "e1 v2"


def test_many_rows_pass_in_chunks(source: ExternalCalendar) -> None:
    events = [remote_event(f"e{n}") for n in range(2 * upsert.CHUNK + 1)]
    assert write(source, *events) == len(events)
    known = upsert.known_versions(source_id=source.pk, ids=[event.id for event in events] + ["?"])
    assert known == {event.id: (event.etag, "confirmed") for event in events}
    assert upsert.remove_events(source_id=source.pk, ids=[*known, "?"]) == len(events)
    assert not Event.objects.exists()


def test_a_cancelled_occurrence_keeps_what_its_row_says(source: ExternalCalendar) -> None:
    write(source, remote_event("e1", description="kept"))
    start = datetime(2000, 1, 1, tzinfo=UTC)
    bare = remote_event("e1", version=2, status="cancelled", title="", start_at=start)
    assert write(source, bare, remote_event("e2", status="cancelled"), listing=2) == 2
    row = Event.objects.get(external_id="e1")
    assert (row.status, row.title, row.description) == ("cancelled", "e1 v1", "kept")
    assert (row.etag, row.listing) == ('"e1-2"', 2)
    assert row.start_at > start
    assert Event.objects.get(external_id="e2").status == "cancelled"


def test_a_revived_occurrence_is_written_whole(source: ExternalCalendar) -> None:
    write(source, remote_event("e1", status="cancelled", title=""))
    write(source, remote_event("e1", version=2))
    row = Event.objects.get()
    assert (row.status, row.title) == ("confirmed", "e1 v2")


def test_sources_do_not_touch_each_other(source: ExternalCalendar) -> None:
    other = make_source()
    write(source, remote_event("e1"))
    write(other, remote_event("e1", version=2))
    assert upsert.known_versions(source_id=source.pk, ids=["e1"]) == {"e1": ('"e1-1"', "confirmed")}
    assert upsert.remove_events(source_id=source.pk, ids=["e1"]) == 1
    assert Event.objects.get().source == other


def test_nothing_to_do(source: ExternalCalendar) -> None:
    assert write(source) == 0
    assert upsert.known_versions(source_id=source.pk, ids=[]) == {}
    assert upsert.remove_events(source_id=source.pk, ids=[]) == 0


def test_something_is_done_while_versions_are_looked_up(source: ExternalCalendar) -> None:
    write(source, remote_event("e1"))
    done: list[str] = []
    known = upsert.known_versions(
        source_id=source.pk, ids=["e1"], meanwhile=lambda: done.append("once")
    )
    assert (list(known), done) == (["e1"], ["once"])


def test_it_belongs_to_the_callers_transaction(source: ExternalCalendar) -> None:
    with transaction.atomic():
        write(source, remote_event("e1"))
        assert upsert.known_versions(source_id=source.pk, ids=["e1"])
        transaction.set_rollback(True)
    assert not Event.objects.exists()


def test_what_the_database_refuses_is_found_singly(source: ExternalCalendar) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    bad = remote_event("bad", start_at=now, end_at=now - timedelta(hours=1))
    events = [remote_event("e1"), bad, remote_event("e2")]
    with pytest.raises(IntegrityError), transaction.atomic():
        write(source, *events)
    changed, refused = upsert.write_events_singly(
        calendar_id=source.connection.calendar_id, source_id=source.pk, listing=1, events=events
    )
    assert (changed, refused) == (2, ["bad"])


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite takes it")
@pytest.mark.parametrize(
    "fields", [{"title": "a\x00b"}, {"visibility": "x" * 17}, {"details": {"a": "\x00"}}]
)
def test_postgresql_refuses_what_does_not_fit(
    source: ExternalCalendar, fields: dict[str, Any]
) -> None:
    assert connection.vendor == "postgresql"
    with pytest.raises(DataError), transaction.atomic():
        write(source, remote_event("e1", **fields))
