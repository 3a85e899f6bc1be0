"""The rounds: edits, faults and syncs; from time to time everything is healed and judged."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg

from tests.soak import healing, judge
from tests.soak.faults import Faults
from tests.soak.sides import Link
from tests.soak.traffic import Traffic
from tests.soak.world import World

# Access tokens live this long in a storm (seconds), so that most runs have to refresh.
TOKEN_SECONDS = 5
CHECK_EVERY = 50
MOST_TOLD = 40

Say = Callable[[str], None]


@dataclass
class Report:
    """What a storm came to."""

    rounds: int = 0
    kills: int = 0
    faults: int = 0
    checked: int = 0
    differences: list[str] = field(default_factory=list)

    @property
    def closing_line(self) -> str:
        return (
            f"soak: {self.rounds} rounds, {self.kills} kills, {self.faults} faults, "
            f"{self.checked} events checked, {len(self.differences)} differences"
        )

    @property
    def exit_code(self) -> int:
        return 1 if self.differences else 0


class Storm:
    """One storm over a world. The same seed draws the same edits and the same faults."""

    def __init__(self, world: World, *, seed: int, say: Say) -> None:
        self.report = Report()
        self.traffic = Traffic(world, random.Random(f"{seed} traffic"))
        self.faults = Faults(world, random.Random(f"{seed} faults"), self._ask, self._edit)
        self._chance = random.Random(f"{seed} rounds")
        self._world = world
        self._seed = seed
        self._say = say
        self._editors = {
            name: side.editor(
                [link for link in world.links if link.side == name],
                random.Random(f"{seed} edits {name}"),
            )
            for name, side in world.sides.items()
        }

    def run(
        self,
        *,
        rounds: int,
        minutes: float | None = None,
        check_every: int = CHECK_EVERY,
        strikes: int = 1,
    ) -> Report:
        """So many rounds, or as many as begin within these minutes; ends at the first difference
        that a check finds. `strikes`: faults of machines a round; of the providers as many, or
        up to two more.
        """
        end = time.monotonic() + 60 * minutes if minutes else None
        with self.traffic:
            self._begin()
            for number in range(1, rounds + 1):
                if end is not None and time.monotonic() > end:
                    break
                self._round(number, strikes)
                if number % check_every == 0 and number != rounds:
                    self.check()
                    if self.report.differences:
                        break
                    self._begin()
            if not self.report.differences:
                self.check()
            return self._closed()

    def check(self) -> None:
        """Heal, wait for rest, judge; what differs goes into the report and is printed."""
        began = time.monotonic()
        world, where = self._world, f"seed {self._seed}, round {self.report.rounds}"
        found = healing.heal(world)
        found += healing.come_to_rest(world, say=self._say)
        count, differences = self.judge()
        found += differences + self.traffic.lost_writes() + self.traffic.take_wrong()
        self.report.checked += count
        self.report.differences += [f"{where}: {what}" for what in found]
        for what in found[:MOST_TOLD]:
            self._say(f"difference: {where}: {what}")
        self._say(
            f"round {self.report.rounds}: {count} events checked, {len(found)} differences,"
            f" after {time.monotonic() - began:.1f} s of healing"
        )

    def judge(self) -> tuple[int, list[str]]:
        """Compare all calendars as they are at one moment."""
        with self._world.database() as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            self._say(judge.history(connection))
            struck = ", ".join(f"{name} {self.faults.struck[name]}" for name in self._world.sides)
            self._say(f"troubles: {struck}")
            count, found = judge.compare(connection, self._world.links, self._world.sides)
            return count, found + judge.listed(connection, self._world.links, self._world.api)

    def _begin(self) -> None:
        for side in self._world.sides.values():
            side.begin(TOKEN_SECONDS)

    def _round(self, number: int, strikes: int) -> None:
        chance, world, began = self._chance, self._world, time.monotonic()
        world.restart_fallen()
        touched = chance.sample(world.links, chance.randint(1, min(4, len(world.links))))
        for link in touched:
            self._make(link, chance.randint(1, 6))
        names = [
            self.faults.strike_provider(touched) for _ in range(strikes + chance.randint(0, 2))
        ]
        for link in {*touched, *chance.sample(world.links, 2)}:
            self._ask(link)
        time.sleep(chance.uniform(0.1, 0.8))
        names += [self.faults.strike_machine() for _ in range(strikes)]
        world.notice_web()
        # Whatever is away now, people ask and edit nevertheless.
        again = chance.choice(touched)
        self._make(again, chance.randint(0, 3))
        self._ask(again)
        time.sleep(chance.uniform(0.2, 1.0))
        self.faults.end_round()
        self.report.rounds = number
        self._say(f"round {number}: {', '.join(names)} ({time.monotonic() - began:.1f} s)")

    def _edit(self, link: Link) -> None:
        self._make(link, 8)

    def _make(self, link: Link, count: int) -> None:
        self._editors[link.side].make(link, count)

    def _ask(self, link: Link) -> None:
        path = f"/calendars/{link.calendar_id}/providers/{link.connection_id}/sync"
        self.traffic.call("POST", path)

    def _closed(self) -> Report:
        self.report.kills, self.report.faults = self.faults.kills, self.faults.faults
        return self.report
