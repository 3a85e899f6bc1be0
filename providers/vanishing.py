"""What becomes of a connection when one of its calendars cannot be synced any more, and of what it
shows as its error while some of its calendars are well and others are not.

Everything here belongs in the caller's transaction, after the external calendars' rows: whoever
syncs, chooses or disconnects locks those first, and then the connection's.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from django.db.models import F
from django.utils import timezone

from providers import audit
from providers.errors import CalendarForbidden, CalendarNotFound
from providers.models import ExternalCalendar, ProviderConnection

Status = ProviderConnection.Status

# Errors of a calendar alone: the account's others may be well.
OF_A_CALENDAR = frozenset({CalendarNotFound.code, CalendarForbidden.code})


def can_be_chosen_from(connection: ProviderConnection) -> bool:
    """Whether the grant works, as far as is known: also when none of its calendars is left."""
    return connection.is_active or (
        connection.status == Status.ERROR
        and bool(connection.account_subject)
        and connection.last_error_code in OF_A_CALENDAR
    )


def locked(connection_id: uuid.UUID) -> ProviderConnection | None:
    """The connection as it is now, until the end of the transaction; None if it is no more."""
    return (
        ProviderConnection.objects.select_for_update(no_key=True, of=("self",))
        .select_related("configuration")
        .present()
        .filter(pk=connection_id)
        .first()
    )


def is_any_well(connection_id: uuid.UUID) -> bool:
    """Whether one of the selected calendars is there and may be read."""
    there = ExternalCalendar.objects.filter(
        connection=connection_id, is_selected=True, vanished_at__isnull=True
    )
    return there.exclude(last_error_code=CalendarForbidden.code).exists()


def vanish(connection: ProviderConnection, ids: Iterable[uuid.UUID]) -> None:
    """Note that these selected calendars are not there any more, and end what syncs them."""
    now = timezone.now()
    rows = ExternalCalendar.objects.filter(
        pk__in=list(ids), is_selected=True, vanished_at__isnull=True
    )
    gone = list(rows.values_list("external_id", flat=True))
    rows.update(
        vanished_at=now,
        last_error_code=CalendarNotFound.code,
        next_sync_at=None,
        next_watch_at=None,
        queued_until=None,
        lease_until=None,
        fence=F("fence") + 1,
        settled=F("dirty"),
    )
    if not gone or not connection.is_active:
        return
    ended = not is_any_well(connection.pk)
    connection.last_error_code = CalendarNotFound.code
    connection.last_error_at = now
    connection.status = Status.ERROR if ended else Status.ACTIVE
    connection.save(update_fields=["last_error_code", "last_error_at", "status", "updated_at"])
    for external_id in gone:
        audit.record(
            connection,
            audit.Action.STOPPED if ended else audit.Action.CALENDAR_GONE,
            actor=audit.Actor.system(),
            code=CalendarNotFound.code,
            details={"external_calendar_id": external_id},
        )


def revive(connection: ProviderConnection) -> None:
    """Let a connection go on that had no calendar left, and has one again."""
    if connection.status == Status.ERROR and is_any_well(connection.pk):
        connection.status = Status.ACTIVE
        connection.save(update_fields=["status", "updated_at"])


def show_error(connection_id: uuid.UUID) -> None:
    """Make an active connection's error that of one of its selected calendars, or none."""
    rows = ExternalCalendar.objects.filter(connection=connection_id, is_selected=True)
    codes = (
        rows.exclude(last_error_code="").order_by("pk").values_list("last_error_code", flat=True)
    )
    active = ProviderConnection.objects.filter(pk=connection_id, status=Status.ACTIVE)
    if code := codes.first():
        active.exclude(last_error_code=code).update(
            last_error_code=code, last_error_at=timezone.now()
        )
    else:
        active.update(last_error_code="", last_error_at=None)
