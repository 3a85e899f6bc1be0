"""Google's JSON of events, captured or made for one test, and the pages it makes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from providers.base import EventQuery, RemoteEvent, Window
from providers.google.page import Page

FIXTURES = Path(__file__).parent / "fixtures"
WINDOW = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
FULL = EventQuery("anna@example.com", WINDOW)
CHANGES = EventQuery("anna@example.com", WINDOW, cursor="CPDAlvWDx70CEPDAlvWDx70CGAU=")


def utc(*when: int) -> datetime:
    return datetime(*when, tzinfo=UTC)  # type: ignore[arg-type,misc]


def page_of(items: Iterable[Any], query: EventQuery = FULL, **fields: Any) -> Page:
    listing = {"timeZone": "Europe/Berlin", "nextSyncToken": "next", "items": list(items), **fields}
    return Page(json.dumps(listing).encode(), query)


def item(**changes: Any) -> dict[str, Any]:
    """A plain event; a change to None leaves the field out."""
    plain = {
        "id": "plain",
        "etag": '"1"',
        "status": "confirmed",
        "summary": "Plain",
        "start": {"dateTime": "2026-03-02T10:00:00+01:00", "timeZone": "Europe/Berlin"},
        "end": {"dateTime": "2026-03-02T11:00:00+01:00", "timeZone": "Europe/Berlin"},
    }
    return {name: value for name, value in (plain | changes).items() if value is not None}


def only(**changes: Any) -> RemoteEvent:
    """What becomes of one event."""
    page = page_of([item(**changes)])
    [event], invalid = page.read(page.versions)
    assert invalid == []
    return event
