"""The audit log: who did what to which connection, when, and from where.

An entry belongs to the transaction of what it tells: both are stored, or neither. It says nothing
that is a secret, and nothing of what a calendar holds.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from providers.models import AuditEntry, ProviderConnection
from talkover.api import request_ids
from talkover.environments.models import EnvironmentToken, User
from talkover.statements import insert

logger = logging.getLogger(__name__)


class Action(StrEnum):
    """What can happen to a connection; `WORDS` says it to people."""

    CONNECT_STARTED = "connect_started"
    RECONNECT_STARTED = "reconnect_started"
    AUTHORIZATION_OPENED = "authorization_opened"
    AUTHORIZATION_ANSWERED = "authorization_answered"
    AUTHORIZATION_FAILED = "authorization_failed"
    CONFIRMED = "confirmed"
    CONNECTED = "connected"
    RECONNECTED = "reconnected"
    EXPIRED = "expired"
    CALENDAR_TAKEN_OVER = "calendar_taken_over"
    ACCOUNT_SHARED = "account_shared"
    ACCOUNT_SHARED_ELSEWHERE = "account_shared_elsewhere"
    NOTICE_SENT = "notice_sent"
    NOTICE_FAILED = "notice_failed"
    CALENDARS_CHOSEN = "calendars_chosen"
    CALENDAR_GONE = "calendar_gone"
    CALENDAR_BACK = "calendar_back"
    SYNC_REQUESTED = "sync_requested"
    SYNC_FAILING = "sync_failing"
    SYNC_RECOVERED = "sync_recovered"
    REAUTHORIZATION_REQUIRED = "reauthorization_required"
    STOPPED = "stopped"
    DISCONNECTED = "disconnected"
    GRANT_REVOKED = "grant_revoked"
    REVOCATION_FAILED = "revocation_failed"


WORDS: dict[str, str] = {
    Action.CONNECT_STARTED: "The first authorization was started.",
    Action.RECONNECT_STARTED: "Another authorization was started, to reconnect.",
    Action.AUTHORIZATION_OPENED: "The link to authorise was opened in a browser.",
    Action.AUTHORIZATION_ANSWERED: "The provider's answer came; it waits for confirmation.",
    Action.AUTHORIZATION_FAILED: "An authorization failed.",
    Action.CONFIRMED: "The application confirmed the connection.",
    Action.CONNECTED: "The account was connected.",
    Action.RECONNECTED: "The account was reconnected.",
    Action.EXPIRED: "Nobody finished the authorization in time.",
    Action.CALENDAR_TAKEN_OVER: "The events of an earlier connection were taken over.",
    Action.ACCOUNT_SHARED: "The same account is connected for somebody else, too.",
    Action.ACCOUNT_SHARED_ELSEWHERE: (
        "The same account is connected for somebody else in another environment."
    ),
    Action.NOTICE_SENT: "The account's owner was told by mail that it was connected.",
    Action.NOTICE_FAILED: "The account's owner could not be told by mail.",
    Action.CALENDARS_CHOSEN: "Other calendars of the account were chosen to be synced.",
    Action.CALENDAR_GONE: "A chosen calendar is gone at the provider; the others go on.",
    Action.CALENDAR_BACK: "A chosen calendar that was gone is there again.",
    Action.SYNC_REQUESTED: "A sync was asked for.",
    Action.SYNC_FAILING: "Syncing began to fail; it is tried again by itself.",
    Action.SYNC_RECOVERED: "Syncing works again.",
    Action.REAUTHORIZATION_REQUIRED: "The access ended: the account has to be authorised again.",
    Action.STOPPED: "Syncing stopped: it cannot go on by itself.",
    Action.DISCONNECTED: "The connection was ended.",
    Action.GRANT_REVOKED: "The access was given back at the provider.",
    Action.REVOCATION_FAILED: "The access could not be given back at the provider.",
}


def say(action: str) -> str:
    """An entry's action in words; one that is no longer known says its name."""
    return WORDS.get(action) or f"{action.replace('_', ' ').capitalize()}."


# Environments never learn about one another.
STAFF_ONLY = frozenset({Action.ACCOUNT_SHARED_ELSEWHERE})


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it. `label` is how they are called now, `address` the IP address they came from."""

    kind: AuditEntry.Actor
    id: str = ""
    label: str = ""
    address: str | None = None

    @classmethod
    def system(cls) -> Actor:
        """What happens by itself: syncs, housekeeping."""
        return cls(AuditEntry.Actor.SYSTEM)

    @classmethod
    def of_token(cls, token: EnvironmentToken, address: str | None = None) -> Actor:
        return cls(AuditEntry.Actor.TOKEN, str(token.pk), token.name, address)

    @classmethod
    def of_person(cls, user: User, address: str | None = None) -> Actor:
        """A person on our own pages."""
        return cls(AuditEntry.Actor.USER, str(user.pk), user.email, address)

    @classmethod
    def of_browser(cls, address: str | None) -> Actor:
        """Whoever sat at a browser: on the provider's way back nobody need be signed in."""
        return cls(AuditEntry.Actor.USER, address=address)

    @classmethod
    def of_staff(cls, user: User, address: str | None = None) -> Actor:
        """A person in the admin."""
        return cls(AuditEntry.Actor.STAFF, str(user.pk), user.email, address)


def record(
    connection: ProviderConnection,
    action: Action,
    *,
    actor: Actor,
    code: str = "",
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write one entry, in the caller's transaction and in one statement.

    `code` is one of `providers.causes`; `details` go out through the API: nothing secret, nothing
    of another environment. The connection's configuration should be loaded.
    """
    insert(entry(connection, action, actor=actor, code=code, details=details))


def record_each(
    connections: Iterable[ProviderConnection], action: Action, *, actor: Actor, code: str = ""
) -> None:
    """The same of many connections, in one statement."""
    AuditEntry.objects.bulk_create(
        entry(connection, action, actor=actor, code=code) for connection in connections
    )


def report_shared_account(connection: ProviderConnection, actor: Actor) -> None:
    """Say so when somebody else has connected the same account: it may be a mistake, or worse.

    Belongs in the transaction that activates the connection. What concerns the same environment is
    on the connection's timeline; what concerns others only the operator's staff see.
    """
    if not connection.account_subject:
        return
    others = (
        ProviderConnection.objects.of_account_of(connection)
        .exclude(calendar__owner=connection.calendar.owner_id)
        .order_by()
        .values_list("environment_id", "calendar__owner_id")
        .distinct()
    )
    here: set[uuid.UUID] = set()
    elsewhere: set[uuid.UUID] = set()
    for environment_id, owner_id in others:
        (here if environment_id == connection.environment_id else elsewhere).add(owner_id)
    for people, action in (
        (here, Action.ACCOUNT_SHARED),
        (elsewhere, Action.ACCOUNT_SHARED_ELSEWHERE),
    ):
        if people:
            record(connection, action, actor=actor, details={"others": len(people)})
    if number := len(here | elsewhere):
        logger.warning(
            "connection %s: its account is connected for %d other people, too",
            connection.pk, number,
        )  # fmt: skip


def entry(
    connection: ProviderConnection,
    action: Action,
    *,
    actor: Actor,
    code: str = "",
    details: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """What `record` writes, not stored yet: for whoever inserts it together with other rows."""
    request_id = request_ids.current.get()
    return AuditEntry(
        environment_id=connection.environment_id,
        calendar_id=connection.calendar_id,
        connection_id=connection.pk,
        provider=connection.configuration.identifier,
        action=action,
        actor=actor.kind,
        actor_id=actor.id[:64],
        actor_label=actor.label[:320],
        address=actor.address,
        request_id="" if request_id == request_ids.NONE else request_id,
        code=code,
        details=dict(details or {}),
    )
