"""What people do to calendars of objects: CalDAV's and feeds. The same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any, Protocol

from tests.soak.edits import ANSWERS, BEYOND, EARLIEST, LATEST, LEAST, PEOPLE, WORDS
from tests.soak.objects import Entry, Item
from tests.soak.sides import Link

Shelf = dict[str, Item]  # by UID
_TEXTS = ("", "Bring the papers.", "Agenda; with, signs\n1. \\o/\n2. …" * 9)
_PLACES = ("", "Room 7", "Straße 1, München")


class Hands(Protocol):
    """Another program of the same people's, which the provider obeys at once."""

    def shelf(self, account: str) -> Shelf:
        """What is in the calendar of this account."""

    def store(self, account: str, item: Item) -> None: ...

    def remove(self, account: str, uid: str) -> None: ...

    def publish(self, account: str) -> None:
        """All edits of one sitting are made."""


class ObjectEdits:
    """Edits through some hands. Only `chance` decides, never how fast things go."""

    def __init__(self, hands: Hands, chance: random.Random) -> None:
        self._hands = hands
        self._chance = chance
        self._today = datetime.combine(datetime.now(UTC).date(), time())
        self._kinds: list[tuple[Callable[[str, Shelf], None], int]] = [
            (self._create, 5),
            (self._create_all_day, 2),
            (self._create_series, 3),
            (self._reword, 6),
            (self._move, 4),
            (self._make_all_day, 1),
            (self._leave_the_window, 1),
            (self._change_occurrence, 5),
            (self._exclude_occurrence, 2),
            (self._call_off_occurrence, 2),
            (self._revive_occurrence, 1),
            (self._change_series, 2),
            (self._delete, 7),
            (self._delete_series, 1),
            (self._touch_many, 1),
        ]

    def make(self, link: Link, count: int) -> None:
        """Edit this calendar so many times."""
        kinds, weights = zip(*self._kinds, strict=True)
        for edit in self._chance.choices(kinds, weights, k=count):
            edit(link.account, self._hands.shelf(link.account))
        self._hands.publish(link.account)

    def fill(self, account: str, count: int) -> None:
        """So many single events."""
        for _ in range(count):
            self._create(account, self._hands.shelf(account))
        self._hands.publish(account)

    def _create(self, account: str, _shelf: Shelf) -> None:
        self._add(account, self._entry())

    def _create_all_day(self, account: str, _shelf: Shelf) -> None:
        self._add(account, self._whole_days(self._entry()))

    def _create_series(self, account: str, _shelf: Shelf) -> None:
        entry = replace(self._entry(latest=100), length=timedelta(hours=1))
        if self._chance.random() < 0.3:
            entry = replace(self._whole_days(entry, latest=100), days=1)
        step, count = self._chance.choice((1, 7)), self._chance.randint(3, 12)
        self._add(account, entry, step=step, count=count)

    def _reword(self, account: str, shelf: Shelf) -> None:
        item = self._single(shelf)
        self._change(account, item, replace(item.entry, **self._words()))

    def _move(self, account: str, shelf: Shelf) -> None:
        item = self._single(shelf)
        self._change(account, item, replace(item.entry, **self._times()))

    def _make_all_day(self, account: str, shelf: Shelf) -> None:
        item = self._single(shelf)
        self._change(account, item, self._whole_days(item.entry))

    def _leave_the_window(self, account: str, shelf: Shelf) -> None:
        item = self._single(shelf)
        start = self._today + timedelta(days=BEYOND + self._chance.randint(0, 30))
        self._change(account, item, replace(item.entry, start=start, days=0))

    def _change_occurrence(self, account: str, shelf: Shelf) -> None:
        if found := self._occurrence(shelf, gone=False):
            item, number = found
            entry = item.changed.get(number) or item.occurrence(number)
            new = self._times() if self._chance.random() < 0.5 else self._words()
            item.changed[number] = replace(entry, **new)
            self._store(account, item)

    def _exclude_occurrence(self, account: str, shelf: Shelf) -> None:
        if found := self._occurrence(shelf, gone=False):
            item, number = found
            item.excluded.add(number)
            item.changed.pop(number, None)
            self._store(account, item)

    def _call_off_occurrence(self, account: str, shelf: Shelf) -> None:
        if found := self._occurrence(shelf, gone=False):
            item, number = found
            item.called_off.add(number)
            item.changed.pop(number, None)
            self._store(account, item)

    def _revive_occurrence(self, account: str, shelf: Shelf) -> None:
        if found := self._occurrence(shelf, gone=True):
            item, number = found
            item.excluded.discard(number)
            item.called_off.discard(number)
            self._store(account, item)

    def _change_series(self, account: str, shelf: Shelf) -> None:
        if not (series := [item for item in shelf.values() if item.count]):
            return
        item = self._chance.choice(series)
        if self._chance.random() < 0.5:
            self._change(account, item, replace(item.entry, **self._words()))
            return
        later = timedelta(days=1) if item.entry.days else timedelta(minutes=15)
        for old in (item.excluded, item.called_off, item.changed):
            old.clear()  # other times, so other occurrences
        self._change(account, item, replace(item.entry, start=item.entry.start + later))

    def _delete(self, account: str, shelf: Shelf) -> None:
        if len(self._singles(shelf)) > LEAST:
            self._hands.remove(account, self._single(shelf).uid)

    def _delete_series(self, account: str, shelf: Shelf) -> None:
        if series := [item for item in shelf.values() if item.count]:
            self._hands.remove(account, self._chance.choice(series).uid)

    def _touch_many(self, account: str, shelf: Shelf) -> None:
        singles = self._singles(shelf)
        for item in self._chance.sample(singles, min(len(singles), self._chance.randint(5, 40))):
            self._change(account, item, replace(item.entry, **self._words()))

    def _add(self, account: str, entry: Entry, *, step: int = 0, count: int = 0) -> None:
        self._store(account, Item(f"{self._chance.getrandbits(100):025x}", entry, step, count))

    def _change(self, account: str, item: Item, entry: Entry) -> None:
        item.entry = entry
        self._store(account, item)

    def _store(self, account: str, item: Item) -> None:
        item.sequence += 1
        self._hands.store(account, item)

    def _singles(self, shelf: Shelf) -> list[Item]:
        return [item for item in shelf.values() if not item.count]

    def _single(self, shelf: Shelf) -> Item:
        return self._chance.choice(self._singles(shelf))

    def _occurrence(self, shelf: Shelf, *, gone: bool) -> tuple[Item, int] | None:
        found = [
            (item, number)
            for item in shelf.values()
            for number in range(item.count)
            if (number in item.gone) == gone
        ]
        return self._chance.choice(found) if found else None

    def _entry(self, *, latest: int = LATEST) -> Entry:
        return Entry(**self._words(), **self._times(latest=latest))

    def _whole_days(self, entry: Entry, *, latest: int = LATEST) -> Entry:
        day = datetime.combine(self._moment(latest).date(), time())
        return replace(entry, start=day, days=self._chance.randint(1, 3))

    def _words(self) -> dict[str, Any]:
        chance = self._chance
        guests = chance.sample(PEOPLE, chance.randint(0, 3))
        return {
            "title": f"{chance.choice(WORDS)} {chance.randrange(10_000)}",
            "description": chance.choice(_TEXTS),
            "location": chance.choice(_PLACES),
            "status": chance.choice(("confirmed", "confirmed", "tentative")),
            "guests": tuple((email, chance.choice(ANSWERS)) for email in guests),
        }

    def _times(self, *, latest: int = LATEST) -> dict[str, Any]:
        hours = self._chance.choice((0.25, 0.5, 1, 2, 26))
        return {"start": self._moment(latest), "length": timedelta(hours=hours), "days": 0}

    def _moment(self, latest: int) -> datetime:
        days, quarters = self._chance.randint(EARLIEST, latest), self._chance.randint(28, 80)
        return self._today + timedelta(days=days, minutes=15 * quarters)
