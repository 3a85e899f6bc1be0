"""VTIMEZONE (RFC 5545 section 3.6.5): read where no name helps, written beside what we write."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from zoneinfo import ZoneInfo

from providers.ical.expansion import Budget, occurrences
from providers.ical.lines import Property, inner, properties
from providers.ical.rules import read_rule
from providers.ical.values import Unreadable, moments, offset, only_moment

# What a zone's rules are followed through; outside of it the nearest offset holds.
_FIRST, _LAST = dt.datetime(1970, 1, 1), dt.datetime(2060, 1, 1)
_MOST_CHANGES = 2000
_YEARS_WRITTEN = 12

# When (UTC, naive), and the offsets before and after.
_Change = tuple[dt.datetime, dt.timedelta, dt.timedelta]


class CustomZone(dt.tzinfo):
    """A zone of given changes, in order. Gaps and folds as PEP 495 has them."""

    def __init__(self, first: dt.timedelta, changes: list[_Change]) -> None:
        self._offsets = [first, *(after for _, _, after in changes)]
        self._instants = [at for at, _, _ in changes]
        # A local time belongs to what follows from here on: with fold 0 late, with fold 1 early.
        self._late = [at + max(before, after) for at, before, after in changes]
        self._early = [at + min(before, after) for at, before, after in changes]

    def utcoffset(self, moment: dt.datetime | None) -> dt.timedelta | None:
        if moment is None:
            return None
        bounds = self._early if moment.fold else self._late
        return self._offsets[bisect_right(bounds, moment.replace(tzinfo=None, fold=0))]

    def dst(self, _moment: dt.datetime | None) -> dt.timedelta | None:
        return None

    def tzname(self, _moment: dt.datetime | None) -> str | None:
        return None

    def fromutc(self, moment: dt.datetime) -> dt.datetime:
        naive = moment.replace(tzinfo=None)
        at = bisect_right(self._instants, naive)
        after = self._offsets[at]
        # Shown for the second time, when the clocks have just gone back by more than has passed.
        back = at > 0 and self._offsets[at - 1] - after > naive - self._instants[at - 1]
        return (moment + after).replace(fold=int(back))


def read_zone(block: str) -> CustomZone | None:
    """The zone that an unfolded VTIMEZONE describes; None when it makes no sense."""
    try:
        budget = Budget(steps=40_000, seconds=2)
        changes = [
            change
            for name in ("STANDARD", "DAYLIGHT")
            for part in inner(block, name)
            for change in _changes(properties(part), budget)
        ]
    except (Unreadable, OverflowError):
        return None
    changes.sort(key=lambda change: change[0])
    if not changes or len(changes) > _MOST_CHANGES:
        return None
    return CustomZone(changes[0][1], changes)


def _changes(part: list[Property], budget: Budget) -> Iterator[_Change]:
    """When one observance begins, again and again. Raises Unreadable."""
    named = {item.name: item for item in reversed(part)}
    if not named.keys() >= {"DTSTART", "TZOFFSETFROM", "TZOFFSETTO"}:
        raise Unreadable("its time zone is incomplete")
    start = only_moment(named["DTSTART"]).naive
    before, after = offset(named["TZOFFSETFROM"].value), offset(named["TZOFFSETTO"].value)
    begins = {start}
    for item in part:
        if item.name == "RDATE":
            begins |= {found.naive for found in moments(item)}
        elif item.name == "RRULE":
            rule = read_rule(item.value, start, all_day=False)
            last = _LAST
            if rule.until is not None:
                utc = rule.until.zone == "UTC"
                last = min(last, rule.until.naive + (before if utc else dt.timedelta()))
            # The first is wanted too, be it long ago: it tells what held before.
            begins |= set(occurrences(rule, start, max(start, _FIRST), last, budget))
        if len(begins) > _MOST_CHANGES:
            raise Unreadable("its time zone changes too often")
    for at in begins:
        yield at - before, before, after


@lru_cache(maxsize=256)
def write_zone(name: str, year: int) -> tuple[str, ...]:
    """The VTIMEZONE of an IANA zone as it holds from this year on, as content lines.

    Changes that fall on the same weekday of the month year after year become a yearly rule, others
    are listed, for as long as they are known.
    """
    tz = ZoneInfo(name)
    begin = dt.datetime(year, 1, 1)
    changes = _zone_changes(tz, year)
    first = _offset(tz, begin)
    lines = ["BEGIN:VTIMEZONE", f"TZID:{name}"]
    lines += _observance("STANDARD", begin, first, first, [begin], "")
    # Those that do the same in the same month at the same time of day belong together.
    same = sorted(changes, key=lambda c: (c[1], c[2], (c[0] + c[1]).month, (c[0] + c[1]).time()))
    for (before, after, _, _), group in groupby(
        same, key=lambda c: (c[1], c[2], (c[0] + c[1]).month, (c[0] + c[1]).time())
    ):
        begins = sorted(at + before for at, _, _ in group)
        kind = "DAYLIGHT" if after > before else "STANDARD"
        lines += _observance(kind, begins[0], before, after, begins, _yearly(begins, year))
    lines.append("END:VTIMEZONE")
    return tuple(lines)


def _zone_changes(tz: ZoneInfo, year: int) -> list[_Change]:
    """The changes of some years, found by halving the days in which the offset differs."""
    changes: list[_Change] = []
    at, end = dt.datetime(year, 1, 1), dt.datetime(year + _YEARS_WRITTEN, 1, 1)
    while at < end:
        following = at + dt.timedelta(days=7)
        before, after = _offset(tz, at), _offset(tz, following)
        if before != after:
            low, high = 0, 7 * 86_400
            while high - low > 1:
                middle = (low + high) // 2
                if _offset(tz, at + dt.timedelta(seconds=middle)) == before:
                    low = middle
                else:
                    high = middle
            changes.append((at + dt.timedelta(seconds=high), before, after))
        at = following
    return changes


def _offset(tz: ZoneInfo, instant: dt.datetime) -> dt.timedelta:
    return instant.replace(tzinfo=dt.UTC).astimezone(tz).utcoffset() or dt.timedelta()


def _yearly(begins: list[dt.datetime], year: int) -> str:
    """The rule of changes that come every year on the n-th or the last such weekday, or empty."""
    weekdays = {at.weekday() for at in begins}
    years = [at.year for at in begins]
    if len(weekdays) != 1 or years != list(range(year, year + _YEARS_WRITTEN)):
        return ""
    day = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")[weekdays.pop()]
    ordinals = {(at.day - 1) // 7 + 1 for at in begins}
    if all((at + dt.timedelta(days=7)).month != at.month for at in begins):
        return f"FREQ=YEARLY;BYMONTH={begins[0].month};BYDAY=-1{day}"
    if len(ordinals) == 1:
        return f"FREQ=YEARLY;BYMONTH={begins[0].month};BYDAY={ordinals.pop()}{day}"
    return ""


def _observance(
    kind: str,
    start: dt.datetime,
    before: dt.timedelta,
    after: dt.timedelta,
    begins: list[dt.datetime],
    rule: str,
) -> list[str]:
    lines = [f"BEGIN:{kind}", f"DTSTART:{start:%Y%m%dT%H%M%S}"]
    if rule:
        lines.append(f"RRULE:{rule}")
    else:
        lines += [f"RDATE:{at:%Y%m%dT%H%M%S}" for at in begins[1:]]
    return [
        *lines, f"TZOFFSETFROM:{_written(before)}", f"TZOFFSETTO:{_written(after)}", f"END:{kind}",
    ]  # fmt: skip


def _written(offset: dt.timedelta) -> str:
    sign = "-" if offset < dt.timedelta() else "+"
    seconds = int(abs(offset).total_seconds())
    text = f"{sign}{seconds // 3600:02d}{seconds % 3600 // 60:02d}"
    return f"{text}{seconds % 60:02d}" if seconds % 60 else text
