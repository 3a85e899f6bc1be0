"""Dates, times and durations as iCalendar writes them (RFC 5545 section 3.3)."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from providers.ical.lines import Property

_MOMENT = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)(?:[T ](\d\d):?(\d\d)(?::?(\d\d))?(Z?))?", re.IGNORECASE
)
_DURATION = re.compile(
    r"([+-]?)P(?:(\d{1,6})W)?(?:(\d{1,7})D)?(?:T(?:(\d{1,8})H)?(?:(\d{1,9})M)?(?:(\d{1,10})S)?)?",
    re.IGNORECASE,
)
_OFFSET = re.compile(r"([+-])(\d\d)(\d\d)(\d\d)?")
# A century: longer ones are mistakes, and would reach into every window.
_MOST_DAYS = 36_525


class Unreadable(ValueError):
    """An object without a sane reading; the text is the reason in plain words, without content."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A DATE or a DATE-TIME as it is written: `time` is None for a date; `zone` is a TZID, empty
    for a floating time, `UTC` for one that ends with Z.
    """

    day: dt.date
    time: dt.time | None = None
    zone: str = ""

    @property
    def naive(self) -> dt.datetime:
        """The local time; a date's midnight."""
        return dt.datetime.combine(self.day, self.time or dt.time())


@dataclass(frozen=True, slots=True)
class Duration:
    """Whole days, which follow the calendar, and a rest of exact seconds (section 3.3.6)."""

    days: int = 0
    seconds: int = 0


def moments(item: Property) -> list[Moment]:
    """The values of DTSTART, RDATE, EXDATE … Raises Unreadable. Of periods, their starts."""
    value, zone = _value_and_zone(item)
    return [moment(part.partition("/")[0], zone) for part in value.split(",") if part.strip()]


def periods(item: Property) -> list[tuple[Moment, Moment | Duration | None]]:
    """The values of an RDATE, and when each ends if it is a PERIOD (section 3.3.9)."""
    value, zone = _value_and_zone(item)
    found: list[tuple[Moment, Moment | Duration | None]] = []
    for part in value.split(","):
        start, _, end = part.partition("/")
        if not start.strip():
            continue
        until: Moment | Duration | None = None
        if end:
            until = duration(end) if "P" in end.upper() else moment(end, zone)
        found.append((moment(start, zone), until))
    return found


def only_moment(item: Property) -> Moment:
    """The value of a property that has one. Raises Unreadable."""
    value, zone = _value_and_zone(item)
    return moment(value, zone)


def moment(text: str, zone: str = "") -> Moment:
    """One DATE or DATE-TIME; a time of 24:00 or a leap second is the one it is taken for.

    Raises Unreadable.
    """
    found = _MOMENT.fullmatch(text.strip())
    if found is None:
        raise Unreadable("one of its dates is none")
    year, month, day, hour, minute, second, utc = found.groups()
    try:
        date = dt.date(int(year), int(month), int(day))
        if not 1 < date.year < 9999:
            raise Unreadable("its dates are outside of the years 2 to 9998")
        if hour is None:
            return Moment(date)
        # Section 3.3.12: 60 is a leap second, which clocks here do not have.
        time = dt.time(int(hour) % 24, int(minute), min(int(second or 0), 59))
        if int(hour) == 24:
            date += dt.timedelta(days=1)
    except ValueError as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable("one of its dates does not exist") from None
    return Moment(date, time, "UTC" if utc else zone)


def duration(text: str) -> Duration:
    """A DURATION (section 3.3.6). Raises Unreadable."""
    found = _DURATION.fullmatch(text.strip())
    if found is None or not any(found.groups()[1:]):
        raise Unreadable("its duration is none")
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups()[1:])
    sign = -1 if found[1] == "-" else 1
    days += 7 * weeks
    seconds += 60 * minutes + 3600 * hours
    if days + seconds // 86_400 > _MOST_DAYS:
        raise Unreadable("it lasts longer than a century")
    return Duration(sign * days, sign * seconds)


def offset(text: str) -> dt.timedelta:
    """A UTC-OFFSET (section 3.3.14). Raises Unreadable."""
    found = _OFFSET.fullmatch(text.strip())
    if found is None:
        raise Unreadable("its time zone has an offset that is none")
    hours, minutes, seconds = int(found[2]), int(found[3]), int(found[4] or 0)
    if hours > 23 or minutes > 59 or seconds > 59:
        raise Unreadable("its time zone has an offset that is none")
    total = dt.timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return -total if found[1] == "-" else total


def _value_and_zone(item: Property) -> tuple[str, str]:
    """Value and TZID; also of `TZID=(UTC+01:00) Amsterdam:20260301T100000`, whose colon Exchange
    leaves without quotation marks.
    """
    value, zone = item.value, item.parameter("TZID")
    if ":" in value and "TZID" in item.parameters.upper():
        rest, _, value = value.rpartition(":")
        zone = f"{zone}:{rest}".strip('"')
    return value, zone
