"""An account at a real CalDAV server, and its owner's hands: another program of theirs."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from providers.base import Http
from providers.caldav.provider import CalDavProvider
from providers.http import HttpClient
from tests.caldav_servers import CalDavServer
from tests.providers.contract_entered import EnteredWorld
from tests.providers.contract_world import ZONE, Details, When, wall

_PARTSTAT = {"needs_action": "NEEDS-ACTION"}


@dataclass
class Object:
    """An object as the other program has it. Times are naive, in `zone`."""

    title: str
    start: When
    end: When
    weekly: int = 0
    zone: str = ZONE
    lines: tuple[str, ...] = ()
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    cancelled: list[When] = field(default_factory=list)
    moved: dict[datetime, tuple[When, When]] = field(default_factory=dict)

    def text(self) -> str:
        rule = [f"RRULE:FREQ=WEEKLY;COUNT={self.weekly}"] if self.weekly else []
        rule += [self._when("EXDATE", each) for each in self.cancelled]
        events = self._event(self.start, self.end, *rule)
        for at, (start, end) in self.moved.items():
            events += self._event(start, end, self._when("RECURRENCE-ID", at))
        lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//tests//EN", *events, "END:VCALENDAR"]
        return "".join(f"{line}\r\n" for line in lines)

    def _event(self, start: When, end: When, *more: str) -> list[str]:
        return [
            "BEGIN:VEVENT",
            f"UID:{self.uid}",
            f"DTSTAMP:{datetime.now(UTC):%Y%m%dT%H%M%SZ}",
            f"LAST-MODIFIED:{datetime.now(UTC):%Y%m%dT%H%M%SZ}",
            self._when("DTSTART", start),
            self._when("DTEND", end),
            f"SUMMARY:{self.title}",
            *self.lines,
            *more,
            "END:VEVENT",
        ]

    def _when(self, name: str, when: When) -> str:
        if isinstance(when, datetime):
            return f"{name};TZID={self.zone}:{when:%Y%m%dT%H%M%S}"
        return f"{name};VALUE=DATE:{when:%Y%m%d}"


class CalDavWorld(EnteredWorld):
    """A fresh calendar of an account at one of the servers."""

    provider: CalDavProvider

    def __init__(self, server: CalDavServer) -> None:
        self.server = server
        self.provider = CalDavProvider()
        self.http: Http = self.patient_for(15)
        self.address, self.user, self.secret = server.url, server.user, server.password
        self.email = server.user
        self.calendar_id = server.make_calendar("Contract", zone=ZONE)
        self.objects: dict[str, Object] = {}

    @property
    def hosts(self) -> frozenset[str]:
        """Where the adapter may go."""
        return frozenset({self.server.host})

    def patient_for(self, seconds: float) -> Http:
        return HttpClient(user_agent="contract", allowed_hosts=self.hosts, read_timeout=seconds)

    def store(self, item: Object, key: str = "") -> str:
        """Store an object, new or in place of another; its id."""
        path = self.server.put(self.calendar_id, item.text(), key.rpartition("/")[2])
        self.objects[path] = item
        return path

    def add(self, title: str, start: When, end: When, *, weekly: int = 0) -> str:
        return self.store(Object(title, start, end, weekly))

    def add_detailed(self, title: str, start: datetime, end: datetime, details: Details) -> str:
        lines = [
            f"STATUS:{'TENTATIVE' if details.tentative else 'CONFIRMED'}",
            f"TRANSP:{'TRANSPARENT' if details.free else 'OPAQUE'}",
            f"CLASS:{'PRIVATE' if details.private else 'PUBLIC'}",
        ]
        for email, answer in details.guests:
            said = _PARTSTAT.get(answer, answer.upper())
            lines.append(f"ATTENDEE;PARTSTAT={said}:mailto:{email}")
        if details.guests:
            lines.append(f"ORGANIZER:mailto:{self.email}")
        return self.store(Object(title, start, end, zone=details.zone, lines=tuple(lines)))

    def add_meeting(self, title: str, start: datetime, end: datetime) -> str:
        url = "https://meet.jit.si/contract"
        self.store(Object(title, start, end, lines=(f"CONFERENCE;VALUE=URI;FEATURE=VIDEO:{url}",)))
        return url

    def fill(self, count: int) -> None:
        start = wall(datetime.now(UTC)).replace(microsecond=0)
        half = f"RRULE:FREQ=HOURLY;COUNT={count // 2}"
        for title in ("One half", "The other half"):
            self.store(Object(title, start, start + timedelta(minutes=30), lines=(half,)))

    def rename(self, event_id: str, title: str) -> None:
        item = self.objects[event_id]
        item.title = title
        self.store(item, event_id)

    def move(self, event_id: str, start: When, end: When) -> None:
        key, at = self._whose(event_id)
        item = self.objects[key]
        if at is None:
            item.start, item.end = start, end
        else:
            item.moved[at] = start, end
        self.store(item, key)

    def delete(self, event_id: str) -> None:
        key, at = self._whose(event_id)
        if at is None:
            del self.objects[key]
            self.server.delete(key)
            return
        item = self.objects[key]
        item.cancelled.append(at)
        item.moved.pop(at, None)
        self.store(item, key)

    def damage(self, body: bytes, event_id: str) -> bytes:
        parts = re.split(rb"(?=<[A-Za-z0-9]*:?response>)", body)
        return b"".join(
            re.sub(rb"DTSTART[^\r\n&]*", b"DTSTART:nonsense", part)
            if event_id.encode() in part
            else part
            for part in parts
        )

    def _whose(self, event_id: str) -> tuple[str, datetime | None]:
        """The object of an event, and which occurrence of it that is."""
        [key] = [key for key in self.objects if event_id.startswith(key)]
        found = re.search(r"(\d{8})T(\d{6})(Z?)", event_id.removeprefix(key))
        if found is None:
            return key, None
        at = datetime.strptime(f"{found[1]}{found[2]}", "%Y%m%d%H%M%S")  # noqa: DTZ007  naive
        return key, wall(at.replace(tzinfo=UTC)) if found[3] else at
