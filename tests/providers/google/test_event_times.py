"""When an event of Google's is: days, zones, occurrences, and times that make no sense."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest

from providers.base import RemoteEvent
from tests.providers.google.listings import item, only, page_of, utc


def reason(**changes: Any) -> str:
    """Why one event cannot be understood."""
    page = page_of([item(**changes), item(id="other")])
    assert list(page.versions) == ["plain", "other"]
    [other], [invalid] = page.read(["plain", "other"])
    assert (other.id, invalid.id) == ("other", "plain")
    return invalid.reason


def test_all_day(events: dict[str, RemoteEvent]) -> None:
    event = events["5"]
    assert event.all_day
    assert (event.start_date, event.end_date) == (date(2026, 3, 28), date(2026, 3, 30))
    # Berlin's clocks change in the night to the 29th: midnight is at 23, then at 22 o'clock UTC.
    assert (event.start_at, event.end_at) == (utc(2026, 3, 27, 23), utc(2026, 3, 29, 22))
    assert event.time_zone == "Europe/Berlin"
    assert not event.busy


def test_an_occurrence(events: dict[str, RemoteEvent]) -> None:
    event = events["20260303T080000Z"]
    assert event.series_id == "6series0000000000000000001"
    assert event.original_start == "2026-03-03T08:00:00Z"
    assert event.start_at == utc(2026, 3, 3, 8)


def test_a_moved_occurrence_keeps_its_original_start(events: dict[str, RemoteEvent]) -> None:
    event = events["20260304T080000Z"]
    assert (event.start_at, event.original_start) == (utc(2026, 3, 4, 13), "2026-03-04T08:00:00Z")


def test_an_all_day_occurrence(events: dict[str, RemoteEvent]) -> None:
    assert events["20260305"].original_start == "2026-03-05"


def test_start_and_end_in_different_zones(events: dict[str, RemoteEvent]) -> None:
    event = events["8"]
    assert (event.start_at, event.end_at) == (utc(2026, 3, 6, 9, 50), utc(2026, 3, 6, 18, 40))
    assert event.time_zone == "Europe/Berlin"
    assert event.details["end_time_zone"] == "America/New_York"
    assert event.details["private_copy"]
    assert event.details["locked"]
    assert event.event_type == "fromGmail"


def test_an_unspecified_end_is_marked(events: dict[str, RemoteEvent]) -> None:
    assert events["9"].end_at == utc(2026, 3, 7, 20)
    assert events["9"].details["end_time_unspecified"]


def test_an_unknown_zone_is_noted(events: dict[str, RemoteEvent]) -> None:
    event = events["g"]
    assert event.start_at == utc(2026, 3, 16, 9)
    assert event.time_zone == "UTC"
    assert event.details["unknown_time_zone"] == "Berlin Standard Nonsense"


def test_across_a_clock_change(events: dict[str, RemoteEvent]) -> None:
    assert events["i"].end_at - events["i"].start_at == utc(2026, 1, 1, 1) - utc(2026, 1, 1)


@pytest.mark.parametrize(
    "name", ["", "Mars/Olympus", "../../etc/passwd", "Europe", "/etc", "\0", "x" * 99]
)
def test_midnights_of_a_calendar_with_an_unknown_zone_are_utc(name: str) -> None:
    page = page_of([item(start={"date": "2026-03-02"}, end={"date": "2026-03-03"})], timeZone=name)
    [event], _ = page.read(page.versions)
    assert (event.start_at, event.time_zone) == (utc(2026, 3, 2), "UTC")
    assert event.details.get("unknown_time_zone", "") == name.replace("\0", "")[:64]


@pytest.mark.parametrize(
    ("start", "end", "start_at", "end_at"),
    [
        # without an offset: the zone that is named, else the calendar's
        (
            {"dateTime": "2026-07-01T10:00:00", "timeZone": "America/New_York"},
            {"dateTime": "2026-07-01T11:00:00", "timeZone": "America/New_York"},
            utc(2026, 7, 1, 14),
            utc(2026, 7, 1, 15),
        ),
        (
            {"dateTime": "2026-07-01T10:00:00"},
            {"dateTime": "2026-07-01T10:00:00"},
            utc(2026, 7, 1, 8),
            utc(2026, 7, 1, 8),
        ),
        # without an end
        ({"dateTime": "2026-07-01T10:00:00Z"}, None, utc(2026, 7, 1, 10), utc(2026, 7, 1, 10)),
        ({"date": "2026-07-01"}, None, utc(2026, 6, 30, 22), utc(2026, 7, 1, 22)),
        # a day that ends when it starts lasts the day
        ({"date": "2026-07-01"}, {"date": "2026-07-01"}, utc(2026, 6, 30, 22), utc(2026, 7, 1, 22)),
        # a day without its first hour: Cairo puts its clocks forward at midnight
        (
            {"dateTime": "1000-01-01T00:00:00Z"},
            {"dateTime": "2999-01-01T00:00:00Z"},
            utc(1000, 1, 1),
            utc(2999, 1, 1),
        ),
    ],
)
def test_times_with_a_sane_reading(
    start: dict[str, str], end: dict[str, str] | None, start_at: datetime, end_at: datetime
) -> None:
    event = only(start=start, end=end)
    assert (event.start_at, event.end_at) == (start_at, end_at)
    assert event.details.get("end_time_unspecified", False) is (end is None)


def test_a_midnight_that_does_not_exist() -> None:
    page = page_of(
        [item(start={"date": "2026-04-24"}, end={"date": "2026-04-25"})], timeZone="Africa/Cairo"
    )
    [event], _ = page.read(page.versions)
    assert event.start_at < event.end_at
    assert (event.start_date, event.end_date) == (date(2026, 4, 24), date(2026, 4, 25))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"start": None}, "it has no start"),
        ({"start": {}}, "its start is neither a date nor a time"),
        ({"end": {"date": "2026-03-03"}}, "it starts at a time and ends on a date"),
        ({"start": {"date": "2026-03-02"}}, "it starts on a date and ends at a time"),
        ({"end": {"dateTime": "2026-03-02T09:59:59+01:00"}}, "it ends before it starts"),
        ({"start": {"date": "2026-03-02"}, "end": {"date": "2026-03-01"}}, "it ends before it"),
        ({"start": {"dateTime": "0001-01-01T00:00:00+14:00"}}, "outside of the years"),
        ({"end": {"dateTime": "9999-12-31T23:59:59-12:00"}}, "outside of the years"),
        ({"start": {"date": "9999-12-31"}, "end": None}, "outside of the years"),
        ({"start": {"date": "0001-01-01"}, "end": {"date": "0001-01-02"}}, "outside of the years"),
        ({"start": {"dateTime": "0000-01-01T00:00:00Z"}}, "$.start.dateTime"),
        ({"start": {"dateTime": "10000-01-01T00:00:00Z"}}, "$.start.dateTime"),
        ({"start": {"date": "2026-02-30"}}, "$.start.date"),
        ({"start": "tomorrow"}, "$.start"),
        ({"summary": {"text": "x"}}, "$.summary"),
        ({"attendees": "all"}, "$.attendees"),
        ({"recurringEventId": "s", "originalStartTime": {"dateTime": "9999-12-31T23:00:00-05:00"}},
         "outside of the years"),
    ],
)  # fmt: skip
def test_a_malformed_event_is_alone(changes: dict[str, Any], why: str) -> None:
    assert why in reason(**changes)
