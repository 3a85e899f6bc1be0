"""Times in Google's notation: RFC 3339 texts, whole days, and Unix seconds."""

import time
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

FAR = 2**53  # later than any event: the end of a series without end


def now_ms() -> int:
    """The present in Unix milliseconds."""
    return time.time_ns() // 1_000_000


def zone_of(name: str) -> ZoneInfo:
    """The time zone. Raises ValueError for a name that is not in the database."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"Invalid time zone: {name!r}.") from None


def parse_rfc3339(text: str) -> datetime:
    """An aware time. Raises ValueError; the offset is mandatory (events.list, `timeMin`)."""
    moment = datetime.fromisoformat(text)
    if "T" not in text.upper() or moment.tzinfo is None:
        raise ValueError(
            "A date-time with a UTC offset is needed, for example 2026-01-31T09:00:00Z."
        )
    return moment


def render(moment: datetime) -> str:
    """RFC 3339 with seconds; `Z` for UTC, as Google writes it."""
    text = moment.isoformat(timespec="seconds")
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def render_ms(milliseconds: int) -> str:
    """Unix milliseconds as Google writes `created` and `updated`."""
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{moment.isoformat()[:19]}.{milliseconds % 1000:03d}Z"


def local_start(value: dict[str, Any], calendar_zone: ZoneInfo) -> tuple[datetime, bool]:
    """A start or end as an aware time in its own zone, and whether it is a whole day.

    `value` is Google's EventDateTime. Raises ValueError.
    """
    if "date" in value:
        day = date.fromisoformat(value["date"])
        return datetime(day.year, day.month, day.day, tzinfo=calendar_zone), True
    moment = datetime.fromisoformat(value["dateTime"])
    zone = zone_of(value["timeZone"]) if value.get("timeZone") else None
    if moment.tzinfo is None:
        if zone is None:
            raise ValueError("A time without UTC offset needs a timeZone.")
        return moment.replace(tzinfo=zone), False
    return moment.astimezone(zone or calendar_zone), False


def seconds(value: dict[str, Any], calendar_zone: ZoneInfo) -> int:
    """Unix seconds of a start or end; whole days begin at midnight of the calendar's zone."""
    return int(local_start(value, calendar_zone)[0].timestamp())


def rendered(
    moment: datetime, *, whole_day: bool, zone_name: str, calendar_zone: ZoneInfo
) -> dict[str, str]:
    """Google's EventDateTime: the offset of the calendar's zone, the name of the event's zone."""
    if whole_day:
        return {"date": moment.date().isoformat()}
    return {"dateTime": render(moment.astimezone(calendar_zone)), "timeZone": zone_name}
