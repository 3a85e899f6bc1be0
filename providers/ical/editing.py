"""Stored iCalendar text, edited: what we do not know stays as it was (RFC 4791 section 4.1).

Only the lines that a change concerns are taken out and written anew; all others keep their text and
order. Nothing here asks for the time: `now` comes in, aware.
"""

from __future__ import annotations

import datetime as dt
import re

from msgspec import UNSET

from providers.base import RemoteAttendee
from providers.ical.expansion import Budget
from providers.ical.facts import address_of, grouped
from providers.ical.feed import split
from providers.ical.lines import decode, folded
from providers.ical.series import Key, Series
from providers.ical.timing import Timing, read_timing
from providers.ical.values import Moment, Unreadable, only_moment
from providers.ical.vtimezone import write_zone
from providers.ical.wording import (
    RESPONSES,
    attendee_line,
    instant_text,
    moment_line,
    recurrence_lines,
    text_lines,
    time_lines,
)
from providers.ical.zones import Zones, named_zone
from providers.writing import EventChanges

_NAME = re.compile(r"[A-Za-z0-9-]+")
_RECURRENCE = frozenset({"RRULE", "RDATE", "EXDATE", "EXRULE"})
# What belongs to the series and not to one occurrence of it.
_OF_THE_SERIES = _RECURRENCE | {"RECURRENCE-ID", "DTSTART", "DTEND", "DURATION"}


def changed_object(
    existing: bytes,
    changes: EventChanges,
    *,
    now: dt.datetime,
    recurrence_id: Key | None = None,
    default_zone: str = "",
) -> bytes:
    """The object with these changes: to the event or the whole series, or with `recurrence_id` to
    one occurrence, for which an override is made if it has none.

    Changing when a series is, or how it repeats, lets go of its overrides: the occurrences that
    they stood for are no more. Raises what `feed.split` raises, Unreadable, and ValueError for a
    recurrence line that is none.
    """
    text = _Object(existing, default_zone)
    if recurrence_id is None:
        moves = changes.start_at is not UNSET or changes.recurrence is not UNSET
        text.change(text.master(), changes, now)
        if moves:
            text.drop_overrides()
    else:
        text.change(text.override(recurrence_id), changes, now)
    return text.written(now)


def without_occurrence(
    existing: bytes, recurrence_id: Key, *, now: dt.datetime, default_zone: str = ""
) -> bytes:
    """The object without one occurrence: its override goes, the master gets an EXDATE.

    Raises what `feed.split` raises, and Unreadable, such as for an object without a master.
    """
    text = _Object(existing, default_zone)
    master = text.master()
    timing = text.timing(master)
    text.drop_override(recurrence_id)
    line = moment_line("EXDATE", recurrence_id, timing)
    component = text.components[master]
    if line not in component:
        component.insert(-1, line)
    text.stamp(master, now, bump=True)
    return text.written(now)


class _Object:
    """The text as lines around components; `components` are the VEVENTs, unfolded."""

    def __init__(self, existing: bytes, default_zone: str) -> None:
        feed = split(existing)
        self._zones = Zones(feed.zones, calendar_zone=feed.time_zone, default=default_zone)
        self._known_zones = set(feed.zones)
        self._head: list[str] = []
        self._tail: list[str] = []
        self.components: list[list[str]] = []
        self._cut(decode(existing))

    def master(self) -> int:
        """Where the master is. Raises Unreadable when there is none."""
        for index, component in enumerate(self.components):
            if not _line_of(component, "RECURRENCE-ID"):
                return index
        raise Unreadable("it is an occurrence of a series that is elsewhere")

    def timing(self, index: int) -> Timing:
        """The times of a component. Raises Unreadable."""
        return read_timing(grouped("\n".join(self.components[index])), self._zones)

    def override(self, key: Key) -> int:
        """Where the override of an occurrence is; it is made of the master if there is none."""
        found = self._find(key)
        if found is not None:
            return found
        index = self.master()
        timing = self.timing(index)
        local = (
            timing.zone.local(key)
            if isinstance(key, dt.datetime)
            else dt.datetime.combine(key, dt.time())
        )
        master = self.components[index]
        lines = [line for line in _own(master) if _name(line) not in _OF_THE_SERIES]
        nested = master[len(_own(master)) : -1]
        made = [*lines, moment_line("RECURRENCE-ID", key, timing), *_times_at(timing, local)]
        self.components.append([*made, *nested, master[-1]])
        return len(self.components) - 1

    def drop_override(self, key: Key) -> None:
        found = self._find(key)
        if found is not None:
            del self.components[found]

    def drop_overrides(self) -> None:
        self.components = [
            component for component in self.components if not _line_of(component, "RECURRENCE-ID")
        ]

    def change(self, index: int, changes: EventChanges, now: dt.datetime) -> None:
        """Write what is set. SEQUENCE rises when time, place or recurrence change (RFC 5546
        section 2.1.4).
        """
        component = self.components[index]
        new = text_lines(changes)
        if changes.start_at is not UNSET and changes.end_at is not UNSET:
            new |= time_lines(changes, self.timing(index))
        if changes.recurrence is not UNSET:
            new |= {name: [] for name in _RECURRENCE}
            new["RRULE"] = recurrence_lines(changes.recurrence)
        if changes.attendees is not UNSET:
            new["ATTENDEE"] = _guests(component, changes.attendees)
        for name, lines in new.items():
            _replace(component, name, lines)
        bump = not new.keys().isdisjoint({"DTSTART", "RRULE", "LOCATION"})
        self.stamp(index, now, bump=bump)

    def stamp(self, index: int, now: dt.datetime, *, bump: bool) -> None:
        """DTSTAMP and LAST-MODIFIED now; SEQUENCE one higher."""
        component = self.components[index]
        for name in ("DTSTAMP", "LAST-MODIFIED"):
            _replace(component, name, [f"{name}:{instant_text(now)}"])
        if bump:
            line = _line_of(component, "SEQUENCE").rpartition(":")[2].strip()
            number = int(line) if line.isascii() and line.isdigit() and len(line) < 10 else 0
            _replace(component, "SEQUENCE", [f"SEQUENCE:{number + 1}"])

    def written(self, now: dt.datetime) -> bytes:
        """The whole, with a VTIMEZONE for each zone that is named and was not described."""
        lines = [line for component in self.components for line in component]
        zones = zone_lines(lines, known=self._known_zones, year=now.year - 1)
        return folded([*self._head, *zones, *lines, *self._tail])

    def _find(self, key: Key) -> int | None:
        overrides = [
            (index, recurrence)
            for index, component in enumerate(self.components)
            if (recurrence := grouped("\n".join(component)).get("RECURRENCE-ID"))
        ]
        if not overrides:
            return None
        masters = [c for c in self.components if not _line_of(c, "RECURRENCE-ID")]
        series = None
        if masters:
            timing = read_timing(grouped("\n".join(masters[0])), self._zones)
            series = Series(timing, self._zones, Budget())
        for index, recurrence in overrides:
            moment = only_moment(recurrence[0])
            if (series.key(moment) if series else self._key(moment)) == key:
                return index
        return None

    def _key(self, moment: Moment) -> Key:
        return moment.day if moment.time is None else self._zones.instant(moment)

    def _cut(self, text: str) -> None:
        depth = 0
        component: list[str] | None = None
        for line in text.strip("\n").split("\n"):
            upper = line.strip().upper()
            if upper == "BEGIN:VEVENT" and depth == 1:
                component = []
            depth += upper.startswith("BEGIN:")
            if component is not None:
                component.append(line)
            elif self.components:
                self._tail.append(line)
            elif not upper.startswith("METHOD"):  # RFC 4791 section 4.1 forbids it
                self._head.append(line)
            depth -= upper.startswith("END:")
            if component is not None and depth == 1:
                self.components.append(component)
                component = None


def zone_lines(lines: list[str], *, known: set[str], year: int) -> list[str]:
    """VTIMEZONEs for the zones that content lines name and nobody has described yet."""
    found: list[str] = []
    seen = set(known)
    for line in lines:
        start = line.upper().find(";TZID=")
        if start < 0 or line.find(":") < start:
            continue
        tzid = re.split(r"[;:]", line[start + 6 :].lstrip('"'), maxsplit=1)[0].strip('"')
        if tzid not in seen and named_zone(tzid) == tzid and tzid != "UTC":
            found += write_zone(tzid, year)
        seen.add(tzid)
    return found


def _guests(component: list[str], wanted: tuple[RemoteAttendee, ...]) -> list[str]:
    """The lines of these guests: of one who stays as before, the line as it was."""
    there = {
        (address_of(item).lower(), item.parameter("PARTSTAT").upper() or "NEEDS-ACTION"): item
        for item in grouped("\n".join(component)).get("ATTENDEE", ())
    }
    lines = []
    for guest in wanted:
        item = there.get((guest.email.lower(), RESPONSES.get(guest.response, "NEEDS-ACTION")))
        is_same = item is not None and item.parameter("CN") == guest.name
        lines.append(
            f"{item.name}{item.parameters}:{item.value}"
            if item is not None and is_same
            else attendee_line(guest)
        )
    return lines


def _times_at(timing: Timing, local: dt.datetime) -> list[str]:
    """DTSTART and what ends it, of an occurrence as the series has it."""
    start = Moment(local.date(), None if timing.all_day else local.time(), timing.start.zone)
    lines = [moment_line("DTSTART", start, timing)]
    if timing.all_day:
        end = local.date() + dt.timedelta(days=max(timing.length.days, 1))
        return [*lines, moment_line("DTEND", end, timing)]
    if timing.end_is_missing:
        return lines
    days, seconds = timing.length.days, timing.length.seconds
    return [*lines, f"DURATION:P{days}DT{seconds}S" if days else f"DURATION:PT{seconds}S"]


def _own(component: list[str]) -> list[str]:
    """The lines before the components inside it, BEGIN included."""
    for index, line in enumerate(component):
        if index and line[:6].upper() in {"BEGIN:", "END:VE"}:
            return component[:index]
    return component


def _line_of(component: list[str], name: str) -> str:
    return next((line for line in _own(component) if _name(line) == name), "")


def _replace(component: list[str], name: str, lines: list[str]) -> None:
    """Put `lines` where the first of this name was, else before the components inside."""
    own = _own(component)
    at = next((i for i, line in enumerate(own) if _name(line) == name), len(own))
    kept = [line for line in own if _name(line) != name]
    component[: len(own)] = [*kept[:at], *lines, *kept[at:]]


def _name(line: str) -> str:
    found = _NAME.match(line)
    return found[0].upper() if found else ""
