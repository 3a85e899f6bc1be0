"""How a connection stands, in the words that people read: on our pages and in the admin.

The word says it; the tone is for the colour that repeats it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.utils import timezone

from providers import causes, connect
from providers.audit import Action
from providers.base import Capability
from providers.models import (
    AuditEntry,
    AuthorizationRequest,
    ExternalCalendar,
    NotificationChannel,
    ProviderConnection,
    SyncRun,
)
from talkover.environments.models import Membership, User

Status = ProviderConnection.Status

# How long a page goes on saying that an attempt to reconnect has failed.
RECONNECT_NEWS = timedelta(minutes=15)
# Hints arrive within seconds; the beat finds what they missed. Later than that, nobody works.
USUAL_WAIT = timedelta(seconds=30)
POLL_SECONDS = 1
POLL_SECONDS_WAITING = 5
# A retry further away than this is not worth a page that keeps asking.
SOON = timedelta(minutes=2)
HISTORY_LENGTH = 5


class Tone(StrEnum):
    GOOD = "good"
    BUSY = "busy"
    WAITING = "waiting"
    BAD = "bad"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Standing:
    """`explanation` is there when something is wrong, `link` when an administrator can mend it."""

    tone: Tone
    label: str
    explanation: causes.Cause | None = None
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What the connection's page shows of its syncs. `poll_seconds` 0: nothing more is coming.

    `headline` changes rarely, so that it can be read aloud when it does; the figures do not.
    """

    standing: Standing
    headline: str
    note: str
    run: SyncRun | None
    first: bool
    events: int
    quarantined: int
    last_sync_at: datetime | None
    next_sync_at: datetime | None
    poll_seconds: int


def standing_of(connection: ProviderConnection) -> Standing:
    """Reads the configuration and the external calendars: lists select and prefetch them."""
    match connection.current_status:
        case Status.PENDING:
            return Standing(Tone.WAITING, "Not authorised yet")
        case Status.EXPIRED:
            return Standing(Tone.OFF, "Not finished", causes.explain("request_expired"))
        case Status.DISCONNECTED:
            return Standing(Tone.OFF, "Disconnected")
        case Status.REAUTHORIZATION_REQUIRED:
            code = connection.last_error_code or "authorization_revoked"
            link = connect.admin_consent_url(connection, code)
            return Standing(Tone.BAD, "Needs reconnecting", causes.explain(code), link)
        case Status.ERROR:
            label = "Stopped" if connection.account_subject else "Not connected"
            code = connection.last_error_code
            link = connect.admin_consent_url(connection, code)
            return Standing(Tone.BAD, label, causes.explain(code), link)
    return _standing_of_active(connection)


def _standing_of_active(connection: ProviderConnection) -> Standing:
    if connection.configuration.paused_at:
        return Standing(Tone.BAD, "On hold", causes.explain("provider_misconfigured"))
    if not connection.configuration.is_active:
        return Standing(Tone.OFF, "Switched off", SWITCHED_OFF)
    if connection.configuration.outage_since:
        return Standing(Tone.BAD, "Waiting", causes.explain("provider_unavailable"))
    calendars = connection.selected_calendars
    if connection.last_error_code:
        gone = any(calendar.vanished_at for calendar in calendars)
        explanation = causes.explain(connection.last_error_code)
        return Standing(Tone.BAD, "Calendar gone" if gone else "Sync failing", explanation)
    if not calendars or any(calendar.last_sync_at is None for calendar in calendars):
        return Standing(Tone.BUSY, "First sync")
    if any(calendar.is_syncing for calendar in calendars):
        return Standing(Tone.BUSY, "Syncing")
    return Standing(Tone.GOOD, "In sync")


SWITCHED_OFF = causes.Cause(
    "The operator has switched this provider off.",
    "Nothing to do: the events stay as they were at the last sync.",
)


def last_sync_of(calendars: Sequence[ExternalCalendar]) -> datetime | None:
    """When all selected ones had been synced; None if one never was. Of those that vanished only
    if no other is left.
    """
    selected = [calendar for calendar in calendars if calendar.is_selected]
    there = [calendar for calendar in selected if calendar.vanished_at is None]
    times = [calendar.last_sync_at for calendar in there or selected]
    known = [moment for moment in times if moment is not None]
    return min(known) if known and len(known) == len(times) else None


def progress_of(connection: ProviderConnection) -> Progress:
    """The state of the connection's syncs as of now."""
    now = timezone.now()
    standing = standing_of(connection)
    selected = connection.selected_calendars
    last_sync_at = last_sync_of(selected)
    calendars = [calendar for calendar in selected if calendar.vanished_at is None]
    run = SyncRun.objects.filter(connection=connection, status__in=SyncRun.UNFINISHED).first()
    works = (
        connection.current_status == Status.ACTIVE
        and connection.configuration.is_active
        and not connection.configuration.paused_at
    )
    due = min((c.next_sync_at for c in calendars if c.next_sync_at), default=None)
    expected = works and (any(c.is_syncing for c in calendars) or last_sync_at is None)
    running = expected and any(c.lease_until and c.lease_until > now for c in calendars)
    overdue = expected and not running and due is not None and due < now - USUAL_WAIT
    return Progress(
        standing=standing,
        headline=_headline(standing, run if running else None, last_sync_at, expected=expected),
        note="This usually takes seconds. If it lasts, tell the operator." if overdue else "",
        run=run if expected else None,
        first=last_sync_at is None,
        events=sum(calendar.events_synced for calendar in selected),
        quarantined=sum(calendar.quarantined_count for calendar in selected),
        last_sync_at=last_sync_at,
        next_sync_at=due if works and due and due > now else None,
        poll_seconds=_poll_seconds(now, due, expected=expected, running=running),
    )


def arrival_of(connection: ProviderConnection) -> str:
    """How changes at the provider get here; empty while nothing is synced.

    A channel that has never delivered may be deaf: until then the syncs find them.
    """
    there = {one.pk for one in connection.selected_calendars if one.vanished_at is None}
    if not connection.is_active or not there:
        return ""
    if Capability.PUSH not in connection.configuration.provider.capabilities:
        return "With the next sync: this provider does not tell us of changes."
    delivering = NotificationChannel.objects.filter(
        external_calendar__in=there,
        stopped_at__isnull=True,
        expires_at__gt=timezone.now(),
        last_notified_at__isnull=False,
    )
    if there == set(delivering.values_list("external_calendar", flat=True)):
        return "At once: the provider tells us of changes."
    return "With the next sync: the provider has not told us of changes yet."


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One line of the history on a connection's page: "Connected by Ada", and when."""

    text: str
    at: datetime
    cause: str = ""


# What people want to know of their connection. Not here: what the operator looks into, and who else
# has connected the same account.
_HISTORY: dict[str, str] = {
    Action.CONNECT_STARTED: "Connecting begun",
    Action.RECONNECT_STARTED: "Reconnecting begun",
    Action.AUTHORIZATION_FAILED: "Not authorised",
    Action.CONNECTED: "Connected",
    Action.RECONNECTED: "Reconnected",
    Action.EXPIRED: "Not finished in time",
    Action.CALENDARS_CHOSEN: "Other calendars chosen",
    Action.CALENDAR_GONE: "A calendar is gone",
    Action.CALENDAR_BACK: "A calendar is back",
    Action.SYNC_FAILING: "Sync began to fail",
    Action.SYNC_RECOVERED: "Sync works again",
    Action.REAUTHORIZATION_REQUIRED: "Needs reconnecting",
    Action.STOPPED: "Sync stopped",
}


def history_of(connection: ProviderConnection, person: User) -> list[HistoryLine]:
    """The latest of what happened, for the person who looks at it."""
    entries = list(
        AuditEntry.objects.filter(connection_id=connection.pk, action__in=list(_HISTORY))[
            :HISTORY_LENGTH
        ]
    )
    people = {
        uuid.UUID(entry.actor_id)
        for entry in entries
        if entry.actor == AuditEntry.Actor.USER and entry.actor_id
    }
    names = {
        str(user_id): name
        for user_id, name in Membership.objects.filter(
            environment=connection.environment_id, user__in=people
        ).values_list("user", "name")
    }
    return [
        HistoryLine(
            text=f"{_HISTORY[entry.action]}{_by(entry, person, names)}",
            at=entry.created_at,
            cause=causes.explain(entry.code).cause if entry.code else "",
        )
        for entry in entries
    ]


def _by(entry: AuditEntry, person: User, names: Mapping[str, str]) -> str:
    match entry.actor:
        case AuditEntry.Actor.USER if not entry.actor_id:
            return ""  # whoever sat at the browser that an application has sent
        case AuditEntry.Actor.USER if entry.actor_id == str(person.pk):
            return " by you"
        case AuditEntry.Actor.USER:
            # Who is no member any more was called so at the time.
            return f" by {names.get(entry.actor_id, entry.actor_label)}"
        case AuditEntry.Actor.TOKEN:
            return " by the application"
        case AuditEntry.Actor.STAFF:
            return " by the operator"
    return ""


def failed_reconnect(connection: ProviderConnection) -> causes.Cause | None:
    """Why the latest attempt to reconnect failed, as long as that is news.

    It leaves the connection as it was, so the connection itself does not tell.
    """
    latest = (
        connection.authorization_requests.filter(
            purpose=AuthorizationRequest.Purpose.RECONNECT,
            consumed_at__gt=timezone.now() - RECONNECT_NEWS,
        )
        .order_by("-consumed_at")
        .first()
    )
    if latest is None or latest.outcome in {"", "connected"}:
        return None
    return causes.explain(latest.outcome)


def _headline(
    standing: Standing, run: SyncRun | None, last_sync_at: datetime | None, *, expected: bool
) -> str:
    if run is not None:
        if run.phase == SyncRun.Phase.SWEEPING:
            return "Almost done: finishing the list."
        return "Syncing." if last_sync_at else "The first sync is running."
    if standing.explanation is not None:
        return standing.explanation.cause
    if expected:
        return f"The {'sync' if last_sync_at else 'first sync'} starts in a moment."
    if standing.tone is Tone.WAITING:
        return "Waiting for the account to be authorised at the provider."
    return "Everything is in sync."


def _poll_seconds(now: datetime, due: datetime | None, *, expected: bool, running: bool) -> int:
    if running:
        return POLL_SECONDS
    if not expected or due is None:
        return 0
    if due <= now:
        return POLL_SECONDS if due > now - USUAL_WAIT else POLL_SECONDS_WAITING
    return POLL_SECONDS_WAITING if due - now < SOON else 0
