"""Calendars for the tests, written in short."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from providers.base import InvalidEvent, RemoteEvent, RemoteObject, Window
from providers.ical.reader import read_resource

WINDOW = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


def event(*lines: str, uid: str = "one") -> str:
    return "\r\n".join(["BEGIN:VEVENT", f"UID:{uid}", *lines, "END:VEVENT"])


def calendar(*parts: str) -> str:
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", *parts, "END:VCALENDAR", ""])


def read(*parts: str, **more: Any) -> RemoteObject | InvalidEvent:
    return read_resource("object", "etag", calendar(*parts), window=WINDOW, **more)


def good(*parts: str, **more: Any) -> RemoteObject:
    found = read(*parts, **more)
    assert isinstance(found, RemoteObject), found.reason
    return found


def only(*lines: str, **more: Any) -> RemoteEvent:
    [found] = good(event(*lines), **more).events
    return found


def reason(*parts: str, **more: Any) -> str:
    found = read(*parts, **more)
    assert isinstance(found, InvalidEvent), found.events[:1]
    assert found.id == "object"
    return found.reason


def starts(found: RemoteObject) -> list[datetime]:
    return sorted(item.start_at for item in found.events)
