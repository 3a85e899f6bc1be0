"""The occurrences of an object: its master's set, and what overrides make of it.

RFC 5545 sections 3.8.4.4 and 3.8.5; RFC 4791 section 4.1. Occurrences are known by where they were
before anybody moved them: an instant, or a date when the master is all-day.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from providers.base import Window
from providers.ical.expansion import Budget, occurrences
from providers.ical.rules import Rule, read_rule
from providers.ical.timing import Timing
from providers.ical.values import Duration, Moment, Unreadable, moments, periods
from providers.ical.zones import Zones

MOST_RULES = 4
MOST_DATES = 2000
MOST_OCCURRENCES = 2000
_DAY = dt.timedelta(days=1)

# The UTC instant of a timed occurrence, the date of an all-day one.
Key = dt.datetime | dt.date


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An occurrence that nothing overrides yet: its key, its start (local), the end if a PERIOD
    gave it its own.
    """

    key: Key
    start: dt.datetime
    end: Moment | Duration | None = None


class Series:
    """The recurrence set of a master. Raises Unreadable, here and in what it does."""

    def __init__(self, timing: Timing, zones: Zones, budget: Budget) -> None:
        self._timing = timing
        self._zones = zones
        self._budget = budget
        self._start = timing.start.naive
        self.rules = self._rules("RRULE")
        self._without = self._rules("EXRULE")
        self._dates: dict[Key, Occurrence] = {}
        self._read_dates()
        self._excluded: set[Key] = set()
        self._excluded_days: set[dt.date] = set()
        self._read_exclusions()

    def key(self, moment: Moment) -> Key:
        """The key that a RECURRENCE-ID, EXDATE or RDATE means. One of the other value type than
        the master's start is taken for the occurrence of that day.
        """
        if self._timing.all_day:
            return moment.day
        if moment.time is None:
            moment = Moment(moment.day, self._timing.start.time, self._timing.start.zone)
        return self._zones.instant(moment, self._timing.zone)

    def between(self, first: dt.datetime, last: dt.datetime) -> list[Occurrence]:
        """The occurrences that start between these instants, in no order."""
        low, high = self._local(first) - _DAY, self._local(last) + _DAY
        found = {
            key: item
            for key, item in self._dates.items()
            if low <= item.start <= high and not self._is_excluded(key, item.start)
        }
        without = {
            self._key_at(at) for rule in self._without for at in self._expand(rule, low, high)
        }
        sources = [self._expand(rule, low, high) for rule in self.rules] or [self._only(low, high)]
        count = 0
        for source in sources:
            for at in source:
                key = self._key_at(at)
                if key not in found and key not in without and not self._is_excluded(key, at):
                    found[key] = Occurrence(key, at)
                count += 1
                if count > MOST_OCCURRENCES + 2 * 366:
                    raise Unreadable("it occurs more often than is kept")
        return list(found.values())

    def last_start(self, window: Window) -> dt.datetime | None:
        """A local time at or after the start of the last occurrence; None without a known end."""
        latest = max([self._start, *(item.start for item in self._dates.values())])
        for rule in self.rules:
            if rule.until is not None:
                latest = max(latest, self._until(rule.until))
            elif rule.count is None:
                return None
            else:
                end = self._local(window.end) + 30 * _DAY
                found = self._start
                left = rule.count
                for at in self._expand(rule, self._start, end):
                    found = at
                    left -= 1
                if left > 0:
                    return None
                latest = max(latest, found)
        return latest

    def first_start(self) -> dt.datetime:
        """The local start of the first."""
        return min([self._start, *(item.start for item in self._dates.values())])

    def _only(self, low: dt.datetime, high: dt.datetime) -> Iterator[dt.datetime]:
        if low <= self._start <= high:
            yield self._start

    def _expand(self, rule: Rule, low: dt.datetime, high: dt.datetime) -> Iterator[dt.datetime]:
        if rule.until is not None:
            high = min(high, max(self._until(rule.until), self._start))
        return occurrences(rule, self._start, low, high, self._budget)

    def _until(self, until: Moment) -> dt.datetime:
        """UNTIL as a local time, inclusive. It should be of the start's type, and UTC when the
        start has a zone; often it is neither, and means that day, or the start's zone.
        """
        if self._timing.all_day:
            return dt.datetime.combine(until.day, dt.time())
        if until.time is None:
            return dt.datetime.combine(until.day, dt.time.max)
        if until.zone != "UTC":
            return until.naive
        return self._local(until.naive.replace(tzinfo=dt.UTC))

    def _local(self, instant: dt.datetime) -> dt.datetime:
        return self._timing.zone.local(instant)

    def _key_at(self, local: dt.datetime) -> Key:
        return local.date() if self._timing.all_day else self._timing.zone.instant(local)

    def _is_excluded(self, key: Key, local: dt.datetime) -> bool:
        return key in self._excluded or local.date() in self._excluded_days

    def _rules(self, name: str) -> list[Rule]:
        texts = list(dict.fromkeys(self._timing.all_of(name)))
        if len(texts) > MOST_RULES:
            raise Unreadable("it has too many rules")
        return [read_rule(item.value, self._start, all_day=self._timing.all_day) for item in texts]

    def _read_dates(self) -> None:
        for item in self._timing.all_of("RDATE"):
            self._bound(item.value)
            for start, end in periods(item):
                key = self.key(start)
                local = (
                    self._local(key)
                    if isinstance(key, dt.datetime)
                    else dt.datetime.combine(key, dt.time())
                )
                self._dates[key] = Occurrence(key, local, end)
            self._bound("," * len(self._dates))

    def _read_exclusions(self) -> None:
        for item in self._timing.all_of("EXDATE"):
            self._bound(item.value)
            for moment in moments(item):
                if self._timing.all_day or moment.time is None:
                    self._excluded_days.add(moment.day)
                else:
                    self._excluded.add(self.key(moment))
            self._bound("," * (len(self._excluded) + len(self._excluded_days)))

    def _bound(self, listed: str) -> None:
        if listed.count(",") > MOST_DATES:
            raise Unreadable("it lists too many dates")
