"""One side per kind of provider: its accounts, its owners' hands, its troubles, and its own view.

The storm knows nothing else of a provider. What a side says is there, it says without the product's
code.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

Manage = Callable[..., Any]


@dataclass(frozen=True)
class Link:
    """One calendar of ours, and the account at a side whose calendar it follows.

    `remote_id`: what the provider calls that calendar.
    """

    number: int
    calendar_id: str
    connection_id: str
    account: str
    provider: str
    side: str
    remote_id: str


@dataclass(frozen=True)
class Seen:
    """What a person sees of an event, and its version (empty where no provider tells one).

    `attendees`: address, name, answer.
    """

    etag: str
    title: str
    start_at: datetime
    end_at: datetime
    all_day: bool
    start_date: date | None
    end_date: date | None
    status: str
    description: str
    location: str
    attendees: tuple[tuple[str, str, str], ...]


class Field(Protocol):
    """What a trouble may do besides its own: of `tests.soak.faults`."""

    chance: random.Random

    @property
    def edit(self) -> Callable[[Link], None]:
        """Edits some events of this calendar."""

    def undo(self, act: Callable[[], object]) -> None:
        """Do this at the end of the round."""

    def needs_person(self, link: Link) -> None:
        """The connection may end, and its person has to come."""

    def needs_operator(self, *providers: str) -> None:
        """The registrations may be put on hold."""

    def is_silenced(self, link: Link) -> None:
        """The account may be told to wait for long."""


Trouble = Callable[[Link], None]


class Editor(Protocol):
    """Random edits of the calendars of one side. Only its chance decides, never how fast things
    go.
    """

    def make(self, link: Link, count: int) -> None: ...


class Side(Protocol):
    """`name` as in `Link.side`; `providers` are the identifiers of its configurations; `hosts` are
    to be reached by plain http.
    """

    name: str
    providers: tuple[str, ...]
    # Whether a full listing has pages that can be interrupted.
    has_pages: bool

    @property
    def hosts(self) -> tuple[str, ...]: ...

    def register(self, manage: Manage, environment: str) -> None:
        """Add the configurations, as an operator does."""

    def add_account(self, number: int, events: int) -> tuple[str, str]:
        """A new account with a calendar of so many events; both of their names."""

    def authorize(self, url: str, account: str) -> dict[str, str]:
        """What a person does in a browser; returns what the caller's redirect URI gets."""

    def editor(self, links: Sequence[Link], chance: random.Random) -> Editor: ...

    def troubles(self, field: Field) -> Mapping[str, Trouble]:
        """What can happen to an account here, by name."""

    def lengthen_listing(self, link: Link, milliseconds: int) -> None:
        """Let the next sync list everything, and each page take so long."""

    def calm(self) -> None:
        """End all troubles that were ordered."""

    def begin(self, token_seconds: int) -> None:
        """Access tokens live so long from now on."""

    def heal(self) -> None:
        """End all troubles, and start what does not run."""

    def expected(self, link: Link, start: datetime, end: datetime) -> dict[str, Seen]:
        """What is in the calendar by its ids, at least in this span. An instance of a series has
        the id that the product gives it.
        """

    def held_etag(self, etag: str) -> str:
        """What to compare of a stored version."""
