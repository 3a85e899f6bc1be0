"""A feed and the hands of whoever publishes it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Protocol
from urllib.parse import urlsplit

from providers.base import Access, Http
from providers.errors import (
    CalendarForbidden,
    CalendarNotFound,
    FeedTooLarge,
    NotACalendar,
    ProviderError,
    ProviderUnavailable,
)
from providers.http import HttpClient
from providers.ical.reader import split_id
from providers.ics.provider import CALENDAR_ID, IcsProvider
from tests.providers.contract_entered import EnteredWorld
from tests.providers.contract_world import TODAY, ZONE, Details, When, wall
from tests.providers.ics.server import SECRET

_ANSWERS = {"needs_action": "NEEDS-ACTION"}


@dataclass
class Entry:
    """One object of the feed: its master's lines by name, and overrides by recurrence id."""

    lines: dict[str, str]
    more: list[str] = field(default_factory=list)
    overrides: dict[str, dict[str, str]] = field(default_factory=dict)
    version: int = 0

    def text(self) -> str:
        modified = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=self.version)
        stamp = f"LAST-MODIFIED:{modified:%Y%m%dT%H%M%SZ}"
        blocks = [[*_written(self.lines), *self.more, stamp]]
        uid = self.lines["UID"]
        for lines in self.overrides.values():
            blocks.append([f"UID:{uid}", *_written(lines), stamp])
        return "\r\n".join(
            line for block in blocks for line in ["BEGIN:VEVENT", *block, "END:VEVENT"]
        )


class Calendar:
    """Objects of a calendar, as text."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}

    def add(self, title: str, start: When, end: When, *, weekly: int = 0, zone: str = ZONE) -> str:
        uid = uuid.uuid4().hex
        lines = {"UID": uid, "SUMMARY": title, **_times(start, end, zone)}
        if weekly:
            lines["RRULE"] = f"FREQ=WEEKLY;COUNT={weekly}"
        self.entries[uid] = Entry(lines)
        return uid

    def change(self, uid: str, **lines: str) -> None:
        entry = self.entries[uid]
        entry.lines |= lines
        entry.version += 1

    def move(self, event_id: str, start: When, end: When) -> None:
        uid, key = split_id(event_id)
        entry = self.entries[uid]
        entry.version += 1
        if key is None:
            for name in [name for name in entry.lines if name.startswith(("DTSTART", "DTEND"))]:
                del entry.lines[name]
            entry.lines |= _times(start, end, ZONE)
            return
        assert isinstance(key, datetime)
        original = f"{key:%Y%m%dT%H%M%SZ}"
        entry.overrides[original] = {
            "RECURRENCE-ID": original,
            "SUMMARY": entry.lines["SUMMARY"],
            **_times(start, end, ZONE),
        }

    def delete(self, event_id: str) -> None:
        uid, key = split_id(event_id)
        if key is None:
            del self.entries[uid]
            return
        assert isinstance(key, datetime)
        self.entries[uid].more.append(f"EXDATE:{key:%Y%m%dT%H%M%SZ}")
        self.entries[uid].version += 1

    def detail(self, uid: str, details: Details) -> None:
        entry = self.entries[uid]
        if details.tentative:
            entry.lines["STATUS"] = "TENTATIVE"
        if details.free:
            entry.lines["TRANSP"] = "TRANSPARENT"
        if details.private:
            entry.lines["CLASS"] = "PRIVATE"
        entry.more += [
            f"ATTENDEE;PARTSTAT={_ANSWERS.get(answer, answer.upper())}:mailto:{email}"
            for email, answer in details.guests
        ]

    def text(self, *head: str) -> str:
        blocks = [entry.text() for entry in self.entries.values()]
        lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Test//EN", *head, *blocks]
        return "\r\n".join([*lines, "END:VCALENDAR", ""])


class Feed(Protocol):
    """A web server with one feed."""

    text: str

    @property
    def url(self) -> str: ...


class IcsWorld(EnteredWorld):
    """A feed on a web server."""

    provider = IcsProvider()
    email = user = secret = ""
    calendar_id = CALENDAR_ID
    own_errors: ClassVar[Mapping[str, type[ProviderError]]] = {
        "html": NotACalendar,
        "nothing": NotACalendar,
        "too_much": FeedTooLarge,
        "quota": ProviderUnavailable,
        "unauthorized": CalendarForbidden,
        "wrong": CalendarNotFound,
    }
    keeps_no_cursors = "a feed is fetched as a whole: its cursor only saves reading it again"
    targets = ("calendars", "events")
    asks_for_no_password = "a feed has no password: its address is the secret"
    secret_part = SECRET

    def __init__(self, server: Feed) -> None:
        self._server = server
        self._calendar = Calendar()
        self.http = self.patient_for(15)
        self.address = server.url
        self._publish()

    def add(self, title: str, start: When, end: When, *, weekly: int = 0) -> str:
        uid = self._calendar.add(title, start, end, weekly=weekly)
        self._publish()
        return uid

    def add_detailed(self, title: str, start: datetime, end: datetime, details: Details) -> str:
        uid = self._calendar.add(title, start, end, zone=details.zone)
        self._calendar.detail(uid, details)
        self._publish()
        return uid

    def add_meeting(self, title: str, start: datetime, end: datetime) -> str:
        url = "https://meet.example.com/abc"
        uid = self._calendar.add(title, start, end)
        self._calendar.entries[uid].more.append(f"CONFERENCE;VALUE=URI;FEATURE=VIDEO:{url}")
        self._publish()
        return url

    def fill(self, count: int) -> None:
        start = wall(TODAY)
        for number in range(count):
            begin = start + timedelta(hours=number)
            self._calendar.add(f"Event {number}", begin, begin + timedelta(minutes=30))
        self._publish()

    def rename(self, event_id: str, title: str) -> None:
        self._calendar.change(event_id, SUMMARY=title)
        self._publish()

    def move(self, event_id: str, start: When, end: When) -> None:
        self._calendar.move(event_id, start, end)
        self._publish()

    def delete(self, event_id: str) -> None:
        self._calendar.delete(event_id)
        self._publish()

    def spoilt(self, access: Access) -> Access:
        return replace(access, address=f"{access.address}-wrong")

    def damage(self, body: bytes, event_id: str) -> bytes:
        pattern = rb"(UID:" + event_id.encode() + rb"\r\n.*?DTSTART)[^\r]*"
        return re.sub(pattern, rb"\1:nonsense", body, count=1, flags=re.DOTALL)

    def patient_for(self, seconds: float) -> Http:
        allowed = frozenset({urlsplit(self._server.url).netloc})
        return HttpClient(user_agent="contract", allowed_hosts=allowed, read_timeout=seconds)

    def _publish(self) -> None:
        self._server.text = self._calendar.text("X-WR-CALNAME:Contract", f"X-WR-TIMEZONE:{ZONE}")


def _times(start: When, end: When, zone: str) -> dict[str, str]:
    if isinstance(start, datetime) and isinstance(end, datetime):
        return {
            f"DTSTART;TZID={zone}": f"{start:%Y%m%dT%H%M%S}",
            f"DTEND;TZID={zone}": f"{end:%Y%m%dT%H%M%S}",
        }
    return {"DTSTART;VALUE=DATE": f"{start:%Y%m%d}", "DTEND;VALUE=DATE": f"{end:%Y%m%d}"}


def _written(lines: dict[str, str]) -> list[str]:
    return [f"{name}:{value}" for name, value in lines.items()]
