"""Graph's recurrence patterns and RFC 5545's rules, each as the other. Pure.

https://learn.microsoft.com/graph/api/resources/recurrencepattern and
https://learn.microsoft.com/graph/api/resources/recurrencerange. A pattern says less than a rule:
what it cannot say is refused, never approximated.
"""

from __future__ import annotations

import datetime as dt
import re
from calendar import monthrange
from typing import Any
from zoneinfo import ZoneInfo

from providers.errors import UnsupportedRecurrence
from providers.microsoft.wire import Recurrence
from providers.microsoft.zones import iana_name, zone

_DAYS = {
    "MO": "monday", "TU": "tuesday", "WE": "wednesday", "TH": "thursday",
    "FR": "friday", "SA": "saturday", "SU": "sunday",
}  # fmt: skip
_CODES = {name: code for code, name in _DAYS.items()}
_ORDER = tuple(_DAYS)
_INDEXES = {1: "first", 2: "second", 3: "third", 4: "fourth", -1: "last"}
_ORDINALS = {name: number for number, name in _INDEXES.items()}
_WEEKDAY = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_UNTIL = re.compile(r"(\d{8})(?:T(\d{6})(Z?))?")
_FREQUENCIES = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})
_PARTS = frozenset(
    {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS"}
)
# Graph's largest interval is not documented; three digits are what its clients offer.
_MOST = 999


def lines_of(recurrence: Recurrence) -> list[str]:
    """A pattern as RFC 5545 lines; empty for one whose kind is not known."""
    pattern, span = recurrence.pattern, recurrence.range
    days = [_CODES[day] for day in pattern.days_of_week if day in _CODES]
    by_day = ",".join(days)
    positioned = f"BYDAY={by_day};BYSETPOS={_ORDINALS.get(pattern.index, 1)}"
    if len(days) == 1:
        positioned = f"BYDAY={_ORDINALS.get(pattern.index, 1)}{days[0]}"
    kinds = {
        "daily": ["FREQ=DAILY"],
        "weekly": ["FREQ=WEEKLY", f"BYDAY={by_day}"],
        "absoluteMonthly": ["FREQ=MONTHLY", f"BYMONTHDAY={pattern.day_of_month}"],
        "relativeMonthly": ["FREQ=MONTHLY", positioned],
        "absoluteYearly": [
            "FREQ=YEARLY", f"BYMONTH={pattern.month}", f"BYMONTHDAY={pattern.day_of_month}"
        ],
        "relativeYearly": ["FREQ=YEARLY", f"BYMONTH={pattern.month}", positioned],
    }  # fmt: skip
    parts = kinds.get(pattern.type)
    if parts is None:
        return []
    if pattern.interval > 1:
        parts.insert(1, f"INTERVAL={pattern.interval}")
    if pattern.type == "weekly" and pattern.first_day_of_week in _CODES:
        parts.append(f"WKST={_CODES[pattern.first_day_of_week]}")
    if span.type == "numbered":
        parts.append(f"COUNT={span.number_of_occurrences}")
    elif span.type == "endDate" and span.end_date is not None:
        parts.append(f"UNTIL={_end_of(span.end_date, span.recurrence_time_zone or '')}")
    return ["RRULE:" + ";".join(parts)]


def _end_of(day: dt.date, name: str) -> str:
    """The last second of a day that is inclusive in Graph, in UTC as RFC 5545 wants it."""
    there = zone(iana_name(name)) or dt.UTC
    last = dt.datetime.combine(day, dt.time(23, 59, 59), there)
    return last.astimezone(dt.UTC).strftime("%Y%m%dT%H%M%SZ")


def pattern_of(lines: tuple[str, ...], *, start: dt.datetime, time_zone: str) -> dict[str, Any]:
    """RFC 5545 lines as a `patternedRecurrence`. `start` is the wall clock of the first occurrence
    in `time_zone`.

    Raises UnsupportedRecurrence, whose detail says what Outlook cannot do.
    """
    parts = _parts(lines)
    frequency = parts["FREQ"]
    days = [_weekday(text) for text in _list(parts, "BYDAY")]
    make = {"DAILY": _daily, "WEEKLY": _weekly, "MONTHLY": _monthly, "YEARLY": _yearly}[frequency]
    pattern = make(parts, days, start)
    pattern["interval"] = _number(parts, "INTERVAL", 1, _MOST) if "INTERVAL" in parts else 1
    return {"pattern": pattern, "range": _range(parts, start, time_zone)}


def _parts(lines: tuple[str, ...]) -> dict[str, str]:
    if len(lines) != 1 or not lines[0].upper().startswith("RRULE:"):
        raise UnsupportedRecurrence(
            "Outlook takes one RRULE. Dates that are added (RDATE) or left out (EXDATE) are no part"
            " of a series there: delete or add single events."
        )
    parts: dict[str, str] = {}
    for text in lines[0][6:].upper().split(";"):
        name, _, value = text.partition("=")
        if name in parts or not value:
            raise UnsupportedRecurrence("The RRULE cannot be read.")
        parts[name] = value
    if unknown := sorted(parts.keys() - _PARTS):
        raise UnsupportedRecurrence(f"Outlook knows no {', '.join(unknown)[:60]}.")
    if parts.get("FREQ") not in _FREQUENCIES:
        raise UnsupportedRecurrence("Outlook repeats by days, weeks, months and years only.")
    if "COUNT" in parts and "UNTIL" in parts:
        raise UnsupportedRecurrence("A rule has COUNT or UNTIL, not both.")
    return parts


def _daily(parts: dict[str, str], days: list[tuple[int, str]], start: dt.datetime) -> Any:
    _refuse(parts, "BYMONTH", "BYMONTHDAY", "BYSETPOS")
    if not days:
        return {"type": "daily"}
    if parts.get("INTERVAL", "1") != "1":
        raise UnsupportedRecurrence("Outlook repeats every so many days, or on weekdays, not both.")
    return _weekly(parts, days, start)


def _weekly(parts: dict[str, str], days: list[tuple[int, str]], start: dt.datetime) -> Any:
    _refuse(parts, "BYMONTH", "BYMONTHDAY", "BYSETPOS")
    if any(number for number, _ in days):
        raise UnsupportedRecurrence("A weekly or daily rule has no numbered weekdays.")
    first = _DAYS.get(parts.get("WKST", "MO"))
    if first is None:
        raise UnsupportedRecurrence("The RRULE's WKST is no day.")
    names = [day for _, day in days] or [_day_of(start)]
    _check_start(_day_of(start) in names)
    return {"type": "weekly", "daysOfWeek": names, "firstDayOfWeek": first}


def _monthly(parts: dict[str, str], days: list[tuple[int, str]], start: dt.datetime) -> Any:
    _refuse(parts, "BYMONTH")
    if days:
        _refuse(parts, "BYMONTHDAY")
        return {"type": "relativeMonthly", **_relative(parts, days, start)}
    _refuse(parts, "BYSETPOS")
    if start.day > 28:
        # RFC 5545 section 3.3.10 leaves shorter months out; Outlook takes their last day instead.
        raise UnsupportedRecurrence("Outlook moves the 29th to 31st in shorter months.")
    return {"type": "absoluteMonthly", "dayOfMonth": _day_of_month(parts, start)}


def _yearly(parts: dict[str, str], days: list[tuple[int, str]], start: dt.datetime) -> Any:
    month = _number(parts, "BYMONTH", 1, 12) if "BYMONTH" in parts else start.month
    _check_start(month == start.month)
    if days:
        _refuse(parts, "BYMONTHDAY")
        if "BYMONTH" not in parts:
            raise UnsupportedRecurrence("Outlook numbers weekdays in a month: give BYMONTH.")
        return {"type": "relativeYearly", "month": month, **_relative(parts, days, start)}
    _refuse(parts, "BYSETPOS")
    if (start.month, start.day) == (2, 29):
        raise UnsupportedRecurrence("Outlook moves the 29th of February in other years.")
    return {"type": "absoluteYearly", "month": month, "dayOfMonth": _day_of_month(parts, start)}


def _relative(
    parts: dict[str, str], days: list[tuple[int, str]], start: dt.datetime
) -> dict[str, Any]:
    """`2TU`, or `TU,WE` with one BYSETPOS: the first to fourth, or the last, of the days."""
    numbers = {number for number, _ in days}
    if "BYSETPOS" in parts:
        ordinal = _number(parts, "BYSETPOS", -1, 4) if numbers == {0} else 0
    else:
        ordinal = next(iter(numbers)) if len(days) == 1 else 0
    if ordinal not in _INDEXES:
        raise UnsupportedRecurrence(
            "Outlook repeats on the first, second, third, fourth or last of the given weekdays."
        )
    names = [day for _, day in days]
    month = (start.replace(day=day) for day in range(1, monthrange(start.year, start.month)[1] + 1))
    fitting = [moment.day for moment in month if _day_of(moment) in names]
    _check_start(fitting[ordinal if ordinal < 0 else ordinal - 1] == start.day)
    return {"daysOfWeek": names, "index": _INDEXES[ordinal]}


def _day_of_month(parts: dict[str, str], start: dt.datetime) -> int:
    if "BYMONTHDAY" in parts:
        _check_start(_number(parts, "BYMONTHDAY", 1, 31) == start.day)
    return start.day


def _check_start(fits: bool) -> None:
    """Outlook begins with the first day that fits, RFC 5545 with the start: two series."""
    if not fits:
        raise UnsupportedRecurrence("The event does not start on a day of its own rule.")


def _range(parts: dict[str, str], start: dt.datetime, time_zone: str) -> dict[str, Any]:
    span: dict[str, Any] = {
        "startDate": start.date().isoformat(),
        "recurrenceTimeZone": time_zone,
    }
    if "COUNT" in parts:
        return span | {
            "type": "numbered",
            "numberOfOccurrences": _number(parts, "COUNT", 1, _MOST),
        }
    if "UNTIL" not in parts:
        return span | {"type": "noEnd"}
    last = _last_day(parts["UNTIL"], start, zone(iana_name(time_zone)))
    if last < start.date():
        raise UnsupportedRecurrence("The rule ends before the event starts.")
    return span | {"type": "endDate", "endDate": last.isoformat()}


def _last_day(text: str, start: dt.datetime, there: ZoneInfo | None) -> dt.date:
    """The last day on which an occurrence may start: Graph's end has no time of day."""
    match = _UNTIL.fullmatch(text)
    if match is None:
        raise UnsupportedRecurrence("The RRULE's UNTIL cannot be read.")
    try:
        if match[2] is None:
            return dt.datetime.strptime(match[1], "%Y%m%d").date()  # noqa: DTZ007  a date
        until = dt.datetime.strptime(match[1] + match[2], "%Y%m%d%H%M%S")  # noqa: DTZ007
    except ValueError:
        raise UnsupportedRecurrence("The RRULE's UNTIL cannot be read.") from None
    if match[3]:
        until = until.replace(tzinfo=dt.UTC).astimezone(there or dt.UTC).replace(tzinfo=None)
    earlier = until.time() < start.replace(tzinfo=None).time()
    return until.date() - dt.timedelta(days=1) if earlier else until.date()


def _weekday(text: str) -> tuple[int, str]:
    match = _WEEKDAY.fullmatch(text)
    if match is None:
        raise UnsupportedRecurrence("The RRULE's BYDAY cannot be read.")
    return int(match[1] or 0), _DAYS[match[2]]


def _number(parts: dict[str, str], name: str, least: int, most: int) -> int:
    """One number: Outlook takes no lists of them."""
    text = parts[name]
    if not re.fullmatch(r"[+-]?\d{1,4}", text, re.ASCII) or not least <= int(text) <= most:
        raise UnsupportedRecurrence(f"Outlook takes one {name} of {least} to {most}.")
    return int(text)


def _list(parts: dict[str, str], name: str) -> list[str]:
    return parts[name].split(",") if name in parts else []


def _refuse(parts: dict[str, str], *names: str) -> None:
    if found := [name for name in names if name in parts]:
        raise UnsupportedRecurrence(f"Outlook has no {parts['FREQ']} rule with {', '.join(found)}.")


def _day_of(moment: dt.datetime) -> str:
    return _DAYS[_ORDER[moment.weekday()]]
