"""Events that could not be read or stored: kept apart with the reason, let go once they are well.

All functions belong inside the page's transaction, after the lease is held: nobody else writes the
same quarantine then, and a page that rolls back leaves nothing here. Where no event is bad and none
ever was, nothing is asked of the database.

An event is tried again whenever it is listed: with each change, and at each full listing, because a
later release may read what this one could not. Its row goes when the event is listed and well, is
removed, or is missing from a full listing; with the external calendar in any case.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from django.utils import timezone

from providers.base import InvalidEvent
from providers.http import clean_text
from providers.models import ExternalCalendar, QuarantinedEvent
from providers.scheduler import Lease

# For each external calendar. What is beyond is counted in the run and logged, and takes a place as
# soon as one is free: a calendar that is damaged as a whole does not need a row for each event.
MOST_QUARANTINED = 2000
# Google's ids end at 1,024 characters. PostgreSQL's index takes no 2,700 bytes.
MOST_ID_BYTES = 1024
REASON_LENGTH = 300
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Settled:
    """What a page left: how many are in quarantine now, and which of its events are news there.

    The others failed before, with the same version for the same reason.
    """

    count: int
    news: list[InvalidEvent]


def settle(
    *,
    lease: Lease,
    listing: int,
    versions: Mapping[str, str],
    removed: Collection[str],
    invalid: list[InvalidEvent],
) -> Settled:
    """Keep a page's `invalid` events, and let go of those that it lists well or names as gone.

    `versions` are the etags of all its listed events by id, `listing` as on the rows of events.
    Raises providers.scheduler.LostLease.
    """
    source = lease.external_calendar
    if not invalid and not (source.quarantined_count and (versions or removed)):
        return Settled(source.quarantined_count, [])
    there = _there(source) if source.quarantined_count else {}
    bad = {event.id: event for event in invalid if _can_be_kept(event.id)}
    well = [key for key in there if key not in bad and (key in versions or key in set(removed))]
    _let_go(source, well)
    room = MOST_QUARANTINED - (len(there) - len(well))
    rows: list[QuarantinedEvent] = []
    news = [event for event in invalid if event.id not in bad]
    for key, event in bad.items():
        earlier = there.get(key)
        row = _row(source, event, etag=versions.get(key, ""), listing=listing, earlier=earlier)
        if earlier is None or (earlier.etag, earlier.reason) != (row.etag, row.reason):
            news.append(event)
        if earlier is None:
            if room <= 0:
                continue
            room -= 1
        rows.append(row)
    _write(rows)
    count = MOST_QUARANTINED - room
    _note(lease, count)
    return Settled(count, news)


def sweep(*, lease: Lease, listing: int, count: int) -> int:
    """At the end of a full listing: let go of what it did not list, of the `count` there are.

    Returns how many stay. Raises providers.scheduler.LostLease.
    """
    if not count:
        return 0
    source = lease.external_calendar
    gone, _ = QuarantinedEvent.objects.filter(
        external_calendar=source, listing__lt=listing
    ).delete()
    if gone:
        # Not by what is remembered: the page of this very transaction may have changed it.
        lease.note(quarantined_count=count - gone)
    return count - gone


def is_storable(key: str) -> bool:
    """Whether an id is one, and text as a database takes it."""
    try:
        return bool(key.encode()) and "\0" not in key
    except UnicodeEncodeError:  # half a surrogate pair
        return False


def _there(source: ExternalCalendar) -> dict[str, QuarantinedEvent]:
    """All of them, by id: a number that is bounded, in one simple statement."""
    rows = QuarantinedEvent.objects.filter(external_calendar=source).order_by()
    return {row.external_id: row for row in rows}


def _can_be_kept(key: str) -> bool:
    """Without an id there is nothing to find it by when it is well again: it is only counted."""
    return is_storable(key) and len(key.encode()) <= MOST_ID_BYTES


def _row(
    source: ExternalCalendar,
    event: InvalidEvent,
    *,
    etag: str,
    listing: int,
    earlier: QuarantinedEvent | None,
) -> QuarantinedEvent:
    now = timezone.now()
    return QuarantinedEvent(
        external_calendar=source,
        external_id=event.id,
        etag=clean_text(etag, MOST_ID_BYTES),
        reason=clean_text(event.reason, REASON_LENGTH),
        times=earlier.times + 1 if earlier else 1,
        listing=listing,
        first_seen_at=earlier.first_seen_at if earlier else now,
        last_seen_at=now,
    )


def _write(rows: Iterable[QuarantinedEvent]) -> None:
    QuarantinedEvent.objects.bulk_create(
        rows,
        batch_size=_BATCH,
        update_conflicts=True,
        unique_fields=["external_calendar", "external_id"],
        update_fields=["etag", "reason", "times", "listing", "last_seen_at"],
    )


def _let_go(source: ExternalCalendar, keys: list[str]) -> None:
    if keys:
        QuarantinedEvent.objects.filter(external_calendar=source, external_id__in=keys).delete()


def _note(lease: Lease, count: int) -> None:
    if count != lease.external_calendar.quarantined_count:
        lease.note(quarantined_count=count)
