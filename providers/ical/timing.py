"""When an event is: start, end and zone of one VEVENT (RFC 5545 section 3.6.1)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from providers.ical.lines import Property
from providers.ical.values import Duration, Moment, Unreadable, duration, only_moment
from providers.ical.zones import Zone, Zones

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Span:
    """Start and end in UTC; the dates (end exclusive) of an all-day event."""

    start_at: dt.datetime
    end_at: dt.datetime
    start_date: dt.date | None = None
    end_date: dt.date | None = None


@dataclass(slots=True)
class Timing:
    """The times of one VEVENT. `length` is how long it lasts: of an all-day event in days, else
    exact when DTEND gave it, nominal when DURATION did (section 3.8.5.3). `end` is DTEND.
    """

    properties: dict[str, list[Property]]
    start: Moment
    zone: Zone
    end: Moment | None = None
    length: Duration = field(default_factory=Duration)
    end_is_missing: bool = False

    @property
    def all_day(self) -> bool:
        """Whether it starts on a date."""
        return self.start.time is None

    def all_of(self, name: str) -> list[Property]:
        """The properties of this name."""
        return self.properties.get(name, [])


def read_timing(properties: dict[str, list[Property]], zones: Zones) -> Timing:
    """The times of a VEVENT with these properties by name. Raises Unreadable."""
    starts = properties.get("DTSTART")
    if not starts:
        raise Unreadable("it has no start")
    start = only_moment(starts[0])
    if not 1900 <= start.day.year < 9999:
        raise Unreadable("it starts before 1900 or after 9998")
    timing = Timing(properties, start, zones.of(start))
    ends, durations = properties.get("DTEND"), properties.get("DURATION")
    if ends:
        timing.end = only_moment(ends[0])
        timing.length = _between(start, timing.end, timing.zone, zones)
    elif durations:
        timing.length = duration(durations[0].value)
        if timing.length.days < 0 or timing.length.seconds < 0:
            raise Unreadable("it ends before it starts")
        if timing.all_day:
            days = timing.length.days + -(-timing.length.seconds // 86_400)
            timing.length = Duration(max(days, 1))
    else:
        timing.end_is_missing = True
        timing.length = Duration(1 if timing.all_day else 0)
    return timing


def end_after(
    timing: Timing, start: dt.datetime, end: Moment | Duration | None, zones: Zones
) -> Span:
    """The span that begins at a local time; `end` is that of a PERIOD. Raises Unreadable."""
    if timing.all_day:
        first = start.date()
        last = first + max(timing.length.days, 1) * _DAY
        zone = timing.zone
        return Span(_midnight(zone, first), _midnight(zone, last), first, last)
    start_at = timing.zone.instant(start)
    if isinstance(end, Moment):
        end_at = zones.instant(end, timing.zone)
    else:
        length = end or timing.length
        nominal = timing.zone.instant(start + length.days * _DAY) if length.days else start_at
        end_at = nominal + dt.timedelta(seconds=length.seconds)
    if end_at < start_at:
        raise Unreadable("it ends before it starts")
    return Span(start_at, end_at)


def _between(start: Moment, end: Moment, zone: Zone, zones: Zones) -> Duration:
    if start.time is None:
        if end.time is not None:
            raise Unreadable("it starts on a date and ends at a time")
        days = (end.day - start.day).days
        if days < 0:
            raise Unreadable("it ends before it starts")
        return Duration(max(days, 1))  # section 3.6.1: without an end, a date lasts its day
    if end.time is None:
        raise Unreadable("it starts at a time and ends on a date")
    length = zones.instant(end, zone) - zone.instant(start.naive)
    if length < dt.timedelta():
        raise Unreadable("it ends before it starts")
    return Duration(0, length.days * 86_400 + length.seconds)


def _midnight(zone: Zone, day: dt.date) -> dt.datetime:
    return zone.instant(dt.datetime.combine(day, dt.time()))
