"""What comes next in a calendar, day by day as its people see the days. Pure: no queries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from calendars.models import Event

PRIVATE = {"private", "confidential"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An event on the day under which it is listed. `time` is empty for whole days.

    `until` tells the end of what lasts beyond its first day, `since` the begin of what is going on.
    """

    event: Event
    title: str
    location: str
    time: str
    since: date | None
    until: date | None

    @property
    def all_day(self) -> bool:
        return not self.time


@dataclass(frozen=True, slots=True)
class Day:
    date: date
    relative: str
    entries: list[Entry]


def days(events: Iterable[Event], *, zone: tzinfo, now: datetime, show_private: bool) -> list[Day]:
    """The events by day in `zone`, whole days first; those that are over are left out.

    All-day events keep their dates in every zone. What began earlier is listed under today.
    """
    today = now.astimezone(zone).date()
    by_day: dict[date, list[Entry]] = {}
    for event in events:
        first, last = _span(event, zone)
        if last < today or (not event.all_day and event.end_at <= now):
            continue
        by_day.setdefault(max(first, today), []).append(
            _entry(event, zone, first, last, today, show_private=show_private)
        )
    return [
        Day(day, _relative(day, today), sorted(by_day[day], key=lambda entry: not entry.all_day))
        for day in sorted(by_day)
    ]


def _span(event: Event, zone: tzinfo) -> tuple[date, date]:
    """The first and the last day, both inclusive. Ends are exclusive in the database."""
    if event.all_day and event.start_date and event.end_date:
        return event.start_date, max(event.start_date, event.end_date - timedelta(days=1))
    last_moment = max(event.start_at, event.end_at - timedelta(microseconds=1))
    return event.start_at.astimezone(zone).date(), last_moment.astimezone(zone).date()


def _entry(
    event: Event, zone: tzinfo, first: date, last: date, today: date, *, show_private: bool
) -> Entry:
    hidden = event.visibility in PRIVATE and not show_private
    start, end = event.start_at.astimezone(zone), event.end_at.astimezone(zone)
    time = ""
    if not event.all_day:
        time = f"{start:%H:%M}" if start == end else f"{start:%H:%M}–{end:%H:%M}"
    return Entry(
        event=event,
        title="Private event" if hidden else event.title,
        location="" if hidden else event.location,
        time=time,
        since=first if first < today else None,
        until=last if last > max(first, today) else None,
    )


def _relative(day: date, today: date) -> str:
    return {0: "Today", 1: "Tomorrow"}.get((day - today).days, "")
