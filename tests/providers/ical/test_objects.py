"""Objects: masters, changed occurrences, exceptions, and what the window has of them."""

from __future__ import annotations

from datetime import date

import pytest

from providers.ical.reader import occurrence_id, split_id
from tests.providers.ical.texts import event, good, only, reason, starts, utc

BERLIN = "DTSTART;TZID=Europe/Berlin:20260302T100000"
DAILY = "RRULE:FREQ=DAILY;COUNT=4"
HOUR = "DURATION:PT1H"


def days(*lines: str, parts: tuple[str, ...] = ()) -> list[int]:
    """Days in March 2026 on which a daily series of four, from the second on, still occurs."""
    found = good(event(BERLIN, HOUR, DAILY, *lines), *parts)
    return sorted(item.start_at.day for item in found.events if item.status != "cancelled")


def test_a_single_event_has_the_objects_id() -> None:
    found = good(event(BERLIN, HOUR))
    [single] = found.events
    assert (single.id, single.series_id, single.original_start) == ("object", "", "")
    assert (single.start_at, single.end_at) == (utc(2026, 3, 2, 9), utc(2026, 3, 2, 10))
    assert (found.starts_at, found.ends_at) == (single.start_at, single.end_at)
    assert single.time_zone == "Europe/Berlin"


def test_an_occurrence_is_known_by_its_original_start() -> None:
    found = good(event(BERLIN, HOUR, DAILY))
    first = found.events[0]
    assert (first.id, first.series_id) == ("object#20260302T090000Z", "object")
    assert first.original_start == "2026-03-02T09:00:00Z"
    assert len({item.id for item in found.events}) == 4


def test_an_all_day_occurrence() -> None:
    found = good(event("DTSTART;VALUE=DATE:20260302", "RRULE:FREQ=DAILY;UNTIL=20260303T000000Z"))
    assert [item.id for item in found.events] == ["object#20260302", "object#20260303"]
    assert found.events[0].end_date == date(2026, 3, 3)
    assert found.events[0].details["end_time_unspecified"]


@pytest.mark.parametrize("key", [utc(2026, 3, 2, 9), date(2026, 3, 2)])
def test_ids_can_be_taken_apart(key) -> None:
    assert split_id(occurrence_id("a#b", key)) == ("a#b", key)
    assert split_id("a#b") == ("a#b", None)
    assert split_id("a#20261399") == ("a#20261399", None)


@pytest.mark.parametrize(
    "line",
    [
        "EXDATE;TZID=Europe/Berlin:20260303T100000",
        "EXDATE:20260303T090000Z",
        "EXDATE;TZID=America/New_York:20260303T040000",
        "EXDATE;VALUE=DATE:20260303",
        "EXDATE:20260303",
        "EXDATE:20260303T100000",
        "EXRULE:FREQ=DAILY;INTERVAL=1;BYMONTHDAY=3",
    ],
)
def test_an_exception_however_it_is_written(line: str) -> None:
    more = [2] if line.startswith("EXRULE") else []  # DTSTART is an EXRULE's first as well
    assert days(line) == [day for day in (2, 4, 5) if day not in more]


def test_an_exception_of_an_all_day_series_written_as_a_time() -> None:
    line = "EXDATE;TZID=Europe/Berlin:20260303T000000"
    found = good(event("DTSTART;VALUE=DATE:20260302", DAILY, line))
    assert [item.start_date.day for item in found.events if item.start_date] == [2, 4, 5]


def test_more_dates() -> None:
    period = "RDATE;VALUE=PERIOD:20260320T080000Z/PT3H,20260321T080000Z/20260321T100000Z"
    found = good(event(BERLIN, HOUR, "RDATE;VALUE=DATE:20260310", period))
    assert [(item.start_at, item.end_at) for item in found.events] == [
        (utc(2026, 3, 10, 9), utc(2026, 3, 10, 10)),
        (utc(2026, 3, 20, 8), utc(2026, 3, 20, 11)),
        (utc(2026, 3, 21, 8), utc(2026, 3, 21, 10)),
        (utc(2026, 3, 2, 9), utc(2026, 3, 2, 10)),
    ]


def test_a_moved_occurrence() -> None:
    override = event("RECURRENCE-ID:20260303T090000Z", "DTSTART:20260309T120000Z", "SUMMARY:moved")
    assert days(parts=(override,)) == [2, 4, 5, 9]
    found = good(event(BERLIN, HOUR, DAILY), override)
    [moved] = [item for item in found.events if item.title == "moved"]
    assert moved.id == "object#20260303T090000Z"


@pytest.mark.parametrize("value", [";VALUE=DATE:20260303", ":20260303T100000"])
def test_a_recurrence_id_of_another_type(value: str) -> None:
    override = event(f"RECURRENCE-ID{value}", "DTSTART:20260309T120000Z")
    assert days(parts=(override,)) == [2, 4, 5, 9]


def test_a_cancelled_occurrence_without_times() -> None:
    found = good(
        event(BERLIN, HOUR, DAILY), event("RECURRENCE-ID:20260303T090000Z", "STATUS:CANCELLED")
    )
    [gone] = [item for item in found.events if item.status == "cancelled"]
    assert (gone.start_at, gone.busy) == (utc(2026, 3, 3, 9), False)
    assert len(found.events) == 4


def test_into_the_window_and_out_of_it() -> None:
    master = event("DTSTART:20251230T090000Z", HOUR, DAILY)
    into = event("RECURRENCE-ID:20251230T090000Z", "DTSTART:20260601T090000Z")
    out = event("RECURRENCE-ID:20260101T090000Z", "DTSTART:20251201T090000Z")
    found = good(master, into, out)
    assert starts(found) == [utc(2026, 1, 2, 9), utc(2026, 6, 1, 9)]
    assert found.starts_at == utc(2025, 12, 1, 9)


def test_this_and_all_after() -> None:
    override = event(
        "RECURRENCE-ID;RANGE=THISANDFUTURE:20260303T090000Z",
        "DTSTART;TZID=Europe/Berlin:20260303T140000",
        "DURATION:PT2H",
        "SUMMARY:later",
    )
    single = event("RECURRENCE-ID:20260305T090000Z", "DTSTART:20260305T200000Z")
    found = good(event(BERLIN, HOUR, DAILY), override, single)
    hours = {item.id[-9:]: (item.start_at.hour, item.title) for item in found.events}
    assert sorted(hours.values()) == [(9, ""), (13, "later"), (13, "later"), (20, "")]
    assert [item.details.get("range") for item in found.events].count("this_and_future") == 1


def test_all_after_follow_the_clock_into_summer() -> None:
    master = event(BERLIN, HOUR, "RRULE:FREQ=MONTHLY;COUNT=3")
    override = event(
        "RECURRENCE-ID;RANGE=THISANDFUTURE:20260302T090000Z",
        "DTSTART;TZID=Europe/Berlin:20260302T140000",
    )
    assert [at.hour for at in starts(good(master, override))] == [13, 12, 12]


def test_occurrences_of_somebody_elses_series() -> None:
    found = good(
        event("RECURRENCE-ID:20260303T090000Z", "DTSTART:20260303T120000Z"),
        event("RECURRENCE-ID;VALUE=DATE:20260304", "DTSTART;VALUE=DATE:20260305"),
    )
    assert [item.id for item in found.events] == ["object#20260303T090000Z", "object#20260304"]
    assert {item.series_id for item in found.events} == {"object"}


@pytest.mark.parametrize(
    ("rule", "end"),
    [
        ("FREQ=DAILY", None),
        ("FREQ=DAILY;COUNT=4", utc(2026, 3, 6, 10)),
        ("FREQ=DAILY;UNTIL=20260305T090000Z", utc(2026, 3, 6, 10)),
        ("FREQ=YEARLY;COUNT=50", None),
    ],
)
def test_the_span_of_a_series(rule: str, end) -> None:
    found = good(event(BERLIN, HOUR, f"RRULE:{rule}"))
    assert found.starts_at == utc(2026, 3, 2, 9)
    assert found.ends_at == end  # a day of room is kept for what lasts by the calendar


@pytest.mark.parametrize(
    "until", ["20260304T090000Z", "20260304T100000", "20260304", "20260304T235959Z"]
)
def test_an_end_of_the_rule_of_any_type(until: str) -> None:
    found = good(event(BERLIN, HOUR, f"RRULE:FREQ=DAILY;UNTIL={until}"))
    assert [at.day for at in starts(found)] == [2, 3, 4]


def test_a_start_outside_of_its_rule_counts() -> None:
    found = good(event(BERLIN, HOUR, "RRULE:FREQ=WEEKLY;BYDAY=TU;COUNT=2"))
    assert [at.day for at in starts(found)] == [2, 3]


def test_lengths_by_the_clock_and_by_the_calendar() -> None:
    # The clocks go forward in the night to the 29th.
    start, rule = "DTSTART;TZID=Europe/Berlin:20260327T120000", "RRULE:FREQ=DAILY;COUNT=2"
    exact = good(event(start, "DTEND;TZID=Europe/Berlin:20260328T120000", rule)).events
    nominal = good(event(start, "DURATION:P1D", rule)).events
    assert [item.end_at.hour for item in exact] == [11, 11]
    assert [item.end_at.hour for item in nominal] == [11, 10]


def test_occurrences_that_the_clocks_skip_or_repeat() -> None:
    spring = good(event("DTSTART;TZID=Europe/Berlin:20260328T023000", "RRULE:FREQ=DAILY;COUNT=2"))
    assert starts(spring) == [utc(2026, 3, 28, 1, 30), utc(2026, 3, 29, 1, 30)]
    autumn = good(event("DTSTART;TZID=Europe/Berlin:20261024T023000", "RRULE:FREQ=DAILY;COUNT=2"))
    assert starts(autumn) == [utc(2026, 10, 24, 0, 30), utc(2026, 10, 25, 0, 30)]


def test_hours_that_meet_where_the_clocks_go_forward_are_one() -> None:
    start = "DTSTART;TZID=Europe/Berlin:20260329T013000"
    found = good(event(start, "RRULE:FREQ=HOURLY;COUNT=4"))
    assert [at.hour for at in starts(found)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        ((), "no start"),
        (("DTSTART:soon",), "none"),
        (("DTSTART:20260230T000000Z",), "does not exist"),
        (("DTSTART:18991231T000000Z",), "1900"),
        (("DTSTART:99990101T000000Z",), "9998"),
        ((BERLIN, "DTEND;TZID=Europe/Berlin:20260302T090000"), "ends before"),
        ((BERLIN, "DURATION:-PT1H"), "ends before"),
        ((BERLIN, "DURATION:PT"), "duration"),
        ((BERLIN, "DURATION:P99999D"), "century"),
        ((BERLIN, "DTEND;VALUE=DATE:20260303"), "on a date"),
        (("DTSTART;VALUE=DATE:20260302", "DTEND:20260303T000000Z"), "at a time"),
        (("DTSTART;VALUE=DATE:20260302", "RRULE:FREQ=HOURLY"), "frequency"),
    ],
)
def test_what_has_no_sane_reading(lines: tuple[str, ...], word: str) -> None:
    assert word in reason(event(*lines, "SUMMARY:canary"))
    assert "canary" not in reason(event(*lines, "SUMMARY:canary"))


def test_an_event_without_its_end_is_invalid() -> None:
    broken = event(BERLIN).replace("\r\nEND:VEVENT", "")
    assert reason(broken, event(BERLIN, uid="two")) == "it has no end"


def test_an_event_of_no_length() -> None:
    found = only(BERLIN)
    assert found.start_at == found.end_at
    assert found.details["end_time_unspecified"]


@pytest.mark.timeout(20)
def test_many_changes_of_all_that_follows() -> None:
    changes = [
        event(f"RECURRENCE-ID;RANGE=THISANDFUTURE:202603{day:02d}T{hour:02d}0000Z", BERLIN)
        for day in range(1, 29)
        for hour in (9, 10)
    ]
    assert "too often" in reason(event(BERLIN, DAILY), *changes)
    many = [event(f"RECURRENCE-ID:2026030{n % 9 + 1}T090000Z", BERLIN) for n in range(2001)]
    assert "too many changed" in reason(event(BERLIN, DAILY), *many)
