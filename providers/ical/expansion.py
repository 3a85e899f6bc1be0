"""What a rule comes to: local times, in order, without beginning at the beginning.

A rule without COUNT is entered at the period where the caller's span begins, however long ago it
started: the distance is a division. Nothing is looked for beyond the span's end, so a rule that can
never be met costs what the span costs. All steps are paid from a budget that the caller bounds.

The days of a period are those that satisfy all day parts at once (RFC 5545 section 3.3.10; the
table's "expand" and "limit" come to the same within one period).
"""

from __future__ import annotations

import datetime as dt
import time
from calendar import isleap, monthrange
from collections.abc import Iterator

from providers.ical.rules import Rule
from providers.ical.values import Unreadable

_DAY = dt.timedelta(days=1)


class Budget:
    """The work that one object may cause: steps, and seconds. Raises Unreadable when it is spent.

    The steps are what bounds it, and the same everywhere; the seconds are for what nobody foresaw.
    """

    def __init__(self, *, steps: int = 150_000, seconds: float = 5.0) -> None:
        self._left = steps
        self._deadline = time.monotonic() + seconds

    def spend(self, steps: int = 1) -> None:
        """Take from what is left."""
        self._left -= steps
        if self._left < 0 or (self._left & 0xFF == 0 and time.monotonic() > self._deadline):
            raise Unreadable("its rule takes too long to follow")


def occurrences(
    rule: Rule, start: dt.datetime, first: dt.datetime, last: dt.datetime, budget: Budget
) -> Iterator[dt.datetime]:
    """The rule's local times from `first` to `last` (both inclusive), in order; all are naive.

    DTSTART itself is an occurrence and counts as the first, also where it does not match the rule
    (section 3.8.5.3). UNTIL is the caller's. Raises Unreadable (Budget).
    """
    left = rule.count
    if start <= last:
        if start >= first:
            yield start
        if left is not None:
            left -= 1
    enter = start if left is not None else max(start, first)
    for found in _candidates(rule, start, enter, last, budget):
        if found <= start:
            continue
        if left is not None:
            left -= 1
            if left < 0:
                return
        if found > last:
            return
        if found >= first:
            yield found


def _candidates(
    rule: Rule, start: dt.datetime, enter: dt.datetime, last: dt.datetime, budget: Budget
) -> Iterator[dt.datetime]:
    """The times of all periods from that of `enter` to that of `last`, in order."""
    periods = _hours if rule.frequency == "HOURLY" else _days
    for found in periods(rule, start, enter, last, budget):
        if rule.positions:
            size = len(found)
            at = {p - 1 if p > 0 else size + p for p in rule.positions}
            yield from (found[index] for index in sorted(at) if 0 <= index < size)
        else:
            yield from found


def _hours(
    rule: Rule, start: dt.datetime, enter: dt.datetime, last: dt.datetime, budget: Budget
) -> Iterator[list[dt.datetime]]:
    base = start.replace(minute=0, second=0)
    step = dt.timedelta(hours=rule.interval)
    at = base + (enter - base) // step * step
    while at <= last:
        budget.spend()
        if (not rule.hours or at.hour in rule.hours) and _passes(rule, at.date()):
            yield [at.replace(minute=t.minute, second=t.second) for t in rule.times]
        at += step


def _days(
    rule: Rule, start: dt.datetime, enter: dt.datetime, last: dt.datetime, budget: Budget
) -> Iterator[list[dt.datetime]]:
    periods = {"DAILY": _single_days, "WEEKLY": _weeks, "MONTHLY": _months, "YEARLY": _years}
    for days in periods[rule.frequency](rule, start.date(), enter.date(), last.date(), budget):
        if days:
            budget.spend(len(days) * len(rule.times))
            yield [dt.datetime.combine(day, at) for day in days for at in rule.times]


def _single_days(
    rule: Rule, start: dt.date, enter: dt.date, last: dt.date, budget: Budget
) -> Iterator[list[dt.date]]:
    number, end = start.toordinal(), last.toordinal()
    number += (enter.toordinal() - number) // rule.interval * rule.interval
    while number <= end:
        budget.spend()
        day = dt.date.fromordinal(number)
        if _passes(rule, day):
            yield [day]
        number += rule.interval


def _weeks(
    rule: Rule, start: dt.date, enter: dt.date, last: dt.date, budget: Budget
) -> Iterator[list[dt.date]]:
    number, end = start.toordinal(), last.toordinal()
    number -= (start.weekday() - rule.week_start) % 7
    step = 7 * rule.interval
    number += (enter.toordinal() - number) // step * step
    while number <= end:
        budget.spend()
        days = [dt.date.fromordinal(number + index) for index in range(7) if number + index > 0]
        yield [day for day in days if _passes(rule, day)]
        number += step


def _months(
    rule: Rule, start: dt.date, enter: dt.date, last: dt.date, budget: Budget
) -> Iterator[list[dt.date]]:
    number, end = start.year * 12 + start.month - 1, last.year * 12 + last.month - 1
    number += (enter.year * 12 + enter.month - 1 - number) // rule.interval * rule.interval
    while number <= end:
        budget.spend()
        year, month = divmod(number, 12)
        if not rule.months or month + 1 in rule.months:
            budget.spend(8)
            yield _in_month(rule, year, month + 1)
        number += rule.interval


def _years(
    rule: Rule, start: dt.date, enter: dt.date, last: dt.date, budget: Budget
) -> Iterator[list[dt.date]]:
    year = start.year + (enter.year - start.year) // rule.interval * rule.interval
    by_month = not (rule.week_numbers or rule.year_days or (rule.nth and not rule.months))
    while year <= last.year:
        if by_month:
            months = sorted(rule.months) or range(1, 13)
            budget.spend(8 * len(months))
            yield [day for month in months for day in _in_month(rule, year, month)]
        else:
            budget.spend(100)
            yield _in_year(rule, year)
        year += rule.interval


def _in_month(rule: Rule, year: int, month: int) -> list[dt.date]:
    length = monthrange(year, month)[1]
    if rule.month_days:
        numbers = {day if day > 0 else length + 1 + day for day in rule.month_days}
        days = [dt.date(year, month, day) for day in sorted(numbers) if 0 < day <= length]
    else:
        days = [dt.date(year, month, day) for day in range(1, length + 1)]
    return [
        day
        for day in days
        if _is_day(rule, day, day.day - 1, length) and _passes_numbers(rule, day)
    ]


def _in_year(rule: Rule, year: int) -> list[dt.date]:
    length = 366 if isleap(year) else 365
    first = dt.date(year, 1, 1).toordinal()
    days = (dt.date.fromordinal(first + index) for index in range(length))
    return [
        day
        for index, day in enumerate(days)
        if (not rule.months or day.month in rule.months)
        and _is_month_day(rule, day)
        and _is_day(rule, day, *((day.day - 1, _length(day)) if rule.months else (index, length)))
        and _passes_numbers(rule, day)
    ]


def _passes(rule: Rule, day: dt.date) -> bool:
    """Whether a day satisfies a rule that repeats within weeks, days or hours."""
    return (
        (not rule.weekdays or day.weekday() in rule.weekdays)
        and (not rule.months or day.month in rule.months)
        and _is_month_day(rule, day)
        and _passes_numbers(rule, day)
    )


def _is_day(rule: Rule, day: dt.date, index: int, length: int) -> bool:
    """By its weekday, numbered from both ends of a span of `length` days, of which it is the
    one at `index`.
    """
    if not rule.weekdays and not rule.nth:
        return True
    weekday = day.weekday()
    return (
        weekday in rule.weekdays
        or (index // 7 + 1, weekday) in rule.nth
        or (-((length - 1 - index) // 7) - 1, weekday) in rule.nth
    )


def _is_month_day(rule: Rule, day: dt.date) -> bool:
    if not rule.month_days:
        return True
    return day.day in rule.month_days or day.day - _length(day) - 1 in rule.month_days


def _passes_numbers(rule: Rule, day: dt.date) -> bool:
    """By the number of the day in its year, and of its week."""
    if rule.year_days:
        number = day.timetuple().tm_yday
        if number not in rule.year_days:
            length = 366 if isleap(day.year) else 365
            if number - length - 1 not in rule.year_days:
                return False
    if not rule.week_numbers:
        return True
    number, weeks = _week_number(day, rule.week_start)
    return number in rule.week_numbers or number - weeks - 1 in rule.week_numbers


def _week_number(day: dt.date, week_start: int) -> tuple[int, int]:
    """Which week of its year it is, and how many the year has: week 1 is the first with at least
    four days in the year.
    """
    monday = day.toordinal() - (day.weekday() - week_start) % 7
    # The week belongs to the year that its fourth day is in.
    year = dt.date.fromordinal(monday + 3).year
    begin = _first_week(year, week_start)
    return (monday - begin) // 7 + 1, (_first_week(year + 1, week_start) - begin) // 7


def _first_week(year: int, week_start: int) -> int:
    fourth = dt.date(year, 1, 4)
    return fourth.toordinal() - (fourth.weekday() - week_start) % 7


def _length(day: dt.date) -> int:
    return monthrange(day.year, day.month)[1]
