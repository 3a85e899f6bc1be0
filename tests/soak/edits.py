"""What people do to their calendars at the sandbox, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.sandbox.process import SandboxProcess
from tests.soak.sides import Link

# So many events stay: a calendar that suddenly lists none is another matter (docs/sync.md).
LEAST = 12
# Days from today, inside the window that is synced; and one beyond it.
EARLIEST, LATEST, BEYOND = -25, 340, 395
_ZONE = "Europe/Berlin"
WORDS = (
    "Kick-off",
    "Zahnarzt",
    "Café ☕",
    "Возврат",
    "会議",
    "Stand-up",
    "Review",
    "Lunch 🍜",
    "1:1",
)
PEOPLE = ("ana@example.com", "bo@example.com", "cem@example.com", "dee@example.com")
ANSWERS = ("accepted", "declined", "tentative", "needsAction")


@dataclass
class Series:
    """Occurrences begin at `start`, on the clock of `_ZONE`, every `step` days."""

    start: datetime
    step: int
    count: int
    all_day: bool
    cancelled: set[int] = field(default_factory=set)

    def occurrence(self, key: str, number: int) -> str:
        """The id of an occurrence, which tells when it was to begin (Google's form)."""
        at = self.start + timedelta(days=self.step * number)
        if self.all_day:
            return f"{key}_{at:%Y%m%d}"
        moment = at.replace(tzinfo=ZoneInfo(_ZONE)).astimezone(UTC)
        return f"{key}_{moment:%Y%m%dT%H%M%SZ}"


@dataclass
class Shelf:
    """What is in one account's calendar, as far as edits need it."""

    account: str
    singles: list[str]
    series: dict[str, Series] = field(default_factory=dict)


class Edits:
    """Edits of the accounts' main calendars. Only `chance` decides, never how fast things go."""

    def __init__(self, sandbox: SandboxProcess, accounts: list[str], chance: random.Random) -> None:
        self._sandbox = sandbox
        self._chance = chance
        self._today = datetime.combine(datetime.now(UTC).date(), time())
        self._shelves = {account: Shelf(account, self._ids(account)) for account in accounts}
        self._kinds: list[tuple[Callable[[Shelf], None], int]] = [
            (self._create, 5),
            (self._create_all_day, 2),
            (self._create_series, 2),
            (self._reword, 6),
            (self._move, 4),
            (self._make_all_day, 1),
            (self._leave_the_window, 1),
            (self._change_occurrence, 3),
            (self._cancel_occurrence, 2),
            (self._revive_occurrence, 1),
            (self._change_series, 1),
            (self._delete, 7),
            (self._delete_series, 1),
            (self._touch_many, 2),
        ]

    def make(self, link: Link, count: int) -> None:
        """Edit this calendar so many times."""
        kinds, weights = zip(*self._kinds, strict=True)
        for edit in self._chance.choices(kinds, weights, k=count):
            edit(self._shelves[link.account])

    def _create(self, shelf: Shelf) -> None:
        shelf.singles.append(self._insert(shelf, {**self._words(), **self._times()}))

    def _create_all_day(self, shelf: Shelf) -> None:
        shelf.singles.append(self._insert(shelf, {**self._words(), **self._days()}))

    def _create_series(self, shelf: Shelf) -> None:
        start = self._moment(latest=100)
        step, count = self._chance.choice((1, 7)), self._chance.randint(3, 12)
        series = Series(start, step, count, all_day=self._chance.random() < 0.3)
        if series.all_day:
            series.start = datetime.combine(start.date(), time())
        rule = f"RRULE:FREQ={'DAILY' if step == 1 else 'WEEKLY'};COUNT={count}"
        times = _span(series.start, hours=1, all_day=series.all_day)
        key = self._insert(shelf, {**self._words(), **times, "recurrence": [rule]})
        shelf.series[key] = series

    def _reword(self, shelf: Shelf) -> None:
        self._patch(shelf, self._chance.choice(shelf.singles), self._words())

    def _move(self, shelf: Shelf) -> None:
        self._patch(shelf, self._chance.choice(shelf.singles), self._times())

    def _make_all_day(self, shelf: Shelf) -> None:
        self._patch(shelf, self._chance.choice(shelf.singles), self._days())

    def _leave_the_window(self, shelf: Shelf) -> None:
        start = self._today + timedelta(days=BEYOND + self._chance.randint(0, 30))
        self._patch(shelf, self._chance.choice(shelf.singles), _span(start, hours=1))

    def _change_occurrence(self, shelf: Shelf) -> None:
        if found := self._occurrence(shelf, cancelled=False):
            key, series, number = found
            change = self._times() if self._chance.random() < 0.5 else self._words()
            self._patch(shelf, series.occurrence(key, number), change)

    def _cancel_occurrence(self, shelf: Shelf) -> None:
        if found := self._occurrence(shelf, cancelled=False):
            key, series, number = found
            series.cancelled.add(number)
            self._call(shelf, "DELETE", f"events/{series.occurrence(key, number)}")

    def _revive_occurrence(self, shelf: Shelf) -> None:
        if found := self._occurrence(shelf, cancelled=True):
            key, series, number = found
            series.cancelled.discard(number)
            self._patch(
                shelf, series.occurrence(key, number), self._words() | {"status": "confirmed"}
            )

    def _change_series(self, shelf: Shelf) -> None:
        if not shelf.series:
            return
        key = self._chance.choice(list(shelf.series))
        series = shelf.series[key]
        later = timedelta(days=1) if series.all_day else timedelta(minutes=15)
        if self._chance.random() < 0.5:
            self._patch(shelf, key, self._words())
            return
        series.start += later
        series.cancelled.clear()  # other times, so other occurrences
        self._patch(shelf, key, _span(series.start, hours=1, all_day=series.all_day))

    def _delete(self, shelf: Shelf) -> None:
        if len(shelf.singles) > LEAST:
            key = shelf.singles.pop(self._chance.randrange(len(shelf.singles)))
            self._call(shelf, "DELETE", f"events/{key}")

    def _delete_series(self, shelf: Shelf) -> None:
        if shelf.series:
            key = self._chance.choice(list(shelf.series))
            del shelf.series[key]
            self._call(shelf, "DELETE", f"events/{key}")

    def _touch_many(self, shelf: Shelf) -> None:
        count, seed = self._chance.randint(5, 300), self._chance.randrange(1 << 30)
        self._call(shelf, "POST", "touch", {"count": count, "seed": seed})

    def _occurrence(self, shelf: Shelf, *, cancelled: bool) -> tuple[str, Series, int] | None:
        found = [
            (key, series, number)
            for key, series in shelf.series.items()
            for number in range(series.count)
            if (number in series.cancelled) == cancelled
        ]
        return self._chance.choice(found) if found else None

    def _words(self) -> dict[str, Any]:
        chance = self._chance
        guests = chance.sample(PEOPLE, chance.randint(0, 3))
        return {
            "summary": f"{chance.choice(WORDS)} {chance.randrange(10_000)}",
            "description": chance.choice(
                ("", "Bring the papers.", "<b>Agenda</b>\n1. …\n2. …" * 9)
            ),
            "location": chance.choice(("", "Room 7", "Straße 1, München")),
            "status": chance.choice(("confirmed", "confirmed", "tentative")),
            "attendees": [
                {"email": email, "responseStatus": chance.choice(ANSWERS)} for email in guests
            ],
        }

    def _times(self) -> dict[str, Any]:
        return _span(self._moment(), hours=self._chance.choice((0.25, 0.5, 1, 2, 26)))

    def _days(self) -> dict[str, Any]:
        return _span(self._moment(), hours=24 * self._chance.randint(1, 3), all_day=True)

    def _moment(self, *, latest: int = LATEST) -> datetime:
        days, quarters = self._chance.randint(EARLIEST, latest), self._chance.randint(28, 80)
        return self._today + timedelta(days=days, minutes=15 * quarters)

    def _ids(self, account: str) -> list[str]:
        items = self._sandbox.calendar("GET", account, "events?singleEvents=true")["items"]
        return [item["id"] for item in items]

    def _insert(self, shelf: Shelf, fields: dict[str, Any]) -> str:
        key = f"{self._chance.getrandbits(100):025x}"
        self._call(shelf, "POST", "events", {"id": key, **fields})
        return key

    def _patch(self, shelf: Shelf, key: str, changes: dict[str, Any]) -> None:
        self._call(shelf, "PATCH", f"events/{key}", changes)

    def _call(self, shelf: Shelf, method: str, path: str, body: Any = None) -> None:
        self._sandbox.calendar(method, shelf.account, path, body)


def _span(start: datetime, *, hours: float, all_day: bool = False) -> dict[str, Any]:
    """Start and end as Google has them, on the clock of `_ZONE`."""
    if all_day:
        first: date = start.date()
        last = first + timedelta(days=max(1, round(hours / 24)))
        return {"start": {"date": first.isoformat()}, "end": {"date": last.isoformat()}}
    end = start + timedelta(hours=hours)
    return {
        name: {"dateTime": at.isoformat(), "timeZone": _ZONE}
        for name, at in (("start", start), ("end", end))
    }
