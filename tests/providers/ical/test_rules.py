"""Rules: what they come to, compared with an engine that begins at the beginning; hostile ones."""

from __future__ import annotations

from datetime import datetime
from itertools import islice, takewhile

import pytest
from dateutil.rrule import rrulestr
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from providers.base import InvalidEvent
from providers.ical.expansion import Budget, occurrences
from providers.ical.rules import read_rule
from tests.providers.ical.texts import event, good, read, reason, starts, utc

LAST = datetime(2027, 1, 1)
_OLD = "DTSTART:19000101T090000Z"


def numbers(low: int, high: int) -> st.SearchStrategy[str]:
    return st.lists(st.integers(low, high), min_size=1, max_size=4).map(
        lambda found: ",".join(str(number) for number in found)
    )


WEEKDAYS = st.lists(st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"]), min_size=1)


@st.composite
def rules(draw: st.DrawFn) -> str:
    """Rules that can be met: the reference would look for others until the year 9999."""
    frequency = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    parts = [f"FREQ={frequency}", f"INTERVAL={draw(st.integers(1, 4))}"]
    optional = st.booleans()
    if frequency in {"MONTHLY", "YEARLY"} and draw(optional):
        # All with a number or none: the reference does not know a mixture.
        number = draw(st.sampled_from(["", "1", "2", "-1"]))
        parts.append("BYDAY=" + ",".join(number + day for day in draw(WEEKDAYS)))
    elif draw(optional):
        parts.append("BYDAY=" + ",".join(draw(WEEKDAYS)))
    elif frequency == "YEARLY" and draw(optional):
        parts.append("BYYEARDAY=" + draw(numbers(1, 366)))
    elif frequency != "WEEKLY" and draw(optional):
        parts.append("BYMONTHDAY=" + draw(numbers(-28, -1) | numbers(1, 28)))
    if frequency == "YEARLY" and draw(optional):
        parts.append("BYMONTH=" + draw(numbers(1, 12)))
        assume("BYYEARDAY" not in str(parts))
    if draw(optional):
        parts.append("BYHOUR=" + draw(numbers(0, 23)))
    # The reference counts the positions of a first week from DTSTART on.
    if len(parts) > 2 and frequency != "WEEKLY" and draw(optional):
        parts.append("BYSETPOS=" + draw(st.sampled_from(["1", "-1", "1,-1"])))
    if draw(optional):
        parts.append("WKST=SU")
    return ";".join(parts)


STARTS = st.datetimes(datetime(2018, 1, 1), datetime(2025, 12, 28)).map(
    lambda at: at.replace(minute=0, second=0, microsecond=0)
)


@pytest.mark.timeout(120)
@settings(max_examples=60, deadline=None)
@given(rules(), STARTS, st.none() | st.integers(1, 40), st.datetimes(datetime(2018, 1, 1), LAST))
def test_as_if_from_the_beginning(
    text: str, start: datetime, count: int | None, first: datetime
) -> None:
    whole = takewhile(lambda at: at <= LAST, rrulestr(text, dtstart=start))
    expected = sorted({start, *whole})[:count]
    rule = read_rule(text + (f";COUNT={count}" if count else ""), start, all_day=False)
    found = list(occurrences(rule, start, first, LAST, Budget(steps=10**7)))
    assert found == [at for at in expected if at >= first]


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", ["20260213", "20260313", "20261113"]),
        ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", ["20260511"]),
        # Only the weekday is missing, and DTSTART's is Thursday.
        ("FREQ=YEARLY;BYWEEKNO=20", ["20260514"]),
        ("FREQ=YEARLY;BYWEEKNO=-1", ["20261231"]),
        ("FREQ=YEARLY;BYMONTH=1;BYDAY=2SU,MO;BYSETPOS=1", ["20260105"]),
        ("FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30", []),
        ("FREQ=YEARLY;BYDAY=20MO", ["20260518"]),
        ("FREQ=YEARLY;BYDAY=-1MO", ["20261228"]),
    ],
)
def test_days_of_2026(text: str, days: list[str]) -> None:
    found = good(event("DTSTART:20260101T090000Z", f"RRULE:{text}"))
    assert [f"{at:%Y%m%d}" for at in starts(found)] == sorted({"20260101", *days})


def test_hours_are_entered_where_the_window_begins() -> None:
    found = good(event("DTSTART:19000101T093000Z", "RRULE:FREQ=HOURLY;INTERVAL=700"))
    first = starts(found)[0]
    assert (first - utc(1900, 1, 1, 9, 30)).total_seconds() % (700 * 3600) == 0
    assert utc(2026, 1, 1) <= first < utc(2026, 2, 1)


HOSTILE = {
    "FREQ=DAILY;INTERVAL=0": "interval below one",
    "FREQ=DAILY;INTERVAL=-1": "interval below one",
    "FREQ=DAILY;INTERVAL=" + "9" * 4000: "no number",
    "FREQ=DAILY;INTERVAL=\u0663": "no number",
    "FREQ=SECONDLY": "more often than every hour",
    "FREQ=MINUTELY;COUNT=3": "more often than every hour",
    "FREQ=HOURLY": "more often than is kept",
    "FREQ=HOURLY;COUNT=100000": "takes too long",
    "FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30;COUNT=2": "takes too long",
    "FREQ=DAILY;COUNT=100000000": "count",
    "FREQ=DAILY;COUNT=0": "count",
    "FREQ=FORTNIGHTLY": "no frequency",
    "FREQ=DAILY;FREQ=DAILY": "malformed",
    "INTERVAL=2": "no frequency",
    "FREQ=YEARLY;BYMONTH=13": "BYMONTH that is out of range",
    "FREQ=YEARLY;BYDAY=54MO": "BYDAY that is out of range",
    "FREQ=YEARLY;BYDAY=XX": "no weekday",
    "FREQ=YEARLY;BYMONTH=" + ",".join(["1"] * 400): "lists more in BYMONTH",
    "FREQ=DAILY;BYSECOND=" + ",".join(["1"] * 3000): "too long",
    "FREQ=DAILY;BYMINUTE=" + ",".join(map(str, range(60))) + ";BYHOUR=1,2,3,4,5": "five minutes",
    "FREQ=DAILY;UNTIL=tomorrow": "end that is no date",
    "FREQ=DAILY;RSCALE=CHINESE": "calendar that is not known",
    "FREQ=DAILY;WKST=8": "first day of the week",
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("rule", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_rule_is_refused(rule: str) -> None:
    assert HOSTILE[rule] in reason(event(_OLD, f"RRULE:{rule}"))


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30;COUNT=2",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=2",
        "FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=WEEKLY;BYMONTH=2;BYMONTHDAY=30;INTERVAL=1",
    ],
)
def test_an_impossible_rule_leaves_the_start_alone(rule: str) -> None:
    found = good(event(_OLD, f"RRULE:{rule}"))
    assert found.events == ()
    assert found.starts_at == utc(1900, 1, 1, 9)


@pytest.mark.timeout(20)
def test_many_rules_and_dates() -> None:
    rule_lines = [f"RRULE:FREQ=YEARLY;INTERVAL={number + 1}" for number in range(5)]
    assert "too many rules" in reason(event(_OLD, *rule_lines))
    dates = ",".join(f"2026{n % 12 + 1:02d}{n % 28 + 1:02d}T{n % 24:02d}0000Z" for n in range(9000))
    for name in ("RDATE", "EXDATE"):
        assert "too many dates" in reason(event(_OLD, "RRULE:FREQ=YEARLY", f"{name}:{dates}"))


WORDS = st.sampled_from(
    ["FREQ=", "DAILY", "HOURLY", ";", "=", ",", "BYDAY=", "-1MO", "COUNT=", "UNTIL=", "INTERVAL=",
     "BYSETPOS=", "BYHOUR=", "WKST=", "0", "1", "-5", "99", "20260101", "T000000Z", "\u0661"]
)  # fmt: skip


@pytest.mark.timeout(120)
@settings(max_examples=150, deadline=None)
@given(st.lists(WORDS, max_size=25).map("".join))
def test_any_rule_ends(text: str) -> None:
    found = read(event("DTSTART:20200229T233000Z", f"RRULE:FREQ=MONTHLY;{text}"))
    if isinstance(found, InvalidEvent):
        assert found.reason
    else:
        assert len(list(islice(found.events, 3000))) <= 2000
