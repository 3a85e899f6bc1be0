"""Recurrence rules: read with suspicion (RFC 5545 section 3.3.10).

A rule comes from anybody who can send an invitation. What is refused here cannot keep a process
busy: frequencies below an hour, intervals below one, lists longer than their range of values.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import NamedTuple

from providers.ical.values import Moment, Unreadable, moment

MOST_COUNT = 100_000
_MOST_INTERVAL = 100_000
_MOST_LENGTH = 4096
_WEEKDAYS = {"MO": 0, "TU": 1, "WE": 2, "TH": 3, "FR": 4, "SA": 5, "SU": 6}
_FREQUENCIES = frozenset({"HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"})
_DAY_PARTS = ("BYWEEKNO", "BYYEARDAY", "BYMONTHDAY", "BYDAY")


class Part(NamedTuple):
    """Which numbers a BY part takes, and whether they may count from the end."""

    lowest: int
    highest: int
    signed: bool


_PARTS = {
    "BYMONTH": Part(1, 12, signed=False),
    "BYWEEKNO": Part(1, 53, signed=True),
    "BYYEARDAY": Part(1, 366, signed=True),
    "BYMONTHDAY": Part(1, 31, signed=True),
    "BYHOUR": Part(0, 23, signed=False),
    "BYMINUTE": Part(0, 59, signed=False),
    "BYSECOND": Part(0, 60, signed=False),
    "BYSETPOS": Part(1, 366, signed=True),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule with everything that DTSTART says about it filled in: times of day, the weekday of a
    weekly one, the day of a monthly one.

    `weekdays` are 0 (Monday) to 6; `nth` are (n, weekday) with n counted in the month, or in the
    year. `until` is as it is written.
    """

    frequency: str
    interval: int
    count: int | None
    until: Moment | None
    week_start: int
    months: frozenset[int]
    week_numbers: frozenset[int]
    year_days: frozenset[int]
    month_days: frozenset[int]
    weekdays: frozenset[int]
    nth: frozenset[tuple[int, int]]
    hours: tuple[int, ...]
    times: tuple[dt.time, ...]
    positions: tuple[int, ...]


def read_rule(text: str, start: dt.datetime, *, all_day: bool) -> Rule:
    """The rule of an event that starts at this local time. Raises Unreadable."""
    said = _said(text)
    frequency = said.get("FREQ", "").upper()
    if frequency in {"SECONDLY", "MINUTELY"}:
        raise Unreadable("its rule repeats it more often than every hour")
    if frequency not in _FREQUENCIES or (all_day and frequency == "HOURLY"):
        raise Unreadable("its rule has no frequency that it could have")
    numbers = {name: _numbers(said.get(name, ""), name, part) for name, part in _PARTS.items()}
    weekdays, nth = _weekdays(said.get("BYDAY", ""), frequency)
    months, month_days = set(numbers["BYMONTH"]), set(numbers["BYMONTHDAY"])
    # "Information, not contained in the rule, […] are derived from DTSTART".
    if not any(said.get(name) for name in _DAY_PARTS):
        if frequency == "WEEKLY":
            weekdays = {start.weekday()}
        elif frequency in {"MONTHLY", "YEARLY"}:
            month_days = {start.day}
            months = months or ({start.month} if frequency == "YEARLY" else set())
    elif said.get("BYWEEKNO") and not any(said.get(name) for name in _DAY_PARTS[1:]):
        weekdays = {start.weekday()}
    hours = set(numbers["BYHOUR"])
    return Rule(
        frequency=frequency,
        interval=_interval(said.get("INTERVAL", "1")),
        count=_count(said["COUNT"]) if "COUNT" in said else None,
        until=_until(said["UNTIL"]) if "UNTIL" in said else None,
        week_start=_week_start(said.get("WKST", "MO")),
        months=frozenset(months),
        week_numbers=frozenset(numbers["BYWEEKNO"]),
        year_days=frozenset(numbers["BYYEARDAY"]),
        month_days=frozenset(month_days),
        weekdays=frozenset(weekdays),
        nth=frozenset(nth),
        hours=tuple(sorted(hours)),
        times=_times(numbers, start, frequency, all_day=all_day),
        positions=tuple(sorted(set(numbers["BYSETPOS"]))),
    )


def _said(text: str) -> dict[str, str]:
    if len(text) > _MOST_LENGTH:
        raise Unreadable("its rule is too long")
    said: dict[str, str] = {}
    for part in text.strip().rstrip(";").split(";"):
        name, equals, value = part.partition("=")
        name = name.strip().upper()
        if not equals or name in said:
            raise Unreadable("its rule is malformed")
        if name == "RSCALE" and value.strip().upper() != "GREGORIAN":
            raise Unreadable("its rule counts in a calendar that is not known here")
        said[name] = value.strip()
    return said


def _interval(text: str) -> int:
    interval = _number(text, "an interval")
    if interval < 1:
        raise Unreadable("its rule has an interval below one")
    return min(interval, _MOST_INTERVAL)


def _count(text: str) -> int:
    count = _number(text, "a count")
    if not 0 < count <= MOST_COUNT:
        raise Unreadable(f"its rule has a count that is not between 1 and {MOST_COUNT}")
    return count


def _until(text: str) -> Moment:
    try:
        return moment(text)
    except Unreadable:
        raise Unreadable("its rule has an end that is no date") from None


def _week_start(text: str) -> int:
    if text.upper() not in _WEEKDAYS:
        raise Unreadable("its rule has a first day of the week that is none")
    return _WEEKDAYS[text.upper()]


def _number(text: str, what: str) -> int:
    text = text.strip()
    digits = text[1:] if text[:1] in {"+", "-"} else text
    # Not by int() alone: it takes ٣ and 1_0, and its work grows with the square of the digits.
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 9):
        raise Unreadable(f"its rule has {what} that is no number")
    return int(text)


def _numbers(text: str, name: str, part: Part) -> list[int]:
    if not text:
        return []
    listed = text.split(",")
    if len(listed) > 2 * (part.highest + 1):
        raise Unreadable(f"its rule lists more in {name} than there is")
    numbers = [_number(item, f"a value in {name}") for item in listed]
    for number in numbers:
        size = abs(number) if part.signed else number
        if not part.lowest <= size <= part.highest:
            raise Unreadable(f"its rule has a value in {name} that is out of range")
    return numbers


def _weekdays(text: str, frequency: str) -> tuple[set[int], set[tuple[int, int]]]:
    """Plain weekdays, and numbered ones. Where a number means nothing (section 3.3.10: only
    within a month or a year) it is left out, as most programs do.
    """
    plain: set[int] = set()
    nth: set[tuple[int, int]] = set()
    listed = text.split(",") if text else []
    if len(listed) > 7 * 107:
        raise Unreadable("its rule lists more in BYDAY than there is")
    for item in listed:
        day, ordinal = item.strip().upper()[-2:], item.strip()[:-2]
        if day not in _WEEKDAYS:
            raise Unreadable("its rule has a value in BYDAY that is no weekday")
        number = _number(ordinal, "a value in BYDAY") if ordinal else 0
        if abs(number) > 53:
            raise Unreadable("its rule has a value in BYDAY that is out of range")
        if number and frequency in {"MONTHLY", "YEARLY"}:
            nth.add((number, _WEEKDAYS[day]))
        else:
            plain.add(_WEEKDAYS[day])
    return plain, nth


def _times(
    numbers: dict[str, list[int]], start: dt.datetime, frequency: str, *, all_day: bool
) -> tuple[dt.time, ...]:
    """The times of a day; of an hourly rule, those within the hour, as times after midnight."""
    if all_day:
        return (dt.time(),)
    hours = [0] if frequency == "HOURLY" else sorted(set(numbers["BYHOUR"])) or [start.hour]
    minutes = sorted(set(numbers["BYMINUTE"])) or [start.minute]
    seconds = sorted({min(number, 59) for number in numbers["BYSECOND"]}) or [start.second]
    if len(hours) * len(minutes) * len(seconds) > 288:
        raise Unreadable("its rule repeats it more often than every five minutes")
    return tuple(dt.time(h, m, s) for h in hours for m in minutes for s in seconds)
