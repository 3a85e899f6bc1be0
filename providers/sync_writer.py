"""Storing a listing's pages, one transaction each."""

from __future__ import annotations

import uuid
from typing import Any, TypedDict

from django.db import transaction
from django.utils import timezone

from calendars import upsert
from calendars.models import Event
from providers import quarantine, scheduler
from providers.base import EventPage, InvalidEvent
from providers.models import SyncRun, SyncRunPage
from providers.run_writer import MOST_PAGES, RunWriter
from providers.sync_difference import Difference
from providers.sync_reader import ListingLoops, PageReader


class _Target(TypedDict):
    calendar_id: uuid.UUID
    source_id: uuid.UUID
    listing: int


class PageWriter(RunWriter):
    """Stores the pages of a provider that lists occurrences."""

    def __init__(self, *, run: SyncRun, lease: scheduler.Lease) -> None:
        super().__init__(run=run, lease=lease)
        # A first sync compares nothing: all rows there are its own.
        self._compare = (
            not self._full or run.pages > 0 or Event.objects.filter(source=self._source).exists()
        )

    def store_all(self, reader: PageReader[EventPage]) -> None:
        """List from where the run stands to its end."""
        if self.run.phase == SyncRun.Phase.LISTING:
            with reader:
                reader.start(self._query())
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
                    cursor=difference.next_cursor,
                    quarantined=kept.count,
                    changed=changed > 0,
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
        return self._finish(
            cursor=difference.next_cursor,
            events_synced=events_synced,
            changed=bool(difference.changed or difference.removed),
        )

    def _unseen(self) -> list[str]:
        return self._unseen_in(Event, "external_id", "source_id")

    def _remove(self, ids: list[str]) -> int:
        return upsert.remove_events(source_id=self._source.pk, ids=ids)

    def _events_of(self, ids: list[str]) -> list[str]:
        return ids
