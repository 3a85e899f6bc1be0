"""Removing what was synced of a calendar that is not to be synced any more, some events at a time.

A calendar may have a hundred thousand events: nobody waits for that. `to_clear` says what is left
to do, so that a task that is lost, doubled or killed in the middle loses nothing.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import F

from calendars.models import Event
from providers import sync
from providers.models import ExternalCalendar, QuarantinedEvent, SyncedObject, SyncRun

CLEARED_AT_ONCE = 2000

# What is known of a calendar whose events go: it is as if it had never been synced.
_FORGOTTEN: Mapping[str, Any] = {
    "cursor": "",
    "window_start": None,
    "window_end": None,
    "last_sync_at": None,
    "last_full_sync_at": None,
    "changed_at": None,
    "events_synced": 0,
    "quarantined_count": 0,
    "failures": 0,
    "unfinished": False,
}


def forget(rows: Sequence[ExternalCalendar]) -> None:
    """Begin to remove what was synced of these calendars, whose rows the caller has locked.

    Their runs end, and what a run would go on from goes. Events follow, some at a time: `clear`.
    """
    ids = [row.pk for row in rows]
    for run in SyncRun.objects.filter(external_calendar__in=ids, status__in=SyncRun.UNFINISHED):
        sync.close(run, code="abandoned")
    QuarantinedEvent.objects.filter(external_calendar__in=ids).delete()
    ExternalCalendar.objects.filter(pk__in=ids).update(
        to_clear=True,
        fence=F("fence") + 1,
        lease_until=None,
        queued_until=None,
        next_sync_at=None,
        settled=F("dirty"),
        **_FORGOTTEN,
    )


def to_clear(*, limit: int) -> list[uuid.UUID]:
    """Calendars whose events are still to be removed, up to `limit`."""
    rows = ExternalCalendar.objects.filter(to_clear=True).order_by("pk")
    return list(rows.values_list("pk", flat=True)[:limit])


def clear(external_calendar_id: uuid.UUID, *, until: float) -> bool:
    """Remove the events of a calendar that is to be cleared; whether that is done, or another is at
    it. Ends after `until` (time.monotonic()). A calendar that was chosen again keeps what is left.
    """
    while not clear_some(external_calendar_id):
        if time.monotonic() > until:
            return False
    return True


def clear_some(external_calendar_id: uuid.UUID, most: int = CLEARED_AT_ONCE) -> bool:
    """One transaction of `clear`, over about so many events; whether nothing is left to do.

    An object goes together with its events: a listing compares by what is known of objects.
    """
    with transaction.atomic():
        mine = ExternalCalendar.objects.filter(pk=external_calendar_id, to_clear=True)
        source = mine.select_for_update(skip_locked=True).only("pk").first()
        if source is None:
            return True
        rows = SyncedObject.objects.filter(external_calendar=source).order_by()
        # Some have an occurrence for each day of the window.
        objects = list(rows[: max(most // 10, 1)])
        events = Event.objects.filter(source=source)
        if objects:
            keys = [key for item in objects for key in item.event_ids]
            events.filter(external_id__in=keys).delete()
            SyncedObject.objects.filter(pk__in=[item.pk for item in objects]).delete()
            return False
        ids = list(events.order_by().values_list("pk", flat=True)[:most])
        Event.objects.filter(pk__in=ids).delete()
        if len(ids) < most:
            mine.update(to_clear=False)
            return True
    return False
