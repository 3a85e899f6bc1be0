"""Rules of RFC 5545 and Graph's patterns, each as the other; and what the latter cannot say."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import pytest

from providers.errors import UnsupportedRecurrence
from providers.microsoft.recurrence import lines_of, pattern_of
from providers.microsoft.wire import Recurrence

BERLIN = "W. Europe Standard Time"
# A Tuesday, the second of its month.
START = datetime.fromisoformat("2026-03-10T10:00")


def pattern(rule: str, start: datetime = START) -> dict[str, Any]:
    return pattern_of((f"RRULE:{rule}",), start=start, time_zone=BERLIN)


def back(found: dict[str, Any]) -> str:
    [line] = lines_of(msgspec.convert(found, Recurrence))
    return line.removeprefix("RRULE:")


@pytest.mark.parametrize(
    ("rule", "expected", "again"),
    [
        ("FREQ=DAILY", {"type": "daily", "interval": 1}, "FREQ=DAILY"),
        ("FREQ=DAILY;INTERVAL=3", {"type": "daily", "interval": 3}, "FREQ=DAILY;INTERVAL=3"),
        ("FREQ=DAILY;BYDAY=MO,TU",
         {"type": "weekly", "interval": 1, "daysOfWeek": ["monday", "tuesday"],
          "firstDayOfWeek": "monday"},
         "FREQ=WEEKLY;BYDAY=MO,TU;WKST=MO"),
        ("freq=weekly;interval=2;byday=tu,th;wkst=su",
         {"type": "weekly", "interval": 2, "daysOfWeek": ["tuesday", "thursday"],
          "firstDayOfWeek": "sunday"},
         "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,TH;WKST=SU"),
        ("FREQ=WEEKLY",
         {"type": "weekly", "interval": 1, "daysOfWeek": ["tuesday"], "firstDayOfWeek": "monday"},
         "FREQ=WEEKLY;BYDAY=TU;WKST=MO"),
        ("FREQ=MONTHLY", {"type": "absoluteMonthly", "interval": 1, "dayOfMonth": 10},
         "FREQ=MONTHLY;BYMONTHDAY=10"),
        ("FREQ=MONTHLY;BYMONTHDAY=10", {"type": "absoluteMonthly", "interval": 1, "dayOfMonth": 10},
         "FREQ=MONTHLY;BYMONTHDAY=10"),
        ("FREQ=MONTHLY;BYDAY=2TU",
         {"type": "relativeMonthly", "interval": 1, "daysOfWeek": ["tuesday"], "index": "second"},
         "FREQ=MONTHLY;BYDAY=2TU"),
        ("FREQ=MONTHLY;BYDAY=TU;BYSETPOS=2",
         {"type": "relativeMonthly", "interval": 1, "daysOfWeek": ["tuesday"], "index": "second"},
         "FREQ=MONTHLY;BYDAY=2TU"),
        ("FREQ=YEARLY;INTERVAL=2",
         {"type": "absoluteYearly", "interval": 2, "month": 3, "dayOfMonth": 10},
         "FREQ=YEARLY;INTERVAL=2;BYMONTH=3;BYMONTHDAY=10"),
        ("FREQ=YEARLY;BYMONTH=3;BYDAY=+2TU",
         {"type": "relativeYearly", "interval": 1, "month": 3, "daysOfWeek": ["tuesday"],
          "index": "second"},
         "FREQ=YEARLY;BYMONTH=3;BYDAY=2TU"),
    ],
)  # fmt: skip
def test_rules_and_patterns(rule: str, expected: dict[str, Any], again: str) -> None:
    found = pattern(rule)
    assert found["pattern"] == expected
    assert found["range"] == {
        "type": "noEnd", "startDate": "2026-03-10", "recurrenceTimeZone": BERLIN
    }  # fmt: skip
    assert back(found) == again
    assert pattern(again)["pattern"] == found["pattern"]


def test_the_last_of_several_weekdays() -> None:
    last = datetime.fromisoformat("2026-03-31T10:00")
    found = pattern("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", last)
    assert found["pattern"]["index"] == "last"
    assert back(found) == "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1"
    assert back(pattern("FREQ=MONTHLY;BYDAY=-1TU", last)) == "FREQ=MONTHLY;BYDAY=-1TU"
    assert pattern("FREQ=YEARLY;BYMONTHDAY=31", last)["pattern"]["dayOfMonth"] == 31


@pytest.mark.parametrize(
    ("end", "expected", "again"),
    [
        ("COUNT=5", {"type": "numbered", "numberOfOccurrences": 5}, "COUNT=5"),
        # The last second of a day in Berlin, in UTC.
        ("UNTIL=20260401", {"type": "endDate", "endDate": "2026-04-01"}, "UNTIL=20260401T215959Z"),
        ("UNTIL=20260401T080000Z", {"type": "endDate", "endDate": "2026-04-01"},
         "UNTIL=20260401T215959Z"),
        ("UNTIL=20260401T075959Z", {"type": "endDate", "endDate": "2026-03-31"},
         "UNTIL=20260331T215959Z"),
        ("UNTIL=20260320T230000Z", {"type": "endDate", "endDate": "2026-03-20"},
         "UNTIL=20260320T225959Z"),
        ("UNTIL=20260401T100000", {"type": "endDate", "endDate": "2026-04-01"},
         "UNTIL=20260401T215959Z"),
    ],
)  # fmt: skip
def test_ends(end: str, expected: dict[str, Any], again: str) -> None:
    found = pattern(f"FREQ=DAILY;{end}")
    assert expected.items() <= found["range"].items()
    assert back(found) == f"FREQ=DAILY;{again}"


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("FREQ=HOURLY", "days, weeks, months and years"),
        ("INTERVAL=2", "days, weeks, months and years"),
        ("FREQ=DAILY;BYHOUR=9", "BYHOUR"),
        ("FREQ=YEARLY;BYWEEKNO=20", "BYWEEKNO"),
        ("FREQ=DAILY;INTERVAL=0", "one INTERVAL"),
        ("FREQ=DAILY;COUNT=0", "one COUNT"),
        ("FREQ=DAILY;COUNT=5;UNTIL=20260401", "not both"),
        ("FREQ=DAILY;FREQ=DAILY", "cannot be read"),
        ("FREQ=DAILY;UNTIL=soon", "UNTIL cannot be read"),
        ("FREQ=DAILY;UNTIL=20261399", "UNTIL cannot be read"),
        ("FREQ=DAILY;UNTIL=20260301", "ends before"),
        ("FREQ=DAILY;INTERVAL=2;BYDAY=TU", "not both"),
        ("FREQ=DAILY;BYMONTH=3", "BYMONTH"),
        ("FREQ=WEEKLY;BYDAY=2TU", "numbered weekdays"),
        ("FREQ=WEEKLY;BYDAY=XX", "BYDAY cannot be read"),
        ("FREQ=WEEKLY;WKST=XX", "WKST"),
        ("FREQ=WEEKLY;BYDAY=MO,WE", "does not start"),
        ("FREQ=MONTHLY;BYMONTHDAY=1,15", "one BYMONTHDAY"),
        ("FREQ=MONTHLY;BYMONTHDAY=-1", "one BYMONTHDAY"),
        ("FREQ=MONTHLY;BYMONTHDAY=11", "does not start"),
        ("FREQ=MONTHLY;BYDAY=TU", "first, second"),
        ("FREQ=MONTHLY;BYDAY=5TU", "first, second"),
        ("FREQ=MONTHLY;BYDAY=2TU,3WE", "first, second"),
        ("FREQ=MONTHLY;BYDAY=2TU;BYSETPOS=1", "first, second"),
        ("FREQ=MONTHLY;BYDAY=TU,WE;BYSETPOS=1,2", "one BYSETPOS"),
        ("FREQ=MONTHLY;BYDAY=1TU", "does not start"),
        ("FREQ=MONTHLY;BYDAY=2TU;BYMONTHDAY=10", "BYMONTHDAY"),
        ("FREQ=MONTHLY;BYSETPOS=2", "BYSETPOS"),
        ("FREQ=YEARLY;BYDAY=2TU", "BYMONTH"),
        ("FREQ=YEARLY;BYMONTH=4", "does not start"),
        ("FREQ=YEARLY;BYMONTH=3,4", "one BYMONTH"),
    ],
)
def test_what_a_pattern_cannot_say(rule: str, why: str) -> None:
    with pytest.raises(UnsupportedRecurrence, match=why):
        pattern(rule)


@pytest.mark.parametrize(
    ("rule", "start"),
    [
        ("FREQ=MONTHLY", datetime.fromisoformat("2026-01-31T10:00")),
        ("FREQ=MONTHLY;BYMONTHDAY=29", datetime.fromisoformat("2026-03-29T10:00")),
        ("FREQ=YEARLY", datetime.fromisoformat("2028-02-29T10:00")),
    ],
)
def test_days_that_outlook_moves(rule: str, start: datetime) -> None:
    with pytest.raises(UnsupportedRecurrence, match="moves"):
        pattern(rule, start)


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("EXDATE:20260311T100000",),
        ("RRULE:FREQ=DAILY", "EXDATE:20260311T100000"),
        ("RRULE:FREQ=DAILY", "RRULE:FREQ=WEEKLY"),
    ],
)
def test_only_one_rule(lines: tuple[str, ...]) -> None:
    with pytest.raises(UnsupportedRecurrence, match="one RRULE"):
        pattern_of(lines, start=START, time_zone=BERLIN)
