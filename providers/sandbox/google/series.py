"""Recurring events: which instances a series has, and what each looks like."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from dateutil.rrule import rruleset, rrulestr

from providers.sandbox.google import times
from providers.sandbox.google.errors import GoogleError
from providers.sandbox.google.resources import Home, Resource, html_link

DAYS_BACK, DAYS_AHEAD = 60, 400
_MOST = 1500  # instances of one series


def instances(home: Home, master: Resource) -> Iterator[Resource]:
    """The instances from 60 days back to 400 days ahead, as resources without stamp.

    The rule runs on the wall clock of the event's zone, so an instance keeps its hour over a DST
    change (RFC 5545 section 3.3.10). Raises 400 for a rule that cannot be read.
    """
    start, whole_day = times.local_start(master["start"], home.zone)
    end, _ = times.local_start(master["end"], home.zone)
    length = (
        (end.date() - start.date()) if whole_day else (end.astimezone(UTC) - start.astimezone(UTC))
    )
    base = {name: value for name, value in master.items() if name != "recurrence"}
    zones = [master[name].get("timeZone", home.zone_name) for name in ("start", "end")]
    for wall in _occurrences(master["recurrence"], start):
        at = wall.replace(tzinfo=start.tzinfo)
        until = (at + length) if whole_day else (at.astimezone(UTC) + length)
        original = times.rendered(
            at, whole_day=whole_day, zone_name=zones[0], calendar_zone=home.zone
        )
        event_id = f"{master['id']}_{_suffix(at, whole_day)}"
        yield base | {
            "id": event_id,
            "htmlLink": html_link(home, event_id),
            "recurringEventId": master["id"],
            "originalStartTime": original,
            "start": original,
            "end": times.rendered(
                until, whole_day=whole_day, zone_name=zones[1], calendar_zone=home.zone
            ),
        }


def is_endless(master: Resource) -> bool:
    """Whether the series has no last instance."""
    rules = [line.upper() for line in master["recurrence"] if line.upper().startswith("RRULE")]
    return any("COUNT=" not in rule and "UNTIL=" not in rule for rule in rules)


def _suffix(at: datetime, whole_day: bool) -> str:
    return f"{at:%Y%m%d}" if whole_day else f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _occurrences(lines: list[str], start: datetime) -> list[datetime]:
    now = datetime.now(UTC).astimezone(start.tzinfo).replace(tzinfo=None)
    try:
        found = _rules(lines, start).between(
            now - timedelta(days=DAYS_BACK), now + timedelta(days=DAYS_AHEAD), inc=True, count=_MOST
        )
        return list(found)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise GoogleError(400, "invalid", f"Invalid recurrence rule: {error}") from None


def _rules(lines: list[str], start: datetime) -> rruleset:
    wall = start.replace(tzinfo=None)
    rules = rruleset()
    for line in lines:
        head, _, value = line.partition(":")
        name, *parameters = head.split(";")
        name = name.upper()
        if name in {"RRULE", "EXRULE"}:
            rule: Any = rrulestr(_wall_until(value, start), dtstart=wall)
            rules.rrule(rule) if name == "RRULE" else rules.exrule(rule)
        elif name in {"RDATE", "EXDATE"}:
            for text in value.split(","):
                at = _listed(text, parameters, start)
                rules.rdate(at) if name == "RDATE" else rules.exdate(at)
        else:
            raise ValueError(f"{line!r} is not an RRULE, EXRULE, RDATE or EXDATE line.")
    return rules


def _wall_until(rule: str, start: datetime) -> str:
    # dateutil wants UNTIL on the same clock as the start, RFC 5545 wants it in UTC.
    parts = []
    for part in rule.split(";"):
        name, _, value = part.partition("=")
        if name.upper() == "UNTIL":
            is_day = len(value) == 8
            at = _listed(value, [], start)
            at = datetime.combine(at.date(), datetime.max.time()) if is_day else at
            parts.append(f"UNTIL={at:%Y%m%dT%H%M%S}")
        else:
            parts.append(part)
    return ";".join(parts)


def _listed(text: str, parameters: list[str], start: datetime) -> datetime:
    if len(text) == 8:
        day = date.fromisoformat(text)
        return datetime.combine(day, start.time())
    at = datetime.fromisoformat(text.rstrip("Zz"))
    if text[-1] in "Zz":
        return at.replace(tzinfo=UTC).astimezone(start.tzinfo).replace(tzinfo=None)
    zone = next((p[5:] for p in parameters if p.upper().startswith("TZID=")), None)
    if zone:
        return at.replace(tzinfo=times.zone_of(zone)).astimezone(start.tzinfo).replace(tzinfo=None)
    return at
