"""Storing the pages of a provider that lists iCalendar objects, some objects a transaction.

An object is compared by its version with what was stored of it, read when it changed, and stands
for its occurrences: those that it has no more go with the same transaction that brings the others.
An object that did not change is read again when the window has moved to where it has occurrences.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import BooleanField, ExpressionWrapper, Q
from django.utils import timezone

from calendars import upsert
from calendars.models import Event
from providers import quarantine, scheduler
from providers.base import InvalidEvent, ObjectPage, RemoteEvent, RemoteObject, Window
from providers.models import SyncedObject, SyncRun, SyncRunPage
from providers.run_writer import MOST_PAGES, RunWriter
from providers.sync_reader import ListingLoops, PageReader, await_result

# Objects that are read, and stored, at once: some requests of a multiget, and a short transaction.
PORTION = 250
# Of more than so many objects all that are known are read: naming each would take longer.
LOOKED_UP_AT_ONCE = 5000

Read = tuple[list[RemoteObject], list[InvalidEvent]]


class _Known(NamedTuple):
    """What was stored of an object. `reached`: the window has moved to where it may have
    occurrences.
    """

    etag: str
    reached: bool


@dataclass(slots=True)
class _Portion:
    """What one transaction stores. `versions` are those of all objects that were to be read."""

    objects: list[RemoteObject] = field(default_factory=list)
    invalid: list[InvalidEvent] = field(default_factory=list)
    versions: Mapping[str, str] = field(default_factory=dict)
    removed: Collection[str] = ()


class ObjectWriter(RunWriter):
    """Stores the pages of a provider that lists iCalendar objects.

    `window` gives the window as it is now: a listing that turns out to be complete takes it.
    """

    def __init__(
        self, *, run: SyncRun, lease: scheduler.Lease, window: Callable[[], Window]
    ) -> None:
        super().__init__(run=run, lease=lease)
        self._window_now = window

    def store_all(self, reader: PageReader[ObjectPage]) -> None:
        """List from where the run stands to its end. Reads ahead, as the reader does."""
        if self.run.phase == SyncRun.Phase.LISTING:
            with reader, ThreadPoolExecutor(1, thread_name_prefix="sync-objects") as pool:
                reader.start(self._query())
                while self._store(reader.next_page(), pool):
                    pass
        if self.run.status == SyncRun.Status.RUNNING:
            self._sweep_and_finish()

    def _store(self, page: ObjectPage, pool: ThreadPoolExecutor) -> bool:
        """Write a page, portion by portion, then where to go on; whether more pages follow."""
        if self.run.pages >= MOST_PAGES:
            raise ListingLoops(f"More than {MOST_PAGES} pages.")
        if page.poll_after is not None:
            self._at_least = max(self._at_least, page.poll_after)
        if page.complete and not self._full:
            self._turn_full()
        known = self._known(page.versions)
        changed: list[str] = []
        seen: list[str] = []
        for key, etag in page.versions.items():
            (changed if self._is_to_read(known, key, etag) else seen).append(key)
        for portion in self._read(page, changed, pool):
            self._write(portion)
            # What could not be read is there nevertheless: its last good events stay.
            seen += [bad.id for bad in portion.invalid if quarantine.is_storable(bad.id)]
        self._end_page(page, seen)
        return bool(page.next_page_token)

    def _turn_full(self) -> None:
        """What was asked for as changes came as a whole: what it does not name is gone."""
        self._full = True
        window = self._window_now()
        self.run.kind = SyncRun.Kind.FULL
        self.run.listing = self._source.listing + 1
        self.run.window_start, self.run.window_end = window.start, window.end

    def _known(self, versions: Mapping[str, str]) -> dict[str, _Known]:
        """Outside of a transaction, yet reliable: only the lease's holder writes these rows."""
        rows = SyncedObject.objects.filter(external_calendar=self._source)
        if len(versions) <= LOOKED_UP_AT_ONCE:
            rows = rows.filter(object_id__in=list(versions))
        # As a comparison of the database's: reading two times an object would take longer than
        # all the rest.
        reached = ExpressionWrapper(self._window_reaches(), output_field=BooleanField())
        found = rows.annotate(reached=reached).values_list("object_id", "etag", "reached")
        return {key: _Known(etag, reached) for key, etag, reached in found if key in versions}

    def _is_to_read(self, known: Mapping[str, _Known], key: str, etag: str) -> bool:
        earlier = known.get(key)
        return earlier is None or not etag or earlier.etag != etag or earlier.reached

    def _window_reaches(self) -> Q:
        """Of which objects there may be occurrences where the window was not when they were read;
        not again of those that this run had read before it was interrupted.
        """
        start, end = self._source.window_start, self._source.window_end
        if not self._full:
            return Q(pk__isnull=True)
        before = ~Q(listing=self.run.listing)
        if start is None or end is None:
            return before
        reached = (Q(ends_at__isnull=True) | Q(ends_at__gt=end)) & (
            Q(starts_at__isnull=True) | Q(starts_at__lt=self.run.window_end)
        )
        if self.run.window_start < start:
            reached |= Q(starts_at__isnull=True) | Q(starts_at__lt=start)
        return before & reached

    def _read(
        self, page: ObjectPage, keys: list[str], pool: ThreadPoolExecutor
    ) -> Iterator[_Portion]:
        """The objects, in portions; while one is being stored, the next is on its way."""
        portions = [keys[begin : begin + PORTION] for begin in range(0, len(keys), PORTION)]
        pending: Future[Read] | None = None
        for number, portion in enumerate(portions):
            pending = pending or pool.submit(page.read, portion)
            objects, invalid = await_result(pending, self._lease)
            following = portions[number + 1 : number + 2]
            pending = pool.submit(page.read, following[0]) if following else None
            found = {item.id for item in objects} | {item.id for item in invalid}
            yield _Portion(
                objects=objects,
                invalid=invalid,
                versions={key: page.versions[key] for key in portion},
                removed=[key for key in portion if key not in found],
            )

    def _write(self, portion: _Portion) -> None:
        """A portion, in one short transaction; the page is not over with it."""
        try:
            self._commit(portion, singly=False)
        except upsert.REFUSALS as error:
            if not upsert.is_refusal(error):
                raise
            # A value that no column takes stops this object, not the calendar.
            self._commit(portion, singly=True)

    def _commit(self, portion: _Portion, *, singly: bool) -> None:
        events = [event for item in portion.objects for event in item.events]
        target: dict[str, Any] = {
            "calendar_id": self._source.connection.calendar_id,
            "source_id": self._source.pk,
            "listing": self.run.listing,
        }
        refused: list[str] = []
        with transaction.atomic():
            self._hold()
            gone = self._let_go(portion, {event.id for event in events})
            if singly:
                changed, refused = upsert.write_events_singly(events=events, **target)
            else:
                changed = upsert.write_events(events=events, **target)
            bad = _objects_of(events, refused)
            invalid = portion.invalid + [
                InvalidEvent(key, "refused by the database") for key in bad
            ]
            self._remember(item for item in portion.objects if item.id not in bad)
            kept = quarantine.settle(
                lease=self._lease,
                listing=self.run.listing,
                versions=portion.versions,
                removed=portion.removed,
                invalid=invalid,
            )
            progress = {
                "events_seen": self.run.events_seen + len(portion.versions),
                "events_changed": self.run.events_changed + changed,
                "events_removed": self.run.events_removed + gone,
                "events_invalid": self.run.events_invalid + len(invalid),
                "heartbeat_at": timezone.now(),
            }
            self._write_run(progress)
        portion.invalid[:] = invalid
        self._note_committed(progress)
        self._source.quarantined_count = kept.count
        self._log_invalid(kept.news)

    def _hold(self) -> None:
        if self._full:
            self._lease.hold(unfinished=True, listing=self.run.listing)
        else:
            self._lease.hold(unfinished=True)

    def _let_go(self, portion: _Portion, living: Collection[str]) -> int:
        """Remove the occurrences that these objects have no more, and all of removed objects."""
        keys = [*(item.id for item in portion.objects), *portion.removed]
        rows = SyncedObject.objects.filter(external_calendar=self._source, object_id__in=keys)
        earlier = {key for ids in rows.values_list("event_ids", flat=True) for key in ids}
        gone = upsert.remove_events(source_id=self._source.pk, ids=earlier - set(living))
        if portion.removed:
            rows.filter(object_id__in=list(portion.removed)).delete()
        return gone

    def _remember(self, objects: Iterator[RemoteObject]) -> None:
        rows = [
            SyncedObject(
                external_calendar=self._source,
                object_id=item.id,
                etag=item.etag,
                starts_at=item.starts_at,
                ends_at=item.ends_at,
                event_ids=[event.id for event in item.events],
                listing=self.run.listing,
            )
            for item in objects
        ]
        SyncedObject.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["external_calendar", "object_id"],
            update_fields=["etag", "starts_at", "ends_at", "event_ids", "listing"],
        )

    def _end_page(self, page: ObjectPage, seen: list[str]) -> None:
        """Note what was seen, remove what the page names as gone, and say where to go on. The last
        page of the changes ends the run with that transaction.
        """
        run = self.run
        portion = _Portion(removed=page.removed)
        with transaction.atomic():
            self._hold()
            gone = self._let_go(portion, ())
            kept = quarantine.settle(
                lease=self._lease,
                listing=run.listing,
                versions={},
                removed=page.removed,
                invalid=[],
            )
            is_last = not page.next_page_token
            progress: dict[str, Any] = {
                "phase": SyncRun.Phase.SWEEPING if is_last else run.phase,
                "kind": run.kind,
                "pages": run.pages + 1,
                "events_seen": run.events_seen + len(seen),
                "events_removed": run.events_removed + gone,
                "page_token": page.next_page_token,
                "next_cursor": page.next_cursor,
                "heartbeat_at": timezone.now(),
            }
            if is_last and not self._full:
                progress |= self._finish(
                    cursor=page.next_cursor,
                    events_synced=self._count(gone),
                    changed=gone > 0,
                )
            self._write_run(progress)
            if self._full and seen:
                SyncRunPage.objects.create(run=run, number=run.pages + 1, external_ids=seen)
        self._note_committed(progress)
        self._source.quarantined_count = kept.count

    def _count(self, gone: int) -> int:
        """How many living events there are; counted only when this run changed something."""
        if not (gone or self.run.events_changed or self.run.events_removed):
            return self._source.events_synced
        living = Event.objects.filter(source=self._source).exclude(status=Event.Status.CANCELLED)
        return living.count()

    def _unseen(self) -> list[str]:
        return self._unseen_in(SyncedObject, "object_id", "external_calendar_id")

    def _events_of(self, ids: list[str]) -> list[str]:
        rows = SyncedObject.objects.filter(external_calendar=self._source, object_id__in=ids)
        return [key for keys in rows.values_list("event_ids", flat=True) for key in keys]

    def _remove(self, ids: list[str]) -> int:
        return self._let_go(_Portion(removed=ids), ())

    def _finish_listing(self, *, cursor: str, quarantined: int, changed: bool) -> dict[str, Any]:
        """Also of objects that stay, what the window has left behind goes."""
        Event.objects.filter(source=self._source, end_at__lte=self.run.window_start).delete()
        return super()._finish_listing(cursor=cursor, quarantined=quarantined, changed=changed)


def _objects_of(events: list[RemoteEvent], refused: list[str]) -> set[str]:
    """The objects of the events that the database would not take."""
    lost = set(refused)
    return {event.series_id or event.id for event in events if event.id in lost}
