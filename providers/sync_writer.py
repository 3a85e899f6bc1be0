"""Storing a listing's pages, one transaction each; sweeping and moving the cursor at its end."""

from __future__ import annotations

import logging
import uuid
from copy import copy
from datetime import timedelta
from typing import Any, TypedDict

from django.db import connection, transaction
from django.utils import timezone

from calendars import upsert
from calendars.models import Event
from providers import audit, quarantine, scheduler
from providers.base import EventPage, EventQuery, InvalidEvent, Window
from providers.errors import ProviderError
from providers.http import clean_text
from providers.models import ProviderConnection, SyncRun, SyncRunPage
from providers.sync_difference import Difference
from providers.sync_reader import ListingLoops, PageReader
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

_EVENTS = Event._meta.db_table
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


class _Target(TypedDict):
    calendar_id: uuid.UUID
    source_id: uuid.UUID
    listing: int


class PageWriter:
    """Stores the pages of one run, and ends it when the listing is complete.

    `run` says where to go on after each committed page; its attributes change with the commit.
    """

    def __init__(self, *, run: SyncRun, lease: scheduler.Lease) -> None:
        self.run = run
        self._source = source = lease.external_calendar
        self._lease = lease
        self._full = run.kind == SyncRun.Kind.FULL
        # A first sync compares nothing: all rows there are its own.
        self._compare = (
            not self._full or run.pages > 0 or Event.objects.filter(source=source).exists()
        )

    def store_all(self, reader: PageReader) -> None:
        """List from where the run stands to its end."""
        if self.run.phase == SyncRun.Phase.LISTING:
            query = EventQuery(
                calendar_id=self._source.external_id,
                window=Window(self.run.window_start, self.run.window_end),
                cursor="" if self._full else self._source.cursor,
                page_token=self.run.page_token,
            )
            with reader:
                reader.start(query)
                while self._store(self._compared(reader.next_page())):
                    pass
        if self.run.status == SyncRun.Status.RUNNING:
            self._sweep_and_finish()

    def _compared(self, page: EventPage) -> Difference:
        """Outside of a transaction, yet reliable: only the lease's holder writes these rows."""
        known: dict[str, tuple[str, str]] = {}
        if self._compare and page.ids:
            known = upsert.known_versions(
                source_id=self._source.pk, ids=page.ids, meanwhile=lambda: page.versions
            )
        difference = Difference(page, known)
        # The next page is arriving: this one is let go before it is written. The last one is
        # decoded while its first events are being written.
        if page.next_page_token or not self._full:
            difference.load()
        return difference

    def _store(self, difference: Difference) -> bool:
        """Write a page with where to go on, in one short transaction; whether more pages follow."""
        if self.run.pages >= MOST_PAGES:
            raise ListingLoops(f"More than {MOST_PAGES} pages.")
        try:
            self._commit(difference, singly=False)
        except upsert.REFUSALS as error:
            if not upsert.is_refusal(error):
                raise
            # A value that no column takes stops this event, not the calendar.
            self._commit(difference, singly=True)
        return bool(difference.next_page_token)

    def _commit(self, difference: Difference, *, singly: bool) -> None:
        run, source = self.run, self._source
        target: _Target = {
            "calendar_id": source.connection.calendar_id,
            "source_id": source.pk,
            "listing": run.listing,
        }
        refused: list[str] = []
        with transaction.atomic():
            ended = self._hold(difference)
            if singly:
                changed, refused = upsert.write_events_singly(events=difference.events(), **target)
            else:
                changed = upsert.write_events(events=difference.events(), **target)
            removed = upsert.remove_events(source_id=source.pk, ids=difference.removed)
            invalid = difference.invalid + [
                InvalidEvent(key, "refused by the database") for key in refused
            ]
            kept = quarantine.settle(
                lease=self._lease,
                listing=run.listing,
                versions=difference.versions,
                removed=difference.removed,
                invalid=invalid,
            )
            if refused and not self._full:
                self._lease.note(events_synced=source.events_synced + difference.balance(refused))
            progress = {
                "phase": run.phase if difference.next_page_token else SyncRun.Phase.SWEEPING,
                "pages": run.pages + 1,
                "events_seen": run.events_seen + difference.listed,
                "events_changed": run.events_changed + changed,
                "events_removed": run.events_removed + removed,
                "events_invalid": run.events_invalid + len(invalid),
                "page_token": difference.next_page_token,
                "next_cursor": difference.next_cursor,
                "heartbeat_at": timezone.now(),
            } | ended
            if self._full and not self._compare and not difference.next_page_token:
                # Nothing was there before: nothing can be left to sweep.
                progress |= self._finish_listing(
                    cursor=difference.next_cursor, quarantined=kept.count
                )
            self._write_run(progress)
            # What could not be read is there nevertheless: its last good row stays.
            seen = difference.unchanged + [
                event.id for event in invalid if quarantine.is_storable(event.id)
            ]
            if self._full and seen and progress["phase"] != SyncRun.Phase.DONE:
                SyncRunPage.objects.create(run=run, number=run.pages + 1, external_ids=seen)
        self._note_committed(progress)
        source.quarantined_count = kept.count
        self._log_invalid(kept.news)
        if not self._full:
            source.events_synced += difference.balance(refused)

    def _hold(self, difference: Difference) -> dict[str, Any]:
        """Lock and check, at the beginning of a page's transaction; the last page of the changes
        ends the run with it. Returns what that changes of the run.
        """
        if self._full:
            self._lease.hold(unfinished=True, listing=self.run.listing)
            return {}
        # Counting a large calendar would cost more than a small change to it.
        events_synced = self._source.events_synced + difference.balance()
        if difference.next_page_token:
            self._lease.hold(unfinished=True, events_synced=events_synced)
            return {}
        return self._finish(cursor=difference.next_cursor, events_synced=events_synced)

    def _sweep_and_finish(self) -> None:
        """Remove what a full listing did not see; then, in one transaction, move the cursor."""
        # Outside of a transaction, yet reliable: only the lease's holder writes these rows.
        unseen = self._unseen()
        if self.run.events_seen == 0 or len(unseen) >= MANY_LOST:
            self._doubt_the_loss(unseen)
        while True:
            with transaction.atomic():
                self._lease.hold()
                removed = upsert.remove_events(source_id=self._source.pk, ids=unseen)
                progress = {
                    "events_removed": self.run.events_removed + removed,
                    "heartbeat_at": timezone.now(),
                }
                if len(unseen) < SWEEP_BATCH:
                    progress |= self._finish_listing(
                        cursor=self.run.next_cursor, quarantined=self._source.quarantined_count
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

    def _unseen(self) -> list[str]:
        """Ids of rows that this listing neither wrote nor saw, at most one batch.

        EXCEPT, not an anti-join: it is hashed or sorted whatever the planner believes of the number
        of rows, and never a loop in a loop.
        """
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT external_id FROM {_EVENTS} WHERE source_id = %s AND listing < %s"
                f" EXCEPT {_SEEN[connection.vendor]} WHERE run_id = %s LIMIT {SWEEP_BATCH}",
                (_key(self._source.pk), self.run.listing, _key(self.run.pk)),
            )
            return [row[0] for row in cursor.fetchall()]

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
        lost = there.filter(external_id__in=unseen).count()
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

    def _finish_listing(self, *, cursor: str, quarantined: int) -> dict[str, Any]:
        """The end of a full listing, as `_finish`: now the rows can be counted."""
        quarantine.sweep(lease=self._lease, listing=self.run.listing, count=quarantined)
        SyncRunPage.objects.filter(run=self.run).delete()
        live = Event.objects.filter(source=self._source).exclude(status=Event.Status.CANCELLED)
        return self._finish(cursor=cursor, events_synced=live.count())

    def _finish(self, *, cursor: str, events_synced: Any) -> dict[str, Any]:
        """The end of the run, inside the caller's transaction: the cursor moves last."""
        now = timezone.now()
        source, run = self._source, self.run
        changes: dict[str, Any] = {
            "cursor": cursor,
            "window_start": run.window_start,
            "window_end": run.window_end,
            "unfinished": False,
            "last_sync_at": now,
            "events_synced": events_synced,
            "failures": 0,
            "blocked_until": None,
        }
        if self._full:
            changes["last_full_sync_at"] = now
        if source.connection.last_error_code:
            ProviderConnection.objects.filter(
                pk=source.connection_id, status=ProviderConnection.Status.ACTIVE
            ).update(last_error_code="", last_error_at=None)
        if source.failures:
            audit.record(
                source.connection,
                audit.Action.SYNC_RECOVERED,
                actor=audit.Actor.system(),
                details={"external_calendar_id": source.external_id},
            )
        next_sync_at = scheduler.next_regular(now, watched=self._lease.watched)
        self._lease.release(next_sync_at=next_sync_at, at_once=True, **changes)
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


def _assign(run: SyncRun, progress: dict[str, Any]) -> None:
    for name, value in progress.items():
        setattr(run, name, value)


def _key(value: uuid.UUID) -> str:
    """A primary key as a parameter of a statement that Django did not write."""
    return str(value) if connection.features.has_native_uuid_field else value.hex
