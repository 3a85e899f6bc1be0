"""What both sides at the sandbox have in common: accounts, edits and troubles."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from providers.sandbox.kinds import KINDS
from tests.sandbox.process import SandboxProcess
from tests.soak.edits import Edits
from tests.soak.sides import Field, Link, Manage, Seen, Trouble

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
# After these a sync goes on by itself, sooner or later. Of any other it is not known.
KINDS_THAT_PASS = {
    "unauthorized", "gone", "rate_limited", "quota", "server_error", "html", "nothing", "too_much",
    "hang", "latency", "cut_off", "invalid_client", "bad_request", "bad_gateway", "redirect",
    "gzip_bomb", "drip", "endless_pages", "same_page_token", "page_repeated", "event_twice",
}  # fmt: skip


class SandboxSide(ABC):
    """One dialect. `reasons` are those it has for a kind of trouble; `ending` those of them that
    end a grant, although the kind is one that passes. `at_once` are kinds that strike the very next
    request and no other.
    """

    name: str
    providers: tuple[str, ...]
    reasons: Mapping[str, Collection[str]]
    ending: Collection[str] = ()
    at_once: Collection[str] = ()
    has_pages = True

    def __init__(self, sandbox: SandboxProcess) -> None:
        self.sandbox = sandbox

    @property
    def hosts(self) -> tuple[str, ...]:
        return (f"127.0.0.1:{self.sandbox.port}",)

    @abstractmethod
    def register(self, manage: Manage, environment: str) -> None: ...

    @abstractmethod
    def add_account(self, number: int, events: int) -> tuple[str, str]: ...

    @abstractmethod
    def authorize(self, url: str, account: str) -> dict[str, str]: ...

    @abstractmethod
    def poison(self, field: Field, link: Link) -> None:
        """An event that nobody can read, until the end of the round."""

    @abstractmethod
    def expected(self, link: Link, start: Any, end: Any) -> dict[str, Seen]: ...

    def new_account(self, number: int, events: int, **fields: Any) -> str:
        zone = ("Europe/Berlin", "UTC", "America/New_York")[number % 3]
        email = f"storm{number}@sandbox.example"
        return self.sandbox.account(email, events=events, time_zone=zone, **fields)

    def editor(self, links: Sequence[Link], chance: random.Random) -> Edits:
        return Edits(self.sandbox, [link.account for link in links], chance)

    def troubles(self, field: Field) -> Mapping[str, Trouble]:
        return {
            **{kind: self._orderer(field, kind) for kind in KINDS},
            "revoked": lambda link: self._revoke(field, link),
            "emptied": lambda link: self._empty(field, link),
            "poison": lambda link: self.poison(field, link),
        }

    def lengthen_listing(self, link: Link, milliseconds: int) -> None:
        self.sandbox.trouble("gone", "events", 1, account=link.account)
        self.sandbox.trouble(
            "latency", "events", 4, account=link.account, milliseconds=milliseconds
        )

    def calm(self) -> None:
        self.sandbox.control("DELETE", "troubles")

    def begin(self, token_seconds: int) -> None:
        self.sandbox.control("POST", "settings", {"access_token_seconds": token_seconds})

    def heal(self) -> None:
        self.calm()
        self.begin(3600)

    def held_etag(self, etag: str) -> str:
        return etag

    def _orderer(self, field: Field, kind: str) -> Trouble:
        return lambda link: self._order(field, kind, link)

    def _order(self, field: Field, kind: str, link: Link) -> None:
        targets, more = TROUBLES.get(kind, (("events",), {}))
        target = field.chance.choice(targets)
        times, after = field.chance.randint(1, 3), field.chance.randint(0, 1)
        if kind in self.at_once:
            times, after = 1, 0
        if reasons := sorted(self.reasons.get(kind, ())):
            more = more | {"reason": field.chance.choice(reasons)}
        grave = kind not in KINDS_THAT_PASS or more.get("reason") in self.ending
        everybody = field.chance.random() < 0.2 and not grave and kind != "quota"
        if grave:
            field.needs_person(link)
        if kind == "quota":  # without a word about when to come back: the back-off is the silence
            field.is_silenced(link)
        if kind == "gone":
            field.edit(link)
        if kind == "invalid_client":
            times, after = 1, 0
            field.needs_operator(*(() if everybody else (link.provider,)))
        account = None if everybody else link.account
        self.sandbox.trouble(kind, target, times, account=account, after=after, **more)

    def _revoke(self, field: Field, link: Link) -> None:
        field.needs_person(link)
        self.sandbox.control("POST", "revoke", {"email": link.account})

    def _empty(self, field: Field, link: Link) -> None:
        """The provider lists nothing for this account, until the end of the round."""
        self.sandbox.calendar("POST", link.account, "empty", {"on": True})
        field.undo(lambda: self.sandbox.calendar("POST", link.account, "empty", {"on": False}))
