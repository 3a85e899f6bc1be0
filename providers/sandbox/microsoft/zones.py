"""Times in Graph's notation, and time zones by Windows' names.

`{"dateTime": "2026-03-01T09:00:00.0000000", "timeZone": "UTC"}`: seven digits, no offset
(microsoft-graph-docs-contrib, `resources/datetimetimezone.md`).
"""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from tzlocal.windows_tz import tz_win, win_tz

from providers.sandbox.google.times import zone_of
from providers.sandbox.microsoft.errors import GraphError, bad_property

NEVER = "0001-01-01T00:00:00Z"


def windows_name(iana: str) -> str:
    """Windows' name of the zone, or the given one when Windows has none."""
    return tz_win.get(iana, iana)


def iana_name(name: str) -> str | None:
    """The IANA name of a zone by either name, or None."""
    iana = win_tz.get(name, name)
    try:
        zone_of(iana)
    except ValueError:
        return None
    return iana


def preferred(name: str) -> ZoneInfo:
    """The zone of `Prefer: outlook.timezone`. Raises 400."""
    iana = iana_name(name)
    if iana is None:
        message = "A valid TimeZone value must be specified. The following TimeZone value is not "
        raise GraphError(400, "TimeZoneNotSupportedException", f"{message}supported: '{name}'.")
    return zone_of(iana)


def wall(moment: datetime) -> str:
    """A wall clock's time with seven digits and no offset."""
    return f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}0"


def in_utc(seconds: float) -> str:
    """Unix seconds as a wall clock in UTC shows them."""
    return wall(datetime.fromtimestamp(seconds, UTC))


def instant(milliseconds: int) -> str:
    """Unix milliseconds as `createdDateTime` and the like are written."""
    return f"{wall(datetime.fromtimestamp(milliseconds / 1000, UTC))}Z"


def read(value: Any, name: str) -> tuple[datetime, str]:
    """The wall clock's time and the IANA zone of a dateTimeTimeZone. Raises 400."""
    if not isinstance(value, dict) or not value.keys() <= {"dateTime", "timeZone", "@odata.type"}:
        raise bad_property(f"{name} must be a dateTime with a timeZone.")
    zone_name = value.get("timeZone") or "UTC"
    iana = iana_name(zone_name) if isinstance(zone_name, str) else None
    try:
        moment = datetime.fromisoformat(value["dateTime"])
    except (KeyError, TypeError, ValueError):
        raise bad_property(f"{name}.dateTime is not a time.") from None
    if iana is None:
        raise bad_property(f"The time zone {zone_name!r} of {name} is not supported.")
    if moment.tzinfo is not None:
        moment = moment.astimezone(zone_of(iana)).replace(tzinfo=None)
    return moment, iana
