"""Which zone a TZID means. Pure: no request, no clock.

In this order: the IANA name; the same behind a prefix that a producer puts before it; the name
that Windows has for it; the calendar's own VTIMEZONE; its default zone; the caller's. Where an
IANA name is known its VTIMEZONE is not looked at: those are often wrong, and never newer.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

# Unicode's map; celery brings the package along anyway, icalendar has the same map and fewer names.
from tzlocal.windows_tz import win_tz

from providers.ical.lines import properties
from providers.ical.values import Moment, Unreadable
from providers.ical.vtimezone import read_zone

_MOST_NAME = 64
# "/freeassociation.sourceforge.net/Europe/Paris", "/citadel.org/20210210_1/Europe/Paris",
# "/mozilla.org/20050126_1/Europe/Paris", "/softwarestudio.org/Olson_20011030_5/Europe/Paris"
_PREFIX = re.compile(r"/[^/]{1,64}/(?:[A-Za-z]*_?\d[\d_.]*/)?(?:Tzfile/)?")
_WINDOWS = {name.casefold(): iana for name, iana in win_tz.items()}
_UTC_NAMES = frozenset({"z", "utc", "gmt", "etc/utc", "coordinated universal time"})


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone to reckon in. `name` is IANA; `note` is the kind of doubt there is, or empty:
    `custom_time_zone` (known by its VTIMEZONE alone) or `unknown_time_zone` (another stands in).
    """

    tz: dt.tzinfo
    name: str
    note: str = ""
    written: str = ""

    def mark(self, details: dict[str, Any]) -> None:
        """Say in an event's details what is doubtful."""
        if self.note:
            details[self.note] = self.written[:_MOST_NAME]

    def instant(self, naive: dt.datetime) -> dt.datetime:
        """A local time in UTC. One that the clocks skip counts by the offset before; of one that
        they show twice it is the first (RFC 5545 section 3.3.5). Raises Unreadable.
        """
        if not 1 < naive.year < 9999:
            raise Unreadable("its dates are outside of the years 2 to 9998")
        return naive.replace(tzinfo=self.tz).astimezone(dt.UTC)

    def local(self, instant: dt.datetime) -> dt.datetime:
        """An instant as the local time, without a zone."""
        return instant.astimezone(self.tz).replace(tzinfo=None, fold=0)


UTC = Zone(dt.UTC, "UTC")


class Zones:
    """The zones of one calendar: `blocks` are its VTIMEZONEs by TZID, `calendar_zone` is its
    X-WR-TIMEZONE, `default` the IANA name for what says nothing else (empty: UTC).
    """

    def __init__(
        self, blocks: dict[str, str] | None = None, *, calendar_zone: str = "", default: str = ""
    ) -> None:
        self._blocks = blocks or {}
        self._known: dict[str, Zone] = {"UTC": UTC}
        self.default = self._default((calendar_zone, default))

    def of(self, moment: Moment, fallback: Zone | None = None) -> Zone:
        """The zone of a moment; of a floating one and of a date, `fallback` or the default."""
        return self.named(moment.zone) if moment.zone else fallback or self.default

    def named(self, tzid: str) -> Zone:
        """The zone of a TZID; when nothing tells which, the default with a note."""
        found = self._known.get(tzid)
        if found is None:
            found = self._known[tzid] = self._find(tzid)
        return found

    def instant(self, moment: Moment, fallback: Zone | None = None) -> dt.datetime:
        """When it is, in UTC. Raises Unreadable."""
        return self.of(moment, fallback).instant(moment.naive)

    def _find(self, tzid: str) -> Zone:
        if name := named_zone(tzid):
            return Zone(ZoneInfo(name), name)
        block = self._blocks.get(tzid.strip())
        if block:
            for item in properties(block):
                if item.name == "X-LIC-LOCATION" and (name := named_zone(item.value)):
                    return Zone(ZoneInfo(name), name)
            if (custom := read_zone(block)) is not None:
                return Zone(custom, "UTC", "custom_time_zone", tzid)
        return Zone(self.default.tz, self.default.name, "unknown_time_zone", tzid)

    def _default(self, names: tuple[str, ...]) -> Zone:
        wanted = [name for name in names if name]
        for name in wanted:
            if found := named_zone(name):
                doubt = "" if name == wanted[0] else "unknown_time_zone"
                return Zone(ZoneInfo(found), found, doubt, wanted[0])
        if wanted:
            return Zone(dt.UTC, "UTC", "unknown_time_zone", wanted[0])
        return UTC


@lru_cache(maxsize=2048)
def named_zone(tzid: str) -> str:
    """The IANA name that a TZID means by itself, empty when it means none."""
    plain = tzid.strip().strip('"')
    if plain.casefold() in _UTC_NAMES:
        return "UTC"
    for name in (plain, _PREFIX.sub("", plain, count=1), _WINDOWS.get(plain.casefold(), "")):
        if _exists(name):
            return name
    return ""


def _exists(name: str) -> bool:
    try:
        return 0 < len(name) <= _MOST_NAME and ZoneInfo(name) is not None
    except (ValueError, LookupError, OSError):  # OSError: the name of a directory of zones
        return False
