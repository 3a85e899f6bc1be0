"""Recurrence both ways: RFC 5545 lines, which are stored, and Graph's patternedRecurrence.

Facts: microsoft-graph-docs-contrib, `resources/recurrencepattern.md` and `recurrencerange.md`.
"""

from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from providers.sandbox.google.times import zone_of
from providers.sandbox.microsoft.errors import bad_property
from providers.sandbox.microsoft.zones import iana_name

_DAYS = {
    "SU": "sunday", "MO": "monday", "TU": "tuesday", "WE": "wednesday", "TH": "thursday",
    "FR": "friday", "SA": "saturday",
}  # fmt: skip
_CODES = {name: code for code, name in _DAYS.items()}
_WEEK = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_INDEXES = {"1": "first", "2": "second", "3": "third", "4": "fourth", "-1": "last"}
_POSITIONS = {name: number for number, name in _INDEXES.items()}
_PATTERNS = frozenset(
    {"daily", "weekly", "absoluteMonthly", "relativeMonthly", "absoluteYearly", "relativeYearly"}
)
_UNDERSTOOD = frozenset(
    ["FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS"]
)

Json = dict[str, Any]


def patterned(lines: list[str], start: datetime, zone_name: str) -> Json | None:
    """The recurrence Graph shows for these lines, or None for what it cannot express.

    `start`: the first start on the event's wall clock. `zone_name`: Windows' name, for the range.
    EXDATEs do not show: Exchange keeps them as deleted occurrences.
    """
    rules = [line for line in lines if not line.upper().startswith("EXDATE")]
    if len(rules) != 1 or not rules[0].upper().startswith("RRULE:"):
        return None
    parts = dict(part.split("=", 1) for part in rules[0][6:].upper().split(";") if "=" in part)
    if not parts.keys() <= _UNDERSTOOD:
        return None
    pattern = _pattern(parts, start)
    return pattern and {"pattern": pattern, "range": _range(parts, start, zone_name)}


def _pattern(parts: dict[str, str], start: datetime) -> Json | None:
    frequency, by = parts.get("FREQ"), {name for name in parts if name.startswith("BY")}
    pattern: Json = {
        "type": "daily",
        "interval": int(parts.get("INTERVAL", "1")),
        "month": 0,
        "dayOfMonth": 0,
        "daysOfWeek": [],
        "firstDayOfWeek": _DAYS.get(parts.get("WKST", "MO"), "monday"),
        "index": "first",
    }
    if frequency == "DAILY":
        return None if by else pattern
    if frequency == "WEEKLY":
        days = parts.get("BYDAY", _WEEK[start.weekday()]).split(",")
        if by > {"BYDAY"} or not set(days) <= _DAYS.keys():
            return None
        return pattern | {"type": "weekly", "daysOfWeek": [_DAYS[day] for day in days]}
    if frequency == "MONTHLY" and "BYMONTH" not in by:
        return _in_month(pattern, parts, start, "Monthly")
    if frequency == "YEARLY":
        month = parts.get("BYMONTH", str(start.month))
        if "BYMONTH" not in by and "BYDAY" in by:
            return None  # a weekday of the year, which Graph does not know
        if not month.isdecimal():
            return None
        return _in_month(pattern | {"month": int(month)}, parts, start, "Yearly")
    return None


def _in_month(pattern: Json, parts: dict[str, str], start: datetime, ending: str) -> Json | None:
    if "BYDAY" not in parts:
        day = parts.get("BYMONTHDAY", str(start.day))
        if not day.isdecimal() or "BYSETPOS" in parts:
            return None
        return pattern | {"type": f"absolute{ending}", "dayOfMonth": int(day)}
    days = parts["BYDAY"].split(",")
    positions = {day[:-2].lstrip("+") for day in days}
    if positions == {""}:
        positions = {parts.get("BYSETPOS", "")}
    elif len(days) > 1 or "BYSETPOS" in parts:
        return None
    index = _INDEXES.get(positions.pop()) if len(positions) == 1 else None
    names = [_DAYS.get(day[-2:]) for day in days]
    if index is None or None in names or "BYMONTHDAY" in parts:
        return None
    return pattern | {"type": f"relative{ending}", "daysOfWeek": names, "index": index}


def _range(parts: dict[str, str], start: datetime, zone_name: str) -> Json:
    made: Json = {
        "type": "noEnd",
        "startDate": start.date().isoformat(),
        "endDate": "0001-01-01",
        "recurrenceTimeZone": zone_name,
        "numberOfOccurrences": 0,
    }
    if "COUNT" in parts:
        return made | {"type": "numbered", "numberOfOccurrences": int(parts["COUNT"])}
    if "UNTIL" in parts:
        text = parts["UNTIL"]
        last = date.fromisoformat(text[:8])
        if text.endswith("Z") and start.tzinfo is not None:
            moment = datetime.fromisoformat(text[:-1]).replace(tzinfo=UTC)
            last = moment.astimezone(start.tzinfo).date()
        return made | {"type": "endDate", "endDate": last.isoformat()}
    return made


def lines_of(recurrence: Any, start: datetime, *, zone_name: str, whole_day: bool) -> list[str]:
    """The RRULE of a patternedRecurrence. Raises 400 for one that makes no sense.

    `start`: the first start on the wall clock of `zone_name` (IANA).
    """
    if not isinstance(recurrence, dict):
        raise bad_property("recurrence must be an object.")
    pattern, limits = recurrence.get("pattern"), recurrence.get("range")
    if not isinstance(pattern, dict) or not isinstance(limits, dict):
        raise bad_property("recurrence needs a pattern and a range.")
    parts = _rule(pattern)
    parts |= _end(limits, start, zone_of(zone_name), whole_day=whole_day)
    return ["RRULE:" + ";".join(f"{name}={value}" for name, value in parts.items())]


def _rule(pattern: Json) -> dict[str, str]:
    kind = pattern.get("type")
    if kind not in _PATTERNS:
        raise bad_property(f"recurrence.pattern.type {kind!r} is unknown.")
    interval = _number(pattern, "interval", 1, 999)
    frequency = {"d": "DAILY", "w": "WEEKLY"}.get(kind[0]) or kind[8:].upper()
    parts = {"FREQ": frequency, "INTERVAL": str(interval)}
    if kind.endswith("Yearly"):
        parts["BYMONTH"] = str(_number(pattern, "month", 1, 12))
    if kind.startswith("absolute"):
        parts["BYMONTHDAY"] = str(_number(pattern, "dayOfMonth", 1, 31))
    if kind == "weekly":
        parts["BYDAY"] = ",".join(_days(pattern))
        parts["WKST"] = _day(pattern.get("firstDayOfWeek") or "sunday")
    if kind.startswith("relative"):
        index = _POSITIONS.get(pattern.get("index") or "first")
        if index is None:
            raise bad_property("recurrence.pattern.index is unknown.")
        days = _days(pattern)
        if len(days) == 1:
            parts["BYDAY"] = f"{index}{days[0]}"
        else:
            parts |= {"BYDAY": ",".join(days), "BYSETPOS": index}
    return parts


def _end(limits: Json, start: datetime, zone: ZoneInfo, *, whole_day: bool) -> dict[str, str]:
    kind = limits.get("type")
    if kind not in {"endDate", "noEnd", "numbered"}:
        raise bad_property(f"recurrence.range.type {kind!r} is unknown.")
    if _date(limits, "startDate") != start.date():
        raise bad_property("recurrence.range.startDate must be the date of the event's start.")
    if named := limits.get("recurrenceTimeZone"):
        iana = iana_name(str(named))
        if iana is None:
            raise bad_property(f"recurrence.range.recurrenceTimeZone {named!r} is unknown.")
        zone = zone_of(iana)
    if kind == "numbered":
        return {"COUNT": str(_number(limits, "numberOfOccurrences", 1, 999))}
    if kind == "noEnd":
        return {}
    last = _date(limits, "endDate")
    if last < start.date():
        raise bad_property("recurrence.range.endDate lies before its startDate.")
    if whole_day:
        return {"UNTIL": f"{last:%Y%m%d}"}
    moment = datetime.combine(last, time(23, 59, 59), zone).astimezone(UTC)
    return {"UNTIL": f"{moment:%Y%m%dT%H%M%SZ}"}


def _number(where: Json, name: str, least: int, most: int) -> int:
    value = where.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise bad_property(f"recurrence: {name} must be from {least} to {most}.")
    return value


def _days(pattern: Json) -> list[str]:
    days = pattern.get("daysOfWeek")
    if not isinstance(days, list) or not days:
        raise bad_property("recurrence.pattern.daysOfWeek is missing.")
    return [_day(day) for day in days]


def _day(name: Any) -> str:
    code = _CODES.get(name.lower()) if isinstance(name, str) else None
    if code is None:
        raise bad_property(f"recurrence: {name!r} is no day of the week.")
    return code


def _date(where: Json, name: str) -> date:
    try:
        return date.fromisoformat(where[name])
    except (KeyError, TypeError, ValueError):
        raise bad_property(f"recurrence.range.{name} is not a date.") from None
