"""When an event is. Pure: no request, no clock.

All-day and timed ends, zones: https://developers.google.com/workspace/calendar/api/concepts/events-calendars
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from providers.google.wire import Event, Moment

Times = tuple[dt.datetime, dt.datetime, dt.date | None, dt.date | None, str]

_UTC = dt.UTC
_encode = msgspec.json.Encoder().encode


class Unreadable(ValueError):
    """An event without a sane reading; the text is the reason in plain words."""


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo | None:
    """The IANA zone of this name, None when there is none (and for the empty name)."""
    try:
        return ZoneInfo(name) if 0 < len(name) <= 64 else None
    except (ValueError, LookupError, OSError):  # OSError: the name of a directory of zones
        return None


def times_of(event: Event, calendar_zone: str, details: dict[str, Any]) -> Times:
    """Start and end, as dates too when it is all day, and the zone. Raises Unreadable."""
    start, end = event.start, event.end
    if start is None and event.status == "cancelled":
        # Of a cancelled occurrence only the identity is sure, not how long it would have lasted.
        start = event.original_start_time
        end = end or (start if start and start.date_time else None)
    if start is None:
        raise Unreadable("it has no start")
    if start.date_time is not None:
        return _clock_times(start, end, calendar_zone, details)
    if start.date is not None:
        return _all_day_times(start.date, end, calendar_zone, details)
    raise Unreadable("its start is neither a date nor a time")


def span_of(start: Moment | None, end: Moment | None) -> tuple[dt.date, dt.date]:
    """Start and end as Google has them: two dates, or two times in UTC. Raises Unreadable."""
    if start is None or end is None:
        raise Unreadable("it has no start or no end")
    if start.date is not None and end.date is not None:
        return start.date, end.date
    return _instant(start, ""), _instant(end, "")


def _clock_times(
    start: Moment, end: Moment | None, calendar_zone: str, details: dict[str, Any]
) -> Times:
    start_at = _instant(start, calendar_zone)
    if end is None:  # RFC 5545 section 3.6.1: without an end, it ends when it starts
        details["end_time_unspecified"] = True
        end_at = start_at
    elif end.date_time is None:
        raise Unreadable("it starts at a time and ends on a date")
    else:
        end_at = _instant(end, calendar_zone)
        if end.time_zone != start.time_zone and end.time_zone:
            details["end_time_zone"] = end.time_zone
    if end_at < start_at:
        raise Unreadable("it ends before it starts")
    name = start.time_zone
    if name and zone(name) is None:
        details["unknown_time_zone"] = name[:64]
        name = "UTC"
    return start_at, end_at, None, None, name


def _all_day_times(
    start: dt.date, end: Moment | None, calendar_zone: str, details: dict[str, Any]
) -> Times:
    last = end.date if end else start
    if last is None:
        raise Unreadable("it starts on a date and ends at a time")
    if last < start:
        raise Unreadable("it ends before it starts")
    if end is None:
        details["end_time_unspecified"] = True
    if last == start:  # RFC 5545 section 3.6.1: without an end, a date lasts its day
        last = _next_day(start)
    midnights = zone(calendar_zone)
    if midnights is None and calendar_zone:
        details["unknown_time_zone"] = calendar_zone[:64]
    name = calendar_zone if midnights else "UTC"
    return _midnight(start, midnights), _midnight(last, midnights), start, last, name


def _next_day(day: dt.date) -> dt.date:
    try:
        return day + dt.timedelta(days=1)
    except OverflowError:
        raise Unreadable("its dates are outside of the years 2 to 9998") from None


def _instant(moment: Moment, calendar_zone: str) -> dt.datetime:
    """A `date_time` in UTC. RFC 3339 demands an offset; without one, the zone that is named."""
    when = moment.date_time
    if when is None or not 1 < when.year < 9999:
        raise Unreadable("its times are outside of the years 2 to 9998")
    if when.tzinfo is None:
        when = when.replace(tzinfo=zone(moment.time_zone) or zone(calendar_zone) or _UTC)
    return when.astimezone(_UTC)


def _midnight(day: dt.date, where: ZoneInfo | None) -> dt.datetime:
    if not 1 < day.year < 9999:
        raise Unreadable("its dates are outside of the years 2 to 9998")
    return dt.datetime(day.year, day.month, day.day, tzinfo=where or _UTC).astimezone(_UTC)


def aware(moment: dt.datetime) -> dt.datetime | None:
    """A time that nothing hangs on: UTC without an offset, None where no database follows."""
    if not 1 < moment.year < 9999:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=_UTC)


def identity(moment: Moment | None) -> str:
    """An occurrence's original start, however it is presented: a date, or a time as `…Z`."""
    if moment is None:
        return ""
    if moment.date is not None:
        return moment.date.isoformat()
    if moment.date_time is None:
        return ""
    # Four times as fast as isoformat(), on every occurrence of a series.
    return _encode(_instant(moment, "")).decode()[1:-1]
