"""Moments in query strings."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, tzinfo

from django.utils.dateparse import parse_date, parse_datetime

_LOST_PLUS = re.compile(r".*T.* \d\d(:?\d\d)?$")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_EXAMPLES = "2026-03-02T09:00:00Z, 2026-03-02T10:00:00+01:00 or 2026-03-02"


def parse_moment(text: str, *, zone: tzinfo) -> datetime:
    """The moment `text` names, in UTC. A date alone is its midnight in `zone`.

    Raises ValueError with a message for the caller.
    """
    # RFC 3339 section 5.6 lets T and Z be small; digits are ASCII's alone.
    text = text.upper() if text.isascii() else ""
    try:
        moment = _parse_date(text, zone) or parse_datetime(text)
    except ValueError:
        raise ValueError(f"There is no such date or time. Give one like {_EXAMPLES}.") from None
    if moment is None:
        if _LOST_PLUS.match(text):
            raise ValueError(
                "The + of the offset was read as a space. Send it as %2B, or the time in UTC with"
                " a Z."
            )
        raise ValueError(f"Give an ISO 8601 date-time or date, like {_EXAMPLES}.")
    if moment.tzinfo is None:
        raise ValueError(
            "The time has no offset. Add one, such as +01:00, or Z for UTC: 2026-03-02T09:00:00Z"
        )
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("The year must be between 0001 and 9999 in UTC.") from None


def _parse_date(text: str, zone: tzinfo) -> datetime | None:
    if not _DATE.fullmatch(text):
        return None
    day: date | None = parse_date(text)
    return None if day is None else datetime.combine(day, time(), tzinfo=zone)
