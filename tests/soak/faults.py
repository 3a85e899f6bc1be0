"""What breaks: processes, PostgreSQL, Redis, and the provider's answers."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from providers.sandbox.kinds import KINDS
from tests.sandbox.malformed import BROKEN, malformed
from tests.soak import healing
from tests.soak.world import WORKERS, Link, World, children_of

KILL, FAULT = "kill", "fault"
# Of each kind of trouble: where it may strike, and more of its order. A kind that is not here yet
# strikes the listings.
TROUBLES: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "rate_limited": (("events", "token"), {"retry_after": 1}),
    "server_error": (("events", "token"), {}),
    "html": (("events", "token"), {}),
    "nothing": (("events", "token"), {}),
    "hang": (("events", "token"), {"milliseconds": 5000}),
    "latency": (("events", "token"), {"milliseconds": 700}),
    "cut_off": (("events", "token"), {}),
    "bad_gateway": (("events", "token"), {}),
    "redirect": (("events", "token"), {"location": "http://127.0.0.1:1/"}),
    "drip": (("events", "token"), {"milliseconds": 10, "piece": 200}),
    "invalid_client": (("token",), {}),
    "invalid_grant": (("token",), {}),
}

# Refusals that take a person, and not the operator.
FORBIDDEN = ("forbidden", "insufficientPermissions", "requiredAccessLevel", "notACalendarUser")

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
    _undo: list[Callable[[], None]] = field(default_factory=list)

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
        self._provider: dict[str, Callable[[Link], None]] = {
            **{kind: self._orderer(kind) for kind in KINDS},
            "revoked": self._revoke,
            "emptied": self._empty,
            "poison": self._poison,
        }
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

    def strike_provider(self, link: Link) -> str:
        """The next trouble of the provider's, meant for this account; returns its name."""
        name = self._providers.deal()
        self.struck[name] += 1
        self.faults += 1
        self._provider[name](link)
        return name

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
            link = self.chance.choice(self.world.links[:2])
            self._clear_the_way(link)
            self.world.sandbox.trouble("gone", "events", 1, account=link.account)
            self.world.sandbox.trouble(
                "latency", "events", 4, account=link.account, milliseconds=PAGE_MILLISECONDS
            )
            self.edit(link)  # what only the full listing will tell
            self.ask(link)
            if self.world.is_listing(link, seconds=LISTING_SECONDS):
                self.struck["in a listing"] += 1
            act()

        return strike

    def _clear_the_way(self, link: Link) -> None:
        """Let nothing that struck before keep this account from being listed."""
        self.end_round()
        self.world.sandbox.control("DELETE", "troubles")
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

    def _orderer(self, kind: str) -> Callable[[Link], None]:
        return lambda link: self._order(kind, link)

    def _order(self, kind: str, link: Link) -> None:
        targets, more = TROUBLES.get(kind, (("events",), {}))
        target = self.chance.choice(targets)
        times, after = self.chance.randint(1, 3), self.chance.randint(0, 1)
        grave = kind not in KINDS_THAT_PASS
        if reasons := FORBIDDEN if kind == "forbidden" else KINDS[kind].reasons:
            more = more | {"reason": self.chance.choice(reasons)}
        if grave:
            self.world.grave.add(link.account)
        if kind == "quota":  # without a word about when to come back: the back-off is the silence
            self.world.silenced.add(link.account)
        if kind == "gone":
            self.edit(link)
        if kind == "invalid_client":
            self.world.paused, times, after = True, 1, 0
        everybody = self.chance.random() < 0.2 and not grave and kind != "quota"
        account = None if everybody else link.account
        self.world.sandbox.trouble(kind, target, times, account=account, after=after, **more)

    def _poison(self, link: Link) -> None:
        """An event that nobody can read, until the end of the round."""
        name = f"poison-{link.number}"
        kind = self.chance.choice(POISONS)
        self.world.sandbox.raw_event(link.account, name, malformed(kind, name))
        self._undo.append(lambda: self.world.sandbox.remove_raw_event(link.account, name))

    def _revoke(self, link: Link) -> None:
        self.world.grave.add(link.account)
        self.world.sandbox.control("POST", "revoke", {"email": link.account})

    def _empty(self, link: Link) -> None:
        self.world.empty(link, on=True)
        self._undo.append(lambda: self.world.empty(link, on=False))


# After these a sync goes on by itself, sooner or later. Of any other it is not known.
KINDS_THAT_PASS = {
    "unauthorized", "gone", "rate_limited", "quota", "server_error", "html", "nothing", "too_much",
    "hang", "latency", "cut_off", "invalid_client", "bad_request", "bad_gateway", "redirect",
    "gzip_bomb", "drip", "endless_pages", "same_page_token", "page_repeated", "event_twice",
}  # fmt: skip
# With an id of their own: what has none cannot be found again when it is taken away.
POISONS = sorted(kind for kind in BROKEN if b'"id": "x"' in malformed(kind, "x"))
