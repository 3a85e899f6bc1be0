"""What breaks: processes, PostgreSQL, Redis, and the providers' answers."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from tests.soak import healing
from tests.soak.sides import Link, Trouble
from tests.soak.world import WORKERS, World, children_of

KILL, FAULT = "kill", "fault"
# How long pages take that a listing is to be interrupted in, and how long to wait for the first.
PAGE_MILLISECONDS = 800
LISTING_SECONDS = 5.0


class Deck:
    """Deals all cards, shuffled, before it deals one again."""

    def __init__(self, cards: Sequence[str], chance: random.Random) -> None:
        self._cards = list(cards)
        self._chance = chance
        self._left: list[str] = []

    def deal(self) -> str:
        if not self._left:
            self._left = self._chance.sample(self._cards, len(self._cards))
        return self._left.pop()


@dataclass
class Faults:
    """Strikes the world. `ask` asks for a sync, `edit` edits some events.

    `struck` counts by name what happened, `kills` and `faults` the sums.
    """

    world: World
    chance: random.Random
    ask: Callable[[Link], object]
    edit: Callable[[Link], None]
    struck: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    faults: int = 0
    _undo: list[Callable[[], object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._machine: dict[str, tuple[str, Callable[[], None]]] = {
            "kill worker": (KILL, self._kill_worker),
            "kill worker's parent": (KILL, self._kill_workers_parent),
            "kill pool child": (KILL, self._kill_pool_child),
            "kill workers in a listing": (KILL, self._in_a_listing(self._kill_workers)),
            "kill pool children in a listing": (KILL, self._in_a_listing(self._kill_children)),
            "kill beat": (KILL, self._kill_beat),
            "kill web": (KILL, self._kill_web),
            "kill web child": (KILL, self._kill_web_child),
            "restart worker": (FAULT, self._restart_worker),
            "restart web": (FAULT, self._restart_web),
            "postgres at once": (FAULT, lambda: self._restart_postgres(signal.SIGQUIT)),
            "postgres in order": (FAULT, lambda: self._restart_postgres(signal.SIGINT)),
            "postgres away": (FAULT, self._take_postgres_away),
            "postgres in a listing": (
                FAULT,
                self._in_a_listing(lambda: self._restart_postgres(signal.SIGQUIT)),
            ),
            "redis restart": (FAULT, self._restart_redis),
            "redis away": (FAULT, self._take_redis_away),
            "redis flush": (FAULT, self._flush_redis),
        }
        # By the trouble's name, then by the side: each strikes the sides that know it in turn.
        self._provider: dict[str, dict[str, Trouble]] = {}
        for side in self.world.sides.values():
            for name, act in side.troubles(self).items():
                self._provider.setdefault(name, {})[side.name] = act
        self._turns = {name: Deck(list(acts), self.chance) for name, acts in self._provider.items()}
        self._machines = Deck(list(self._machine), self.chance)
        self._providers = Deck(list(self._provider), self.chance)

    @property
    def names(self) -> set[str]:
        """The names of all that can happen."""
        return {*self._machine, *self._provider}

    def strike_machine(self) -> str:
        """The next fault of a process or server; returns its name."""
        name = self._machines.deal()
        kind, act = self._machine[name]
        self.struck[name] += 1
        if kind == KILL:
            self.kills += 1
        else:
            self.faults += 1
        act()
        return name

    def strike_provider(self, touched: Sequence[Link]) -> str:
        """The next trouble of a provider's, rather for one of these accounts; returns its name."""
        name = self._providers.deal()
        side = self._turns[name].deal()
        told = f"{side}: {name}"
        self.struck.update((name, side, told))
        self.faults += 1
        links = [link for link in (*touched, *self.world.links) if link.side == side]
        self._provider[name][side](self.chance.choice(links))
        return told

    def undo(self, act: Callable[[], object]) -> None:
        """Do this at the end of the round."""
        self._undo.append(act)

    def needs_person(self, link: Link) -> None:
        self.world.grave.add(link.account)

    def needs_operator(self, *providers: str) -> None:
        """These configurations, without any all of them, may be put on hold."""
        self.world.paused.update(providers or self.world.providers)

    def is_silenced(self, link: Link) -> None:
        self.world.silenced.add(link.account)

    def end_round(self) -> None:
        """What was taken away comes back; what was ordered at the provider stays."""
        while self._undo:
            self._undo.pop()()

    def _worker(self) -> str:
        return self.chance.choice(list(WORKERS))

    def _kill_worker(self) -> None:
        name = self._worker()
        self.world.kill(name)
        self.world.start(name)

    def _kill_workers_parent(self) -> None:
        name = self._worker()
        self.world.kill_parent(name)
        time.sleep(self.chance.uniform(0, 0.5))  # its children may be at work still
        self.world.kill(name)
        self.world.start(name)

    def _kill_pool_child(self) -> None:
        name, which = self._worker(), self.chance.random()
        self.world.kill_child(name, which)

    def _kill_workers(self) -> None:
        for name in WORKERS:
            self.world.kill(name)
            self.world.start(name)

    def _kill_children(self) -> None:
        for name in WORKERS:
            for pid in children_of(self.world.processes.pid(name)):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _in_a_listing(self, act: Callable[[], None]) -> Callable[[], None]:
        """`act` when a page of a full listing is stored, and the next one is long in coming."""

        def strike() -> None:
            paged = [link for link in self.world.links if self.world.sides[link.side].has_pages]
            link = self.chance.choice(paged[:2])
            self._clear_the_way(link)
            self.world.sides[link.side].lengthen_listing(link, PAGE_MILLISECONDS)
            self.edit(link)  # what only the full listing will tell
            self.ask(link)
            if self.world.is_listing(link, seconds=LISTING_SECONDS):
                self.struck["in a listing"] += 1
            act()

        return strike

    def _clear_the_way(self, link: Link) -> None:
        """Let nothing that struck before keep this account from being listed."""
        self.end_round()
        for side in self.world.sides.values():
            side.calm()
        self.world.await_web()
        self.world.await_workers()
        with self.world.database() as connection:
            healing.mend(self.world, connection, link)

    def _kill_beat(self) -> None:
        self.world.kill("beat")
        self.world.start("beat")

    def _kill_web(self) -> None:
        self.world.kill("web")
        self.world.start("web")

    def _kill_web_child(self) -> None:
        self.world.kill_child("web", self.chance.random())

    def _restart_worker(self) -> None:
        self._renew(self._worker())

    def _restart_web(self) -> None:
        self._renew("web")

    def _renew(self, name: str) -> None:
        """As a deployment does: the old process may finish what it has begun."""
        self.world.ask_to_end(name)
        self._undo.append(lambda: self.world.renew(name))

    def _restart_postgres(self, how: signal.Signals) -> None:
        self.world.postgres.stop(how)
        self.world.postgres.start()

    def _take_postgres_away(self) -> None:
        self.world.postgres.stop()
        self._undo.append(self.world.postgres.start)

    def _restart_redis(self) -> None:
        self.world.redis.stop()
        self.world.redis.start()

    def _take_redis_away(self) -> None:
        self.world.redis.stop()
        self._undo.append(self.world.redis.start)

    def _flush_redis(self) -> None:
        self.end_round()  # it may be away
        self.world.flush_redis()
