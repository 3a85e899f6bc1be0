"""Which external calendars are due, and who works on them. The database is the truth of both.

Due means: `next_sync_at` has come, nobody holds the lease, and no hint is on its way
(`queued_until`). The broker only carries hints; losing one costs a minute, receiving one twice does
nothing twice.

Configurations do not stand in each other's way: each has a budget of calendars that are synced at
once, and of hints on their way, and one whose provider is away is left alone (`limits`, `outages`).

A lease has a fence: a number that grows with each holder. Whoever finds another fence than their
own has lost the lease, and writes nothing more. Raising the fence from outside (`revoke_leases`)
thus ends a run at its next write.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import (
    Case,
    DateTimeField,
    Exists,
    F,
    OuterRef,
    Q,
    QuerySet,
    Value,
    When,
)
from django.utils import timezone

from providers import limits, outages
from providers.models import (
    ExternalCalendar,
    NotificationChannel,
    ProviderConfiguration,
    ProviderConnection,
)
from talkover.statements import Select, parameter, update

# How long a hint may be on its way before another is sent; the message itself expires then.
QUEUED_FOR = timedelta(seconds=60)
FIRST_BACK_OFF = timedelta(seconds=30)
LONGEST_BACK_OFF = timedelta(hours=1)
# A provider's own word is obeyed, within reason.
LONGEST_SILENCE = timedelta(days=1)
QUOTA_BACK_OFF = timedelta(hours=6)
JITTER = 0.25


# A channel that has never delivered is not trusted: its messages may not reach us.
_delivering = NotificationChannel.objects.filter(
    external_calendar=OuterRef("pk"),
    stopped_at__isnull=True,
    expires_at__gt=parameter("now", DateTimeField()),
    last_notified_at__isnull=False,
).order_by()
# A calendar that was quiet for so long is asked after this part of it: after a day in an hour.
PART_OF_SILENCE = 1 / 24
# What one call for many calendars sends at once; the dispatcher sends the rest, in order.
MOST_WISHES = 50


# `has_rivals`: whether there is another configuration that may want a worker. How many are being
# synced is not asked here: without its value PostgreSQL takes `lease_until > now` to be true for a
# third of all calendars, finds such a plan too dear to keep, and plans anew each time, which costs
# five times what the statement does.
_by_key = Select(
    lambda: (
        ExternalCalendar.objects.filter(pk=parameter("pk", ExternalCalendar._meta.pk))
        .select_related("connection__configuration")
        .annotate(
            watched=Exists(_delivering),
            has_rivals=Exists(usable().exclude(pk=OuterRef("connection__configuration"))),
        )
        .order_by()
    )
)


class LostLease(Exception):
    """Somebody else holds the lease now, or the connection was closed: stop, and write nothing."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to sync one external calendar, as it was when the lease began.

    `external_calendar` has its connection and configuration loaded, `fence` and `dirty` are its own
    of that moment: wishes up to `dirty` are seen by the run that this lease is for. `watched`: the
    provider notifies us of changes.
    """

    external_calendar: ExternalCalendar
    fence: int
    dirty: int
    watched: bool = False

    def hold(self, **changes: Any) -> None:
        """Prolong the lease, and change the external calendar. Raises LostLease.

        Inside a transaction it locks the external calendar's row to the end: what is written after
        it is written by the holder.
        """
        self._update(lease_until=timezone.now() + _lease_duration(), **changes)

    def note(self, **changes: Any) -> None:
        """Change the external calendar, which this lease holds or has just released.

        Raises LostLease.
        """
        self._update(**changes)

    def release(
        self,
        *,
        next_sync_at: datetime | None,
        at_once: bool,
        seen: int | None = None,
        **changes: Any,
    ) -> None:
        """Give the lease back and say when the next sync is due (None: not by itself).

        Wishes up to `seen` are settled, by default those that were there when the lease began. A
        later one is due at once if `at_once`. Raises LostLease.
        """
        seen = self.dirty if seen is None else seen
        changes |= {"lease_until": None, "queued_until": None, "settled": seen}
        if at_once:
            quiet = self._mine() | {"dirty": seen}
            if update(ExternalCalendar, quiet, next_sync_at=next_sync_at, **changes):
                return
            next_sync_at = timezone.now()
        self._update(next_sync_at=next_sync_at, **changes)

    def _update(self, **changes: Any) -> None:
        if update(ExternalCalendar, self._mine(), **changes) != 1:
            raise LostLease(f"external calendar {self.external_calendar.pk}")

    def _mine(self) -> dict[str, object]:
        return {"pk": self.external_calendar.pk, "fence": self.fence}


def usable() -> QuerySet[ProviderConfiguration]:
    """Configurations that are neither switched off nor paused."""
    return ProviderConfiguration.objects.filter(is_active=True, paused_at__isnull=True)


def acquire(external_calendar_id: uuid.UUID | str) -> Lease | None:
    """Take the lease if the external calendar is due and free, its provider is not away, and its
    configuration's and its account's limits leave room; None if not, or if it is unknown.

    Looks first, then takes what it saw: who takes or revokes a lease raises the fence, so of two
    one gets through, and nobody who looked before a disconnection.
    """
    now = timezone.now()
    row: Any = next(iter(_by_key(pk=external_calendar_id, now=now)), None)
    if row is None or not _is_due(row, now):
        return None
    its = limits.of(row)
    full = next((limit for limit in its if limit.is_reached(now)), None)
    if full or not _admitted(row.connection.configuration, now):
        # It is due nevertheless, and there is no hint any more.
        later = full.later(now) if full else {}
        update(ExternalCalendar, {"pk": row.pk, "fence": row.fence}, queued_until=None, **later)
        return None
    lease = Lease(external_calendar=row, fence=row.fence + 1, dirty=row.dirty, watched=row.watched)
    taken = update(
        ExternalCalendar,
        {"pk": row.pk, "fence": row.fence},
        fence=lease.fence,
        lease_until=now + _lease_duration(),
        queued_until=None,
    )
    if not taken:
        return None
    for limit in its:
        if not limit.keeps(row):
            mine = {"pk": row.pk, "fence": lease.fence}
            update(ExternalCalendar, mine, lease_until=None, **limit.later(now))
            return None
    return lease


def _admitted(configuration: ProviderConfiguration, now: datetime) -> bool:
    """Whether the circuit breaker lets the caller through, perhaps to try for the others."""
    if configuration.outage_until is None:
        return True
    return configuration.outage_until <= now and outages.begin_probe(configuration, now)


def overdue(wait: timedelta) -> QuerySet[ExternalCalendar]:
    """External calendars that have been due for longer than `wait`, and nobody is at them."""
    now = timezone.now()
    return due(now).filter(next_sync_at__lt=now - wait)


class Wishes(NamedTuple):
    """What `note_wishes` did: the calendars that are due now, and those to send a hint for."""

    due: list[uuid.UUID]
    hints: list[uuid.UUID]


def note_wishes(
    external_calendars: QuerySet[ExternalCalendar] | Iterable[uuid.UUID],
) -> Wishes:
    """Make external calendars of active connections due now, those that are selected and there.

    Belongs in the caller's transaction. While a provider has asked for silence, the sync waits, and
    a hint would be used up for nothing. None is wanted either for what is being synced, or has one
    on its way: the run sees the wish when it begins or when it ends. Of very many, the dispatcher
    sends most, in their order.
    """
    if not isinstance(external_calendars, QuerySet):
        external_calendars = ExternalCalendar.objects.filter(pk__in=list(external_calendars))
    there = external_calendars.filter(is_selected=True, vanished_at__isnull=True)
    now = timezone.now()
    active = ProviderConnection.objects.filter(status=ProviderConnection.Status.ACTIVE)
    with transaction.atomic():
        rows = list(
            there.filter(connection__in=active)
            .order_by("pk")  # the same order for everybody: no two callers wait for each other
            .select_for_update(of=("self",))
            .values_list("pk", "queued_until", "lease_until", "blocked_until")
        )
        ids = [pk for pk, *_ in rows]
        silent = [pk for pk, *times in rows if all(t is None or t <= now for t in times)]
        hints = silent[:MOST_WISHES]
        ExternalCalendar.objects.filter(pk__in=ids).update(
            dirty=F("dirty") + 1,
            next_sync_at=Case(
                When(blocked_until__gt=now, then=F("blocked_until")), default=Value(now)
            ),
            queued_until=Case(
                When(pk__in=hints, then=Value(now + QUEUED_FOR)), default=F("queued_until")
            ),
        )
    return Wishes(ids, hints)


def request_sync(
    external_calendars: QuerySet[ExternalCalendar] | Iterable[uuid.UUID],
) -> list[uuid.UUID]:
    """As `note_wishes`; returns what is due now."""
    return note_wishes(external_calendars).due


def revoke_leases(connection_id: uuid.UUID) -> None:
    """End whatever syncs this connection, at its next write at the latest.

    For disconnecting and reconnecting, as the first statement of their transaction: it locks the
    rows in the order in which a sync does.
    """
    ExternalCalendar.objects.filter(connection_id=connection_id).update(
        fence=F("fence") + 1, lease_until=None, queued_until=None, blocked_until=None, failures=0
    )


def next_regular(
    now: datetime,
    *,
    watched: bool = False,
    changed_at: datetime | None = None,
    at_least: timedelta = timedelta(0),
) -> datetime:
    """When a calendar that is well is synced again: the interval, spread by a quarter each way.

    The longer nothing has changed in it (`changed_at`: when a sync last found something), the less
    often it is asked. Notifications get lost, so a `watched` one is asked as well, only less often.
    `at_least` is what the provider wants between two syncs: never less, whatever the spread.
    """
    shortest = settings.SYNC_INTERVAL_SECONDS
    quiet = (now - changed_at).total_seconds() if changed_at else 0.0
    interval = max(shortest, min(quiet * PART_OF_SILENCE, settings.SYNC_INTERVAL_QUIET_SECONDS))
    if watched:
        interval = max(interval, settings.SYNC_INTERVAL_WITH_PUSH_SECONDS)
    spread = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
    floor = at_least * random.uniform(1, 1 + JITTER)  # noqa: S311
    return now + max(timedelta(seconds=interval * spread), floor)


def back_off(failures: int, *, most: timedelta = LONGEST_BACK_OFF) -> timedelta:
    """The wait after the n-th failure in a row: doubling up to `most`, spread by a quarter."""
    wait = min(FIRST_BACK_OFF * (1 << min(failures - 1, 16)), most)
    return wait * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311


def silence(retry_after: float | None, *, otherwise: timedelta) -> timedelta:
    """How long to leave a provider alone that limits us: what it said, never less, or `otherwise`.

    Up to a tenth is added: all calendars of an account are refused in the same second.
    """
    wait = otherwise if retry_after is None else timedelta(seconds=max(retry_after, 1.0))
    return min(wait, LONGEST_SILENCE) * random.uniform(1.0, 1.1)  # noqa: S311


def due(now: Any) -> QuerySet[ExternalCalendar]:
    """What may be synced at `now`: due, free, connected, and its provider is not switched off.

    Of a provider that is away, too. `now` is a datetime, or the parameter of a statement.
    """
    free = Q(lease_until__isnull=True) | Q(lease_until__lte=now)
    return ExternalCalendar.objects.filter(
        free,
        next_sync_at__lte=now,
        connection__status=ProviderConnection.Status.ACTIVE,
        connection__configuration__in=usable(),
    )


def _is_due(row: ExternalCalendar, now: datetime) -> bool:
    """The same of one that is loaded, with its connection and configuration."""
    configuration = row.connection.configuration
    return (
        row.next_sync_at is not None
        and row.next_sync_at <= now
        and (row.lease_until is None or row.lease_until <= now)
        and row.connection.is_active
        and configuration.is_active
        and configuration.paused_at is None
    )


def _lease_duration() -> timedelta:
    return timedelta(seconds=settings.SYNC_LEASE_SECONDS)
