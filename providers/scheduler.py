"""Which external calendars are due, and who works on them. The database is the truth of both.

Due means: `next_sync_at` has come, nobody holds the lease, and no hint is on its way
(`queued_until`). The broker only carries hints; losing one costs a minute, receiving one twice does
nothing twice.

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
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Case, DateTimeField, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.utils import timezone

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
_by_key = Select(
    lambda: (
        ExternalCalendar.objects.filter(pk=parameter("pk", ExternalCalendar._meta.pk))
        .select_related("connection__configuration")
        .annotate(watched=Exists(_delivering))
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

    def release(self, *, next_sync_at: datetime | None, at_once: bool, **changes: Any) -> None:
        """Give the lease back and say when the next sync is due (None: not by itself).

        A wish that came during the run is due at once if `at_once`. Raises LostLease.
        """
        changes |= {"lease_until": None, "queued_until": None, "settled": self.dirty}
        if at_once:
            quiet = self._mine() | {"dirty": self.dirty}
            if update(ExternalCalendar, quiet, next_sync_at=next_sync_at, **changes):
                return
            next_sync_at = timezone.now()
        self._update(next_sync_at=next_sync_at, **changes)

    def _update(self, **changes: Any) -> None:
        if update(ExternalCalendar, self._mine(), **changes) != 1:
            raise LostLease(f"external calendar {self.external_calendar.pk}")

    def _mine(self) -> dict[str, object]:
        return {"pk": self.external_calendar.pk, "fence": self.fence}


def acquire(external_calendar_id: uuid.UUID | str) -> Lease | None:
    """Take the lease if the external calendar is due and free; None if not, or if it is unknown.

    Looks first, then takes what it saw: who takes or revokes a lease raises the fence, so of two
    one gets through, and nobody who looked before a disconnection.
    """
    now = timezone.now()
    row = next(iter(_by_key(pk=external_calendar_id, now=now)), None)
    if row is None or not _is_due(row, now):
        return None
    watched: bool = row.watched  # type: ignore[attr-defined]  # annotated
    lease = Lease(external_calendar=row, fence=row.fence + 1, dirty=row.dirty, watched=watched)
    taken = update(
        ExternalCalendar,
        {"pk": row.pk, "fence": row.fence},
        fence=lease.fence,
        lease_until=now + _lease_duration(),
        queued_until=None,
    )
    return lease if taken else None


def claim_due(*, limit: int) -> list[uuid.UUID]:
    """Note that hints are being sent for up to `limit` due external calendars; returns their ids.

    Two dispatchers at once claim different ones: the second skips what the first has locked.
    """
    now = timezone.now()
    due = _due(now).filter(Q(queued_until__isnull=True) | Q(queued_until__lte=now))
    with transaction.atomic():
        # SQLite has one writer at a time and ignores the lock.
        ids = list(
            due.order_by("next_sync_at")
            .select_for_update(skip_locked=True, of=("self",))
            .values_list("pk", flat=True)[:limit]
        )
        ExternalCalendar.objects.filter(pk__in=ids).update(queued_until=now + QUEUED_FOR)
    return ids


def overdue(wait: timedelta) -> QuerySet[ExternalCalendar]:
    """External calendars that have been due for longer than `wait`, and nobody is at them."""
    now = timezone.now()
    return _due(now).filter(next_sync_at__lt=now - wait)


def request_sync(
    external_calendars: QuerySet[ExternalCalendar] | Iterable[uuid.UUID],
) -> list[uuid.UUID]:
    """Make external calendars of active connections due now; returns their ids.

    Belongs in the caller's transaction. While a provider has asked for silence, the sync waits.
    """
    if not isinstance(external_calendars, QuerySet):
        external_calendars = ExternalCalendar.objects.filter(pk__in=list(external_calendars))
    now = timezone.now()
    active = ProviderConnection.objects.filter(status=ProviderConnection.Status.ACTIVE)
    with transaction.atomic():
        ids = list(
            external_calendars.filter(connection__in=active)
            .order_by("pk")  # the same order for everybody: no two callers wait for each other
            .select_for_update(of=("self",))
            .values_list("pk", flat=True)
        )
        ExternalCalendar.objects.filter(pk__in=ids).update(
            dirty=F("dirty") + 1,
            next_sync_at=Case(
                When(blocked_until__gt=now, then=F("blocked_until")), default=Value(now)
            ),
            queued_until=now + QUEUED_FOR,
        )
    return ids


def revoke_leases(connection_id: uuid.UUID) -> None:
    """End whatever syncs this connection, at its next write at the latest.

    For disconnecting and reconnecting, as the first statement of their transaction: it locks the
    rows in the order in which a sync does.
    """
    ExternalCalendar.objects.filter(connection_id=connection_id).update(
        fence=F("fence") + 1, lease_until=None, queued_until=None, blocked_until=None, failures=0
    )


def next_regular(now: datetime, *, watched: bool = False) -> datetime:
    """When a calendar that is well is synced again: the interval, spread by a quarter each way.

    Notifications get lost, so a `watched` one is asked for changes as well, only less often.
    """
    interval = settings.SYNC_INTERVAL_SECONDS
    if watched:
        interval = max(interval, settings.SYNC_INTERVAL_WITH_PUSH_SECONDS)
    seconds = interval * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
    return now + timedelta(seconds=seconds)


def back_off(failures: int) -> timedelta:
    """The wait after the n-th failure in a row: doubling up to an hour, spread by a quarter."""
    wait = min(FIRST_BACK_OFF * (1 << min(failures - 1, 16)), LONGEST_BACK_OFF)
    return wait * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311


def silence(retry_after: float | None, *, otherwise: timedelta) -> timedelta:
    """How long to leave a provider alone that limits us: what it said, never less, or `otherwise`.

    Up to a tenth is added: all calendars of an account are refused in the same second.
    """
    wait = otherwise if retry_after is None else timedelta(seconds=max(retry_after, 1.0))
    return min(wait, LONGEST_SILENCE) * random.uniform(1.0, 1.1)  # noqa: S311


def _due(now: datetime) -> QuerySet[ExternalCalendar]:
    """What may be synced at `now`: due, free, connected, and its provider is not switched off."""
    usable = ProviderConfiguration.objects.filter(is_active=True, paused_at__isnull=True)
    connected = ProviderConnection.objects.filter(
        status=ProviderConnection.Status.ACTIVE, configuration__in=usable
    )
    free = Q(lease_until__isnull=True) | Q(lease_until__lte=now)
    return ExternalCalendar.objects.filter(free, next_sync_at__lte=now, connection__in=connected)


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
