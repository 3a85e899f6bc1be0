"""The calendars of an account (RFC 4791 section 5.2), as the collections in its home show them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from zoneinfo import available_timezones

from providers.base import RemoteCalendar
from providers.caldav import urls
from providers.caldav.discovery import CALENDAR, RESOURCE_TYPE, Principal
from providers.caldav.multistatus import APPLE, CALDAV, CALENDARSERVER, DAV, Member
from providers.caldav.session import Session
from providers.errors import CalendarNotFound

TIME_ZONE = f"{CALDAV}calendar-timezone"
TIME_ZONE_ID = f"{CALDAV}calendar-timezone-id"  # RFC 7809 section 5.2
_PRIVILEGES = f"{DAV}current-user-privilege-set"
_COMPONENTS = f"{CALDAV}supported-calendar-component-set"
_DEFAULT = f"{CALDAV}schedule-default-calendar-URL"  # RFC 6638 section 9.2
_COLOR, _ORDER = f"{APPLE}calendar-color", f"{APPLE}calendar-order"
_PROPERTIES = (
    RESOURCE_TYPE,
    f"{DAV}displayname",
    f"{DAV}owner",
    _PRIVILEGES,
    _COMPONENTS,
    TIME_ZONE,
    TIME_ZONE_ID,
    _COLOR,
    _ORDER,
    _DEFAULT,
)
# Collections that hold events and are no calendars to connect: scheduling messages, a feed that the
# server itself subscribes to, what was thrown away.
_NO_CALENDARS = frozenset(
    {
        f"{CALDAV}schedule-inbox",
        f"{CALDAV}schedule-outbox",
        f"{CALENDARSERVER}notification",
        f"{CALENDARSERVER}subscribed",
        "{http://nextcloud.com/ns}trash-bin",
        "{http://nextcloud.com/ns}deleted-calendar",
    }
)
_WRITING = ({f"{DAV}all"}, {f"{DAV}write"}, {f"{DAV}write-content"})
_LONGEST_ID = 1024
# The names that CSS has had from the beginning; a few servers say these.
_NAMED_COLORS = {
    "black": "000000",
    "silver": "c0c0c0",
    "gray": "808080",
    "white": "ffffff",
    "maroon": "800000",
    "red": "ff0000",
    "purple": "800080",
    "fuchsia": "ff00ff",
    "green": "008000",
    "lime": "00ff00",
    "olive": "808000",
    "yellow": "ffff00",
    "navy": "000080",
    "blue": "0000ff",
    "teal": "008080",
    "aqua": "00ffff",
    "orange": "ffa500",
}


@dataclass(frozen=True, slots=True)
class _Found:
    calendar: RemoteCalendar
    order: tuple[bool, float, str]


def list_calendars(session: Session, principal: Principal) -> list[RemoteCalendar]:
    """All calendars that can hold events, the default one first: the one that the server names, or
    else the first in the order that the person has given them. Those without one follow by name.
    """
    found: dict[str, _Found] = {}
    defaults: set[str] = set()
    for home in principal.homes:
        for url, member in _collections(session, home):
            defaults |= {session.locate(url, href) for href in member.hrefs(_DEFAULT)}
            if (entry := _entry(url, member, principal)) is not None:
                found.setdefault(urls.comparable(url), entry)
    named = {urls.comparable(url) for url in defaults}
    entries = sorted(found.items(), key=lambda item: (item[0] not in named, item[1].order))
    calendars = [entry.calendar for _, entry in entries]
    return [_as_primary(calendar) for calendar in calendars[:1]] + calendars[1:]


def fetch_calendar(session: Session, principal: Principal, calendar_id: str) -> RemoteCalendar:
    """One of them, by its id or `primary`. Raises CalendarNotFound.

    Only what is listed is a calendar of the account: an id that the caller has made up is not asked
    for, least of all with the password.
    """
    calendars = list_calendars(session, principal)
    if calendar_id == "primary" and calendars:
        return calendars[0]
    for calendar in calendars:
        if calendar.id == calendar_id:
            return calendar
    raise CalendarNotFound("The account has no such calendar.")


def zone_of(member: Member) -> str:
    """The IANA name of a calendar's time zone; empty when it says none that is known."""
    names = [member.text(TIME_ZONE_ID)]
    definition = re.sub(r"\r?\n[ \t]", "", member.text(TIME_ZONE))
    names += re.findall(r"(?m)^(?:X-LIC-LOCATION|TZID)[^:\r\n]*:(.*?)\s*$", definition)
    for name in names:
        # Some programs put their own name in front: /freeassociation.sourceforge.net/Europe/Paris.
        for candidate in (name, "/".join(name.split("/")[-2:]), "/".join(name.split("/")[-3:])):
            if candidate in _zone_names():
                return candidate
    return ""


@cache
def _zone_names() -> frozenset[str]:
    """Read from the disk once: that takes as long as the rest of a hundred calendars."""
    return frozenset(available_timezones())


def _collections(session: Session, home: str) -> Iterator[tuple[str, Member]]:
    """What a home holds, by URL; of a calendar in the place of a home just that, for its members
    are events.
    """
    names = list(_PROPERTIES)
    itself = session.propfind(home, [RESOURCE_TYPE])
    is_calendar = any(CALENDAR in member.names(RESOURCE_TYPE) for member in itself.members)
    found = session.propfind(itself.url, names, depth="0" if is_calendar else "1")
    for member in found.members:
        yield session.locate(found.url, member.href), member


def _entry(url: str, member: Member, principal: Principal) -> _Found | None:
    kinds = member.names(RESOURCE_TYPE)
    if CALENDAR not in kinds or kinds & _NO_CALENDARS or len(url) > _LONGEST_ID:
        return None
    components = member.properties.get(_COMPONENTS)
    if components is not None and components.components and "VEVENT" not in components.components:
        return None
    calendar = RemoteCalendar(
        id=url,
        name=member.text(f"{DAV}displayname") or url.rstrip("/").rpartition("/")[2],
        time_zone=zone_of(member),
        access_role=_role(url, member, principal),
        is_primary=False,
        color=_color(member.text(_COLOR)),
    )
    return _Found(calendar, (*_order(member), calendar.name.casefold()))


def _role(url: str, member: Member, principal: Principal) -> str:
    """`owner`, `writer` or `reader`. A server that tells no privileges is tried when it comes to
    writing.
    """
    privileges = member.names(_PRIVILEGES)
    if privileges and not any(needed <= privileges for needed in _WRITING):
        return "reader"
    owners = member.hrefs(f"{DAV}owner")
    if owners and not any(urls.is_same(urls.resolve(url, own), principal.url) for own in owners):
        return "writer"
    return "owner"


def _order(member: Member) -> tuple[bool, float]:
    try:
        return False, float(member.text(_ORDER))
    except ValueError:
        return True, 0.0  # after those that have one


def _color(text: str) -> str:
    """`#rrggbb` of `#RRGGBB`, `#RRGGBBAA`, `#RGB` or a name; empty otherwise."""
    digits = _NAMED_COLORS.get(text.lower(), text.removeprefix("#").lower())
    if re.fullmatch(r"[0-9a-f]{3}", digits):
        digits = "".join(2 * digit for digit in digits)
    return f"#{digits[:6]}" if re.fullmatch(r"[0-9a-f]{6}(?:[0-9a-f]{2})?", digits) else ""


def _as_primary(calendar: RemoteCalendar) -> RemoteCalendar:
    return RemoteCalendar(
        id=calendar.id,
        name=calendar.name,
        time_zone=calendar.time_zone,
        access_role=calendar.access_role,
        is_primary=True,
        color=calendar.color,
    )
