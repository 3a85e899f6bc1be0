"""Calendar objects of the storm's own making, and which occurrences they have.

They are of simple shapes: what is there is counted here, by dates alone, and no library that reads
iCalendar is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.soak.sides import Seen

ZONE = "Europe/Berlin"
_ANSWERS = {
    "accepted": "ACCEPTED",
    "declined": "DECLINED",
    "tentative": "TENTATIVE",
    "needsAction": "NEEDS-ACTION",
}
_STAMP = "%Y%m%dT%H%M%S"


@dataclass(frozen=True)
class Entry:
    """One VEVENT: what it says, and when, on the clock of ZONE. `days`: so many whole ones."""

    title: str
    start: datetime
    length: timedelta
    days: int = 0
    description: str = ""
    location: str = ""
    status: str = "confirmed"
    guests: tuple[tuple[str, str], ...] = ()

    def lines(self) -> Iterator[str]:
        yield f"SUMMARY:{_escaped(self.title)}"
        end = self.start + (timedelta(days=self.days) if self.days else self.length)
        yield when("DTSTART", self.start, all_day=bool(self.days))
        yield when("DTEND", end, all_day=bool(self.days))
        yield f"STATUS:{self.status.upper()}"
        if self.description:
            yield f"DESCRIPTION:{_escaped(self.description)}"
        if self.location:
            yield f"LOCATION:{_escaped(self.location)}"
        for email, answer in self.guests:
            yield f"ATTENDEE;PARTSTAT={_ANSWERS[answer]}:mailto:{email}"

    def seen(self, etag: str) -> Seen:
        first, last = self.start, self.start + (timedelta(days=self.days) or self.length)
        return Seen(
            etag=etag,
            title=self.title,
            start_at=instant(first),
            end_at=instant(last),
            all_day=bool(self.days),
            start_date=first.date() if self.days else None,
            end_date=last.date() if self.days else None,
            status=self.status,
            description=self.description,
            location=self.location,
            attendees=tuple(
                (email, "", {"needsAction": "needs_action"}.get(answer, answer))
                for email, answer in self.guests
            ),
        )


@dataclass
class Item:
    """An object: a single event, or a series of `count` every `step` days.

    By the number of an occurrence: `excluded` and `called_off` are gone, as EXDATE and as a
    cancelled override; `changed` are overrides.
    """

    uid: str
    entry: Entry
    step: int = 0
    count: int = 0
    excluded: set[int] = field(default_factory=set)
    called_off: set[int] = field(default_factory=set)
    changed: dict[int, Entry] = field(default_factory=dict)
    sequence: int = 0

    @property
    def gone(self) -> set[int]:
        return self.excluded | self.called_off

    def start_of(self, number: int) -> datetime:
        return self.entry.start + timedelta(days=self.step * number)

    def occurrence(self, number: int) -> Entry:
        """As the series says it is."""
        return replace(self.entry, start=self.start_of(number))

    def text(self) -> list[str]:
        """Its VEVENTs, in folded lines."""
        all_day = bool(self.entry.days)
        more = []
        if self.count:
            frequency = {1: "DAILY", 7: "WEEKLY"}[self.step]
            more.append(f"RRULE:FREQ={frequency};COUNT={self.count}")
        more += [
            when("EXDATE", self.start_of(number), all_day=all_day)
            for number in sorted(self.excluded)
        ]
        lines = self._event(self.entry, *more)
        for number in sorted(self.called_off | self.changed.keys()):
            entry = self.changed.get(number) or self.occurrence(number)
            if number in self.called_off:
                entry = replace(self.occurrence(number), status="cancelled")
            mark = when("RECURRENCE-ID", self.start_of(number), all_day=all_day)
            lines += self._event(entry, mark)
        return [piece for line in lines for piece in _folded(line)]

    def seen(self, object_id: str, etag: str) -> Iterator[tuple[str, Seen]]:
        """The events by their ids: the object's, for an occurrence with when it was to begin."""
        if not self.count:
            yield object_id, self.entry.seen(etag)
        for number in set(range(self.count)) - self.gone:
            start = self.start_of(number)
            at = f"{start:%Y%m%d}" if self.entry.days else f"{instant(start):{_STAMP}}Z"
            entry = self.changed.get(number) or self.occurrence(number)
            yield f"{object_id}#{at}", entry.seen(etag)

    def _event(self, entry: Entry, *more: str) -> list[str]:
        stamp = f"{datetime.now(UTC):{_STAMP}}Z"
        head = ["BEGIN:VEVENT", f"UID:{self.uid}", f"DTSTAMP:{stamp}", f"SEQUENCE:{self.sequence}"]
        return [*head, *entry.lines(), *more, "END:VEVENT"]


def calendar(items: list[Item], *properties: str) -> str:
    """A whole iCalendar text."""
    head = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//storm//EN", *properties]
    lines = [*head, *(line for item in items for line in item.text()), "END:VCALENDAR"]
    return "".join(f"{line}\r\n" for line in lines)


def when(name: str, at: datetime, *, all_day: bool) -> str:
    """A property with a time in ZONE, or with a date."""
    return f"{name};VALUE=DATE:{at:%Y%m%d}" if all_day else f"{name};TZID={ZONE}:{at:{_STAMP}}"


def instant(at: datetime) -> datetime:
    return at.replace(tzinfo=ZoneInfo(ZONE)).astimezone(UTC)


def _escaped(text: str) -> str:
    for sign, written in (("\\", "\\\\"), ("\n", "\\n"), (",", "\\,"), (";", "\\;")):
        text = text.replace(sign, written)
    return text


def _folded(line: str) -> Iterator[str]:
    """RFC 5545 section 3.1: 75 octets at most, never within a character."""
    piece, size = "", 0
    for sign in line:
        width = len(sign.encode())
        if size + width > 74:
            yield piece
            piece, size = " ", 1
        piece, size = piece + sign, size + width
    yield piece
