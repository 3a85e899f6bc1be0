"""For which due calendars a hint is sent: each configuration's own queue, in the database.

In the broker all hints stand in one line, first come, first served. So that ten thousand of one
configuration never stand in front of another's ten, only a few of each are let in at a time, those
due longest first; the rest wait in the database, where waiting costs nothing.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import (
    Case,
    Count,
    DateTimeField,
    F,
    IntegerField,
    Q,
    QuerySet,
    UUIDField,
    Value,
    When,
    Window,
)
from django.db.models.functions import RowNumber
from django.utils import timezone

from providers import limits, outages, scheduler
from providers.models import ExternalCalendar, ProviderConnection
from talkover.statements import Select, parameter

# Hints on their way for each calendar that may be synced at once: a worker that gets free finds
# one, and few are refused.
HINTS_PER_SLOT = 2


class Claim(NamedTuple):
    """A calendar to send a hint for. `crowded`: others of its configuration are left waiting, and
    the run should see to the next one when it ends."""

    pk: uuid.UUID
    crowded: bool = False


def claim_due(*, limit: int) -> list[Claim]:
    """Note that hints are being sent for due calendars, in the order in which to send them.

    With those that are on their way already there are at most `limit`, and of each configuration
    as many as its budget makes room for; of one whose provider may be back a single one.

    Two dispatchers at once claim different ones: the second skips what the first has locked.
    """
    now = timezone.now()
    rooms = _rooms(now, limit)
    if not rooms:
        return []
    waiting = (
        scheduler.due(now)
        .filter(connection__configuration__in=rooms)
        .annotate(
            configuration=F("connection__configuration_id"),
            rank=Window(
                RowNumber(),
                partition_by=F("connection__configuration_id"),
                order_by=[_hinted_first(now), F("next_sync_at")],
            ),
            number=Window(Count("pk"), partition_by=F("connection__configuration_id")),
        )
        .filter(rank__lte=max(rooms.values()))
        .order_by("rank", "next_sync_at")
        .values_list("pk", "configuration", "rank", "number", "queued_until")
    )
    claims, hinted = [], 0
    for pk, configuration, rank, number, queued_until in waiting:
        if queued_until is not None and queued_until > now:
            hinted += 1
        elif rank <= rooms[configuration]:
            # A lone configuration's room is refilled by the dispatcher in time.
            crowded = (
                rooms[configuration] < limit and number > rooms[configuration] // HINTS_PER_SLOT
            )
            claims.append(Claim(pk, crowded=crowded))
    return _take(claims[: max(limit - hinted, 0)], now)


def claim_next(configuration_id: uuid.UUID) -> list[Claim]:
    """The same for the one that is due longest, when a run of a crowded configuration ends."""
    now = timezone.now()
    with transaction.atomic():
        first = _first_of(configuration=configuration_id, now=now)
        return _mark([Claim(row.pk, crowded=True) for row in first], now)


def claim_refused(connection: ProviderConnection) -> list[Claim]:
    """One that the limit of this connection's account has refused, when a run of the account ends;
    none where there is no limit. It need not wait until it is due again.
    """
    if limits.of_account(connection.configuration) is None:
        return []
    now = timezone.now()
    with transaction.atomic():
        soon = now + limits.ACCOUNT_PAUSE
        first = _first_refused(now=now, soon=soon, **limits.account_of(connection))
        ExternalCalendar.objects.filter(pk__in=[row.pk for row in first]).update(next_sync_at=now)
        return _mark([Claim(row.pk) for row in first], now)


def _hinted_first(now: datetime) -> Case:
    return Case(
        When(queued_until__gt=now, then=Value(0)), default=Value(1), output_field=IntegerField()
    )


def _unhinted(now: Any) -> Q:
    return Q(queued_until__isnull=True) | Q(queued_until__lte=now)


def _first() -> QuerySet[ExternalCalendar]:
    now = parameter("now", DateTimeField())
    return (
        scheduler.due(now)
        .filter(_unhinted(now), connection__configuration=parameter("configuration", UUIDField()))
        .order_by("next_sync_at")
        .select_for_update(skip_locked=True, of=("self",))
        .only("pk")[:1]
    )


_first_of = Select(_first)


def _refused() -> QuerySet[ExternalCalendar]:
    """Of an account, what is due by the end of the pause, unless its provider has asked for it."""
    now = parameter("now", DateTimeField())
    return (
        scheduler.due(parameter("soon", DateTimeField()))
        .filter(_unhinted(now), **limits.OF_ACCOUNT)
        .exclude(blocked_until__gt=now)
        .order_by("next_sync_at")
        .select_for_update(skip_locked=True, of=("self",))
        .only("pk")[:1]
    )


_first_refused = Select(_refused)


def _rooms(now: datetime, limit: int) -> dict[uuid.UUID, int]:
    """How many hints each configuration may have on their way; without those to be left alone."""
    configurations = list(scheduler.usable())
    rooms = {}
    for configuration in configurations:
        budget = limits.budget_of(configuration, has_rivals=len(configurations) > 1)
        room = limit if budget is None else budget * HINTS_PER_SLOT
        if not outages.is_open(configuration, now):
            rooms[configuration.pk] = 1 if configuration.outage_until else room
    return rooms


def _take(claims: list[Claim], now: datetime) -> list[Claim]:
    if not claims:
        return []
    with transaction.atomic():
        # SQLite has one writer at a time and ignores the lock. What it locks is looked at again:
        # another dispatcher may have claimed it since.
        free = set(
            scheduler.due(now)
            .filter(_unhinted(now), pk__in=[claim.pk for claim in claims])
            .select_for_update(skip_locked=True, of=("self",))
            .values_list("pk", flat=True)
        )
        return _mark([claim for claim in claims if claim.pk in free], now)


def _mark(claims: list[Claim], now: datetime) -> list[Claim]:
    ExternalCalendar.objects.filter(pk__in=[claim.pk for claim in claims]).update(
        queued_until=now + scheduler.QUEUED_FOR
    )
    return claims
