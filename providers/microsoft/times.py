"""When an event is. Pure: no request, no clock.

Graph is asked for UTC, and tells the zone in which an event was made beside it:
https://learn.microsoft.com/graph/api/resources/event
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from providers.microsoft.wire import Event, Moment
from providers.microsoft.zones import iana_name, zone

Times = tuple[dt.datetime, dt.datetime, dt.date | None, dt.date | None, str]

_UTC = dt.UTC
_YEARS = "outside of the years 2 to 9998"
_encode = msgspec.json.Encoder().encode


class Unreadable(ValueError):
    """An event without a sane reading; the text is the reason in plain words."""


def times_of(event: Event, details: dict[str, Any]) -> Times:
    """Start and end, as dates too when it is all day, and the zone. Raises Unreadable."""
    start, end = event.start, event.end
    if start is None or end is None:
        raise Unreadable("it has no start" if start is None else "it has no end")
    name = _zone_of(event, details)
    if event.is_all_day:
        return _all_day_times(start, end, name)
    start_at, end_at = instant(start), instant(end)
    if end_at < start_at:
        raise Unreadable("it ends before it starts")
    last = event.original_end_time_zone
    if last and last != event.original_start_time_zone and (known := iana_name(last)):
        details["end_time_zone"] = known
    return start_at, end_at, None, None, name


def instant(moment: Moment) -> dt.datetime:
    """A moment in UTC. Raises Unreadable, also when its zone is not known."""
    when = moment.date_time
    if not 1 < when.year < 9999:
        raise Unreadable(f"its times are {_YEARS}")
    if when.tzinfo is not None:
        return when.astimezone(_UTC)
    if moment.time_zone in {None, "", "UTC"}:
        return when.replace(tzinfo=_UTC)
    there = zone(iana_name(moment.time_zone or ""))
    if there is None:
        raise Unreadable("its times are of an unknown zone")
    return when.replace(tzinfo=there).astimezone(_UTC)


def aware(moment: dt.datetime | None) -> dt.datetime | None:
    """A time that nothing hangs on: UTC without an offset, None where no database follows, such as
    the year 1, which Graph has for never.
    """
    if moment is None or not 1 < moment.year < 9999:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=_UTC)


def identity(event: Event, start_at: dt.datetime, start_date: dt.date | None) -> str:
    """An occurrence's original start: a date, or a time as `…Z`. One that says none is where it
    was.
    """
    if not event.series_master_id:
        return ""
    moment = aware(event.original_start)
    if start_date is not None:
        return _original_date(event, moment, start_date).isoformat()
    # Four times as fast as isoformat(), on every occurrence of a series.
    return _encode((moment or start_at).astimezone(_UTC)).decode()[1:-1]


def _original_date(event: Event, moment: dt.datetime | None, start: dt.date) -> dt.date:
    """The day of an all-day occurrence: its midnight in UTC, or in the zone of the series."""
    if moment is None:
        return start
    there = zone(iana_name(event.original_start_time_zone or ""))
    if there is not None and moment.astimezone(_UTC).time() != dt.time():
        moment = moment.astimezone(there)
    return moment.date()


def _zone_of(event: Event, details: dict[str, Any]) -> str:
    told = event.original_start_time_zone or ""
    name = iana_name(told)
    if told and not name:
        details["unknown_time_zone"] = told[:64]
    return name or "UTC"


def _all_day_times(start: Moment, end: Moment, name: str) -> Times:
    """The dates are what counts: an all-day event is at midnight of no particular place."""
    first, last = start.date_time.date(), end.date_time.date()
    if last < first:
        raise Unreadable("it ends before it starts")
    if not (first.year > 1 and last.year < 9999):
        raise Unreadable(f"its dates are {_YEARS}")
    if last == first:  # RFC 5545 section 3.6.1: a date that ends at once lasts its day
        last += dt.timedelta(days=1)
    return _midnight(first, name), _midnight(last, name), first, last, name


def _midnight(day: dt.date, name: str) -> dt.datetime:
    return dt.datetime(day.year, day.month, day.day, tzinfo=zone(name) or _UTC).astimezone(_UTC)
