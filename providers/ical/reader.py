"""An iCalendar object as ours: the occurrences inside a window. Pure: no request.

What has no sane reading, or would take too long to follow, becomes an InvalidEvent: its reason
names the problem, never what the event holds. Nothing else is ever raised.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from providers.base import InvalidEvent, RemoteEvent, RemoteObject, Window
from providers.ical.expansion import Budget
from providers.ical.facts import Facts, Properties, grouped, read_facts
from providers.ical.feed import DamagedCalendar, NotACalendar, OversizedCalendar, split
from providers.ical.series import MOST_OCCURRENCES, Key, Occurrence, Series
from providers.ical.timing import Span, Timing, end_after, read_timing
from providers.ical.values import Moment, Unreadable, only_moment
from providers.ical.zones import Zones

MOST_OVERRIDES = 2000
MOST_RANGES = 50
_NOTHING = dt.timedelta()
# Neither a path of a server nor a usual UID has it.
_SEPARATOR = "#"
_OCCURRENCE = re.compile(r"(.+)#(\d{8}(?:T\d{6}Z)?)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reading:
    """What an object is read with. `own_addresses` are the account's, in lower case."""

    window: Window
    zones: Zones
    own_addresses: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Override:
    """A VEVENT that stands for one occurrence, or for that and all after it."""

    key: Key
    block: str
    timing: Timing
    sequence: int
    following: bool


@dataclass(slots=True)
class _Found:
    """What is being gathered of one object."""

    events: dict[str, RemoteEvent] = field(default_factory=dict)
    starts: list[dt.datetime] = field(default_factory=list)
    ends: list[dt.datetime | None] = field(default_factory=list)


def occurrence_id(object_id: str, key: Key) -> str:
    """The id of an occurrence: the object's, and its original start in UTC or its date."""
    if isinstance(key, dt.datetime):
        return f"{object_id}{_SEPARATOR}{key.astimezone(dt.UTC):%Y%m%dT%H%M%SZ}"
    return f"{object_id}{_SEPARATOR}{key:%Y%m%d}"


def split_id(event_id: str) -> tuple[str, Key | None]:
    """The object's id and the original start that an event's id names; None for a whole object."""
    found = _OCCURRENCE.fullmatch(event_id)
    if found is None:
        return event_id, None
    try:
        if "T" in found[2]:
            at = dt.datetime.strptime(found[2], "%Y%m%dT%H%M%SZ")
            return found[1], at.replace(tzinfo=dt.UTC)
        return found[1], dt.date.fromisoformat(found[2])
    except ValueError:
        return event_id, None


def read_resource(
    object_id: str, etag: str, data: bytes | str, *, window: Window, default_zone: str = "",
    own_addresses: Iterable[str] = (),
) -> RemoteObject | InvalidEvent:  # fmt: skip
    """A calendar object resource (RFC 4791 section 4.1), under the id and etag of the server."""
    try:
        feed = split(data)
    except NotACalendar:
        return InvalidEvent(object_id, "it is no calendar")
    except DamagedCalendar:
        return InvalidEvent(object_id, "a part of it is missing")
    except OversizedCalendar:
        return InvalidEvent(object_id, "it is larger than is kept")
    zones = Zones(feed.zones, calendar_zone=feed.time_zone, default=default_zone)
    own = frozenset(address.lower() for address in own_addresses)
    blocks = [block for item in feed.objects.values() for block in item.components]
    return read_object(object_id, etag, blocks, Reading(window, zones, own))


def read_object(
    object_id: str, etag: str, components: Iterable[str], reading: Reading
) -> RemoteObject | InvalidEvent:
    """The object of these unfolded VEVENTs, as `feed.split` gives them."""
    try:
        return _Object(object_id, etag, reading).read(list(components))
    except Unreadable as error:
        return InvalidEvent(object_id, str(error))
    except OverflowError:
        return InvalidEvent(object_id, "its dates are outside of the years 2 to 9998")


class _Object:
    """The reading of one object."""

    def __init__(self, object_id: str, etag: str, reading: Reading) -> None:
        self._id = object_id
        self._etag = etag
        self._reading = reading
        self._window = reading.window
        self._zones = reading.zones
        self._found = _Found()
        self._facts: dict[int, Facts] = {}

    def read(self, blocks: list[str]) -> RemoteObject:
        if len(blocks) > MOST_OVERRIDES:
            raise Unreadable("it has too many changed occurrences")
        master: tuple[str, Timing] | None = None
        overrides: list[tuple[str, Properties]] = []
        for block in blocks:
            if not block.rstrip()[-10:].upper() == "END:VEVENT":
                raise Unreadable("it has no end")
            said = grouped(block)
            if "RECURRENCE-ID" in said:
                overrides.append((block, said))
            elif master is None or _sequence(said) >= _sequence(master[1].properties):
                master = (block, read_timing(said, self._zones))
        if master is None:
            self._read_orphans(overrides)
        else:
            self._read_series(*master, overrides)
        ends = self._found.ends
        return RemoteObject(
            id=self._id,
            etag=self._etag,
            events=tuple(self._found.events.values()),
            starts_at=min(self._found.starts, default=None),
            ends_at=None if None in ends else max((at for at in ends if at), default=None),
        )

    def _read_orphans(self, overrides: list[tuple[str, Properties]]) -> None:
        """Occurrences of a series that somebody else has: each is an event by itself."""
        for block, said in overrides:
            moment = only_moment(said["RECURRENCE-ID"][0])
            key: Key = moment.day if moment.time is None else self._zones.instant(moment)
            timing = read_timing(said, self._zones)
            self._add(block, timing, key, _own_span(timing, self._zones))

    def _read_series(
        self, block: str, timing: Timing, overrides: list[tuple[str, Properties]]
    ) -> None:
        # Most events do not recur, and need not find out how.
        if not overrides and timing.properties.keys().isdisjoint(("RRULE", "RDATE")):
            self._add(block, timing, None, _own_span(timing, self._zones))
            return
        series = Series(timing, self._zones, Budget())
        changed = self._overrides(series, timing, overrides)
        following = sorted(
            (item for item in changed.values() if item.following), key=lambda item: str(item.key)
        )
        if len(following) > MOST_RANGES:
            raise Unreadable("it changes all its later occurrences too often")
        shifts = [self._shift(item, timing) for item in following]
        reach = max([abs(shift) for shift in shifts], default=_NOTHING)
        longest = max(_length(item) for item in (timing, *(item.timing for item in following)))
        early, late = self._window.start - longest - reach, self._window.end + reach
        for occurrence in series.between(early, late):
            if occurrence.key not in changed:
                index = _governing(following, occurrence.key)
                if index is None:
                    span = end_after(timing, occurrence.start, occurrence.end, self._zones)
                    self._add(block, timing, occurrence.key, span)
                else:
                    self._add_following(following[index], occurrence, shifts[index])
        for item in changed.values():
            span = _own_span(item.timing, self._zones)
            self._add(item.block, item.timing, item.key, span)
        last = series.last_start(self._window)
        zone = timing.zone
        self._found.starts.append(zone.instant(series.first_start()) - reach)
        self._found.ends.append(None if last is None else zone.instant(last) + longest + reach)

    def _overrides(
        self, series: Series, timing: Timing, overrides: list[tuple[str, Properties]]
    ) -> dict[Key, _Override]:
        """By what they override; of several for one occurrence, the newest."""
        changed: dict[Key, _Override] = {}
        for block, said in overrides:
            recurrence = said["RECURRENCE-ID"][0]
            key = series.key(only_moment(recurrence))
            item = _Override(
                key,
                block,
                self._override_timing(key, said, timing),
                _sequence(said),
                recurrence.parameter("RANGE").upper() == "THISANDFUTURE",
            )
            if key not in changed or item.sequence >= changed[key].sequence:
                changed[key] = item
        return changed

    def _override_timing(self, key: Key, said: Properties, timing: Timing) -> Timing:
        """Its own times; a cancelled one may have left them out."""
        if "DTSTART" in said:
            return read_timing(said, self._zones)
        if isinstance(key, dt.datetime):
            local = timing.zone.local(key)
            start = Moment(local.date(), local.time(), timing.start.zone)
        else:
            start = Moment(key)
        return Timing(said, start, timing.zone, length=timing.length)

    def _shift(self, item: _Override, timing: Timing) -> dt.timedelta:
        """How far an override moves its occurrence, and with RANGE those after it."""
        if item.timing.all_day != timing.all_day:
            raise Unreadable("its later occurrences change between dates and times")
        if isinstance(item.key, dt.datetime):
            shift = item.timing.zone.instant(item.timing.start.naive) - item.key
        else:
            shift = item.timing.start.day - item.key
        if abs(shift) > dt.timedelta(days=400):
            raise Unreadable("its later occurrences are moved too far")
        return shift

    def _add_following(self, item: _Override, occurrence: Occurrence, shift: dt.timedelta) -> None:
        key = occurrence.key
        if isinstance(key, dt.datetime):
            # By the clock and not by the hours between: it stays at ten o'clock in winter.
            nominal = item.timing.start.naive - item.timing.zone.local(
                item.key if isinstance(item.key, dt.datetime) else key
            )
            start = item.timing.zone.local(key) + nominal
        else:
            start = occurrence.start + shift
        span = end_after(item.timing, start, None, self._zones)
        self._add(item.block, item.timing, key, span, {"range": "this_and_future"})

    def _add(
        self,
        block: str,
        timing: Timing,
        key: Key | None,
        span: Span,
        more: dict[str, Any] | None = None,
    ) -> None:
        """Note the span, and make the event if the window has it."""
        self._found.starts.append(span.start_at)
        self._found.ends.append(span.end_at)
        window = self._window
        inside = span.start_at < window.end and (
            span.end_at > window.start or span.start_at == span.end_at == window.start
        )
        if not inside:
            return
        event_id = self._id if key is None else occurrence_id(self._id, key)
        if len(self._found.events) >= MOST_OCCURRENCES and event_id not in self._found.events:
            raise Unreadable("it occurs more often than is kept")
        self._found.events[event_id] = self._event(event_id, block, timing, key, span, more or {})

    def _event(
        self,
        event_id: str,
        block: str,
        timing: Timing,
        key: Key | None,
        span: Span,
        more: dict[str, Any],
    ) -> RemoteEvent:
        facts = self._facts.get(id(block))
        if facts is None:
            facts = read_facts(block, timing.properties, self._reading.own_addresses)
            _mark_times(timing, self._zones, facts.details)
            self._facts[id(block)] = facts
        return RemoteEvent(
            id=event_id,
            etag=self._etag,
            start_at=span.start_at,
            end_at=span.end_at,
            all_day=timing.all_day,
            start_date=span.start_date,
            end_date=span.end_date,
            time_zone=timing.zone.name,
            series_id="" if key is None else self._id,
            original_start=_written(key),
            details=facts.details | more if more else facts.details,
            **facts.fields,
        )


def _own_span(timing: Timing, zones: Zones) -> Span:
    return end_after(timing, timing.start.naive, None, zones)


def _mark_times(timing: Timing, zones: Zones, details: dict[str, Any]) -> None:
    timing.zone.mark(details)
    if timing.end_is_missing:
        details["end_time_unspecified"] = True
    if timing.start.time is not None and not timing.start.zone:
        details["floating"] = True
    end = timing.end
    if end is not None and end.zone and end.zone not in {timing.start.zone, "UTC"}:
        zone = zones.named(end.zone)
        if zone.name != timing.zone.name:
            details["end_time_zone"] = zone.name
        zone.mark(details)


def _governing(following: list[_Override], key: Key) -> int | None:
    """Which of the overrides with a range is the last one before this occurrence."""
    index = None
    for number, item in enumerate(following):
        if str(item.key) <= str(key):
            index = number
    return index


def _length(timing: Timing) -> dt.timedelta:
    return dt.timedelta(days=timing.length.days + 1, seconds=timing.length.seconds)


def _sequence(said: Properties) -> int:
    text = said["SEQUENCE"][0].value.strip() if "SEQUENCE" in said else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _written(key: Key | None) -> str:
    if key is None:
        return ""
    if isinstance(key, dt.datetime):
        return f"{key.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
    return key.isoformat()
