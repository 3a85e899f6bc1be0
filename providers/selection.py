"""Which calendars of an account are synced: choosing them, and taking over what was synced before.

A choice is one transaction: either all of it holds, or nothing has changed. What is chosen is due
at once. What is not chosen any more has no lease from then on, so that a run under way writes
nothing more; its events go, in the same transaction as far as they are few, otherwise right after.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from calendars.models import Event
from providers import audit, clearing, tasks, vanishing
from providers.audit import Action, Actor
from providers.base import RemoteCalendar
from providers.models import (
    ExternalCalendar,
    NotificationChannel,
    ProviderConnection,
    SyncedObject,
)

NAMED_IN_A_MESSAGE = 5
NAMED_IN_THE_LOG = 20


class NotChoosable(Exception):
    """Not all of these can be chosen; nothing has changed. `problems` say why, and the remedy."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


class NotConnected(Exception):
    """The connection is not one of which calendars can be chosen now: it has to be authorised."""


@dataclass(frozen=True, slots=True)
class _Choice:
    """What a choice changes, on locked rows."""

    connection: ProviderConnection
    added: list[ExternalCalendar]
    removed: list[ExternalCalendar]


def choose(*, connection_id: uuid.UUID, external_ids: Collection[str], actor: Actor) -> None:
    """Sync these calendars of the account, and no others. The first is the connection's own.

    `external_ids` are the provider's; one that is named twice counts once. Raises NotChoosable,
    NotConnected.
    """
    wanted = list(dict.fromkeys(external_ids))
    with transaction.atomic():
        # The calendars first: it locks in the order in which a sync does.
        rows = list(
            ExternalCalendar.objects.filter(connection=connection_id)
            .order_by("pk")
            .select_for_update()
        )
        connection = vanishing.locked(connection_id)
        if connection is None or not vanishing.can_be_chosen_from(connection):
            raise NotConnected
        listed = {row.external_id: row for row in rows}
        _check(wanted, listed)
        choice = _Choice(
            connection,
            added=[listed[key] for key in wanted if not listed[key].is_selected],
            removed=[row for row in rows if row.is_selected and row.external_id not in wanted],
        )
        _take_from_others(choice)
        unselect(choice.removed)
        ExternalCalendar.objects.filter(pk__in=[row.pk for row in choice.added]).update(
            is_selected=True, to_clear=False, last_error_code=""
        )
        if connection.external_calendar_id != wanted[0]:
            connection.external_calendar_id = wanted[0]
            connection.save(update_fields=["external_calendar_id", "updated_at"])
        vanishing.revive(connection)
        vanishing.show_error(connection.pk)
        if choice.added or choice.removed:
            audit.record(connection, Action.CALENDARS_CHOSEN, actor=actor, details=_told(choice))
        for row in choice.added:
            tasks.start_syncing(row)


def begin(connection: ProviderConnection, calendar: RemoteCalendar) -> ExternalCalendar:
    """Select a calendar that the provider has just shown, in the activation's transaction."""
    external, _ = ExternalCalendar.objects.update_or_create(
        connection=connection,
        external_id=calendar.id,
        defaults={
            "name": calendar.name,
            "time_zone": calendar.time_zone,
            "access_role": calendar.access_role,
            "color": calendar.color,
            "is_primary": calendar.is_primary,
            "is_selected": True,
            "vanished_at": None,
            "to_clear": False,
            "last_error_code": "",
        },
    )
    return external


def unselect(rows: Sequence[ExternalCalendar]) -> None:
    """Sync these no more, in the caller's transaction, which has locked them.

    Their channels are stopped here at once, and at the provider afterwards.
    """
    if not rows:
        return
    now = timezone.now()
    ids = [row.pk for row in rows]
    channels = NotificationChannel.objects.filter(external_calendar__in=ids)
    channels.filter(stopped_at__isnull=True).update(stopped_at=now)
    watched = list(channels.order_by().values_list("external_calendar", flat=True).distinct())
    clearing.forget(rows)
    mine = ExternalCalendar.objects.filter(pk__in=ids)
    mine.update(is_selected=False, last_error_code="", blocked_until=None, next_watch_at=None)
    mine.filter(pk__in=watched).update(next_watch_at=now)
    most = clearing.CLEARED_AT_ONCE // len(ids)
    left = [pk for pk in ids if not clearing.clear_some(pk, most)]
    transaction.on_commit(partial(tasks.enqueue_clearing, left))
    transaction.on_commit(partial(tasks.enqueue_renewals, watched))


def same_elsewhere(
    connection: ProviderConnection, external_ids: Iterable[str], subject: str
) -> list[ExternalCalendar]:
    """What other connections of this calendar sync of the very same calendars at the provider, dead
    or alive. `subject`: the account's."""
    return list(
        ExternalCalendar.objects.select_for_update(of=("self",))
        .select_related("connection")
        .filter(
            external_id__in=list(external_ids),
            is_selected=True,
            connection__calendar_id=connection.calendar_id,
            connection__configuration_id=connection.configuration_id,
            connection__account_subject=subject,
        )
        .exclude(connection=connection)
    )


def take_over(old: ExternalCalendar, new: ExternalCalendar) -> None:
    """Let `new` continue `old`, a dead connection's, so that its events are not there twice."""
    known = Event.objects.filter(source=new).values("external_id")
    Event.objects.filter(source=old, external_id__in=known).delete()
    Event.objects.filter(source=old).update(source=new)
    # What `old` kept of its own listing does not order with that of `new`.
    Event.objects.filter(source=new).update(listing=0)
    known_objects = SyncedObject.objects.filter(external_calendar=new).values("object_id")
    objects = SyncedObject.objects.filter(external_calendar=old)
    objects.filter(object_id__in=known_objects).delete()
    objects.update(external_calendar=new, listing=0)
    # To be stopped: with the new grant, which is of the same account and client.
    NotificationChannel.objects.filter(external_calendar=old).update(external_calendar=new)
    remaining = ExternalCalendar.objects.filter(connection=old.connection, is_selected=True)
    is_last = not remaining.exclude(pk=old.pk).exists()
    old.delete()
    if is_last:
        old.connection.delete()


def _check(wanted: list[str], listed: dict[str, ExternalCalendar]) -> None:
    """Raises NotChoosable with all that is wrong, and what to do about it."""
    problems = []
    most = settings.SELECTED_CALENDARS_PER_CONNECTION
    if not wanted:
        problems.append(
            "Name at least one calendar. To sync none of the account, remove the connection."
        )
    if len(wanted) > most:
        problems.append(f"Name at most {most} calendars; these are {len(wanted)}.")
    if unknown := [key for key in wanted if key not in listed]:
        remedy = (
            "Read the list again with ?refresh=true, and take the ids from there."
            if listed
            else "The account has no calendars: make one at the provider, then read the list again."
        )
        problems.append(f"Not in the account's list: {_named(unknown)}. {remedy}")
    vanished = [
        key
        for key in wanted
        if key in listed and listed[key].vanished_at and not listed[key].is_selected
    ]
    if vanished:
        problems.append(
            f"Not there any more at the provider: {_named(vanished)}. Choose from those that are."
        )
    if problems:
        raise NotChoosable(problems)


def _take_from_others(choice: _Choice) -> None:
    """What another connection of this calendar syncs: an ended one's is taken over, an active one
    keeps it. Raises NotChoosable."""
    by_id = {row.external_id: row for row in choice.added}
    others = same_elsewhere(choice.connection, by_id, choice.connection.account_subject)
    if taken := [row.external_id for row in others if row.connection.is_active]:
        problem = f"Synced through another connection of this calendar: {_named(taken)}."
        raise NotChoosable([f"{problem} Leave them out, or remove the other connection first."])
    for other in others:
        take_over(other, by_id[other.external_id])


def _named(ids: list[str]) -> str:
    shown = ", ".join(repr(key[:100]) for key in ids[:NAMED_IN_A_MESSAGE])
    more = len(ids) - NAMED_IN_A_MESSAGE
    return f"{shown} and {more} more" if more > 0 else shown


def _told(choice: _Choice) -> dict[str, list[str]]:
    return {
        "added": [row.external_id for row in choice.added[:NAMED_IN_THE_LOG]],
        "removed": [row.external_id for row in choice.removed[:NAMED_IN_THE_LOG]],
    }
