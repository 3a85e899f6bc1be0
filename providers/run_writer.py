"""What storing a run has in common, whatever its pages name: progress, the sweep, its end."""

from __future__ import annotations

import logging
import uuid
from abc import ABC, abstractmethod
from copy import copy
from datetime import timedelta
from typing import Any

from django.db import connection, models, transaction
from django.utils import timezone

from calendars.models import Event
from providers import audit, quarantine, scheduler, vanishing
from providers.base import EventQuery, InvalidEvent, Window
from providers.errors import ProviderError
from providers.http import clean_text
from providers.models import SyncRun, SyncRunPage
from talkover.statements import insert, update

logger = logging.getLogger(__name__)

# Far beyond any calendar, at thousands of events a page: a listing that does not end is a fault.
MOST_PAGES = 10_000
SWEEP_BATCH = 5000
INVALID_LOGGED_PER_PAGE = 20
# A full listing that leaves out so many, and more than half, is doubted as an empty one is.
MANY_LOST = 50
# When a calendar with events lists none: believed when it was seen this often, over this long.
EMPTY_LISTINGS = 3
EMPTY_FOR = timedelta(hours=1)

_PAGES = SyncRunPage._meta.db_table
_SEEN = {
    "postgresql": f"SELECT jsonb_array_elements_text(external_ids) FROM {_PAGES}",
    "sqlite": f"SELECT json_each.value FROM {_PAGES}, json_each(external_ids)",
}


class SuddenlyEmpty(ProviderError):
    """A calendar that had events lists none. Its rows are kept until that is seen repeatedly."""

    code = "suddenly_empty"


class SuddenlyShrunk(SuddenlyEmpty):
    """A full listing lacks most of what was there, as when it breaks off and looks complete."""

    code = "suddenly_shrunk"


class RunWriter(ABC):
    """Stores one run and ends it; what a page is, and what is swept, the subclasses know.

    `run` says where to go on after each committed page; its attributes change with the commit.
    """

    def __init__(self, *, run: SyncRun, lease: scheduler.Lease) -> None:
        self.run = run
        self._source = lease.external_calendar
        self._lease = lease
        self._full = run.kind == SyncRun.Kind.FULL
        # What the provider wants between two syncs that nobody has asked for.
        self._at_least = self._source.connection.configuration.provider.shortest_interval

    @abstractmethod
    def _unseen(self) -> list[str]:
        """What this full listing neither wrote nor saw, at most SWEEP_BATCH ids."""

    @abstractmethod
    def _remove(self, ids: list[str]) -> int:
        """Remove these, inside the caller's transaction; returns how many events that were."""

    @abstractmethod
    def _events_of(self, ids: list[str]) -> list[str]:
        """The external ids of their events."""

    def _query(self) -> EventQuery:
        """The page where the run stands."""
        return EventQuery(
            calendar_id=self._source.external_id,
            window=Window(self.run.window_start, self.run.window_end),
            cursor="" if self._full else self._source.cursor,
            page_token=self.run.page_token,
        )

    def _sweep_and_finish(self) -> None:
        """Remove what a full listing did not see; then, in one transaction, move the cursor."""
        # Outside of a transaction, yet reliable: only the lease's holder writes these rows.
        unseen = self._unseen()
        if self.run.events_seen == 0 or len(unseen) >= MANY_LOST:
            self._doubt_the_loss(unseen)
        while True:
            with transaction.atomic():
                self._lease.hold()
                removed = self._remove(unseen)
                progress = {
                    "events_removed": self.run.events_removed + removed,
                    "heartbeat_at": timezone.now(),
                }
                if len(unseen) < SWEEP_BATCH:
                    progress |= self._finish_listing(
                        cursor=self.run.next_cursor,
                        quarantined=self._source.quarantined_count,
                        changed=bool(removed),
                    )
                self._write_run(progress)
            self._note_committed(progress)
            if len(unseen) < SWEEP_BATCH:
                return
            unseen = self._unseen()

    def _write_run(self, progress: dict[str, Any]) -> None:
        """The run's row, inside the page's transaction; it is there from the first page on."""
        if self.run._state.adding:
            row = copy(self.run)
            _assign(row, progress)
            insert(row)
        else:
            update(SyncRun, {"pk": self.run.pk}, **progress)

    def _note_committed(self, progress: dict[str, Any]) -> None:
        _assign(self.run, progress)
        self.run._state.adding = False

    def _doubt_the_loss(self, unseen: list[str]) -> None:
        """Raise SuddenlyEmpty or SuddenlyShrunk unless that was seen often and long enough.

        Rows outside the window do not count: they are to go, and their going is no surprise. What a
        person deletes comes with the changes, so that a full listing hardly ever finds much gone.
        """
        there = (
            Event.objects.filter(source=self._source)
            .exclude(status=Event.Status.CANCELLED)
            .overlapping(self.run.window_start, self.run.window_end)
        )
        if self.run.events_seen == 0:
            if there.exists() and not self._was_seen_before():
                raise SuddenlyEmpty("The calendar lists no events any more; the known are kept.")
            return
        lost = there.filter(external_id__in=self._events_of(unseen)).count()
        if lost >= MANY_LOST and 2 * lost > there.count() and not self._was_seen_before():
            raise SuddenlyShrunk(f"The calendar lacks {lost} events or more; the known are kept.")

    def _was_seen_before(self) -> bool:
        """Whether earlier listings in a row, over long enough, lacked as much."""
        earlier = SyncRun.objects.filter(
            external_calendar=self._source,
            error_code__in=[SuddenlyEmpty.code, SuddenlyShrunk.code],
        )
        if self._source.last_full_sync_at:
            earlier = earlier.filter(started_at__gt=self._source.last_full_sync_at)
        times = list(earlier.values_list("started_at", flat=True))
        return len(times) >= EMPTY_LISTINGS - 1 and timezone.now() - min(times) >= EMPTY_FOR

    def _finish_listing(self, *, cursor: str, quarantined: int, changed: bool) -> dict[str, Any]:
        """The end of a full listing, as `_finish`: now the rows can be counted."""
        quarantine.sweep(lease=self._lease, listing=self.run.listing, count=quarantined)
        SyncRunPage.objects.filter(run=self.run).delete()
        live = Event.objects.filter(source=self._source).exclude(status=Event.Status.CANCELLED)
        return self._finish(cursor=cursor, events_synced=live.count(), changed=changed)

    def _finish(self, *, cursor: str, events_synced: Any, changed: bool) -> dict[str, Any]:
        """The end of the run, inside the caller's transaction: the cursor moves last.

        `changed`: whether this transaction changes any event.
        """
        now = timezone.now()
        source, run = self._source, self.run
        changed = changed or run.events_changed > 0 or run.events_removed > 0
        changed_at = now if changed else source.changed_at
        changes: dict[str, Any] = {
            "cursor": cursor,
            "window_start": run.window_start,
            "window_end": run.window_end,
            "unfinished": False,
            "last_sync_at": now,
            "changed_at": changed_at,
            "events_synced": events_synced,
            "failures": 0,
            "blocked_until": None,
            "last_error_code": "",
        }
        if self._full:
            changes["last_full_sync_at"] = now
        if source.failures:
            audit.record(
                source.connection,
                audit.Action.SYNC_RECOVERED,
                actor=audit.Actor.system(),
                details={"external_calendar_id": source.external_id},
            )
        next_sync_at = scheduler.next_regular(
            now,
            watched=self._lease.watched,
            changed_at=changed_at,
            at_least=self._at_least,
        )
        # A listing that was resumed shows the calendar as it was when it began (a page token is of
        # that moment): wishes that came since want another one.
        seen = run.wishes
        self._lease.release(next_sync_at=next_sync_at, at_once=True, seen=seen, **changes)
        if source.connection.last_error_code:
            vanishing.show_error(source.connection_id)
        return {
            "status": SyncRun.Status.SUCCEEDED,
            "phase": SyncRun.Phase.DONE,
            "finished_at": now,
            "page_token": "",
            "next_cursor": "",
            "error_code": "",
            "error_detail": "",
        }

    def _log_invalid(self, invalid: list[InvalidEvent]) -> None:
        for event in invalid[:INVALID_LOGGED_PER_PAGE]:
            logger.warning(
                "external calendar %s: event %.200r left out: %s",
                self._source.pk, event.id, clean_text(event.reason, quarantine.REASON_LENGTH),
            )  # fmt: skip

    def _unseen_in(self, model: type[models.Model], column: str, source: str) -> list[str]:
        """Ids of the source's rows of a table that this listing neither wrote nor saw.

        EXCEPT, not an anti-join: it is hashed or sorted whatever the planner believes of the number
        of rows, and never a loop in a loop.
        """
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {column} FROM {model._meta.db_table} WHERE {source} = %s AND listing < %s"
                f" EXCEPT {_SEEN[connection.vendor]} WHERE run_id = %s LIMIT {SWEEP_BATCH}",
                (_key(self._source.pk), self.run.listing, _key(self.run.pk)),
            )
            return [row[0] for row in cursor.fetchall()]


def _assign(run: SyncRun, progress: dict[str, Any]) -> None:
    for name, value in progress.items():
        setattr(run, name, value)


def _key(value: uuid.UUID) -> str:
    """A primary key as a parameter of a statement that Django did not write."""
    return str(value) if connection.features.has_native_uuid_field else value.hex
