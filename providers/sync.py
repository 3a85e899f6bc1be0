"""One sync run of one external calendar: what changed since the cursor, or a full listing.

`sync_reader` fetches, `sync_writer` stores, `sync_failures` decides what an error changes; here is
when a run starts, resumes and starts over. Whatever ends the process, the next run goes on from the
last committed page: each page commits with where to go on, and the cursor moves last.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from django.db import transaction
from django.utils import timezone

from providers import scheduler, sync_failures
from providers.access import accesses_of
from providers.base import CredentialProvider, Window
from providers.errors import CursorExpired
from providers.models import ExternalCalendar, ProviderConfiguration, SyncRun, SyncRunPage
from providers.object_writer import ObjectWriter
from providers.outbound import http_client
from providers.sync_reader import PageReader
from providers.sync_writer import PageWriter

logger = logging.getLogger(__name__)

# A full listing this often moves the window along with time, and mends whatever was missed.
RELIST_EVERY = timedelta(days=1)
# Nothing is won by listing again so soon, though the calendar's time of day has come.
RELIST_NOT_WITHIN = timedelta(hours=6)
# Page tokens do not live for ever: older unfinished runs are given up.
RESUMABLE_FOR = timedelta(days=1)
# One for a cursor that expired, two for page tokens that did.
MOST_RESTARTS = 3
KEEP_RUNS = 100
_ANY_MIDNIGHT = datetime(2000, 1, 1, tzinfo=UTC)


def run(
    external_calendar_id: uuid.UUID | str,
    *,
    afterwards: Callable[[scheduler.Lease], object] | None = None,
) -> SyncRun | None:
    """Sync an external calendar if it is due and nobody else is at it; None if not.

    Expected failures end in the returned run and in when the next is due; an unexpected exception
    is recorded the same way and raised again. `afterwards` is called with a lease that was taken,
    however the run has ended.
    """
    lease = scheduler.acquire(external_calendar_id)
    if lease is None:
        return None
    try:
        return _run(lease, _resume(lease) or _begin(lease))
    except scheduler.LostLease:
        logger.info("external calendar %s: lost the lease, stopped", external_calendar_id)
        return None
    finally:
        if afterwards is not None:
            afterwards(lease)


def _run(lease: scheduler.Lease, sync_run: SyncRun) -> SyncRun:
    restarts = 0
    while True:
        try:
            _list(lease, sync_run)
        except CursorExpired as error:
            if restarts == MOST_RESTARTS:
                sync_failures.settle(error, lease=lease, sync_run=sync_run)
                return sync_run
            restarts += 1
            sync_run = _start_over(lease, sync_run, error)
        except scheduler.LostLease:
            raise
        except Exception as error:
            if sync_failures.settle(error, lease=lease, sync_run=sync_run):
                return sync_run
            raise
        else:
            _log_success(sync_run)
            return sync_run


def _list(lease: scheduler.Lease, sync_run: SyncRun) -> None:
    configuration, http = lease.external_calendar.connection.configuration, http_client()
    accesses = accesses_of(
        http=http, connection=lease.external_calendar.connection, meanwhile=lease.hold
    )
    provider = configuration.provider
    if isinstance(provider, CredentialProvider):
        objects = PageReader(
            fetch=partial(provider.fetch_events, http), accesses=accesses, lease=lease
        )
        writer = ObjectWriter(run=sync_run, lease=lease, window=partial(_window, configuration))
        writer.store_all(objects)
    else:
        fetch = partial(configuration.oauth2_provider.fetch_events, http)
        PageWriter(run=sync_run, lease=lease).store_all(
            PageReader(fetch=fetch, accesses=accesses, lease=lease)
        )


def _resume(lease: scheduler.Lease) -> SyncRun | None:
    """The run that a crash or a passing failure left unfinished, taken over by this lease."""
    if not lease.external_calendar.unfinished:
        return None
    unfinished = SyncRun.objects.filter(
        external_calendar=lease.external_calendar, status__in=SyncRun.UNFINISHED
    ).first()
    if unfinished is None:
        return None
    if unfinished.heartbeat_at < timezone.now() - RESUMABLE_FOR:
        close(unfinished, code="abandoned")
        return None
    unfinished.status = SyncRun.Status.RUNNING
    unfinished.fence = lease.fence
    unfinished.resumed += 1
    unfinished.save(update_fields=["status", "fence", "resumed"])
    return unfinished


def _begin(lease: scheduler.Lease) -> SyncRun:
    """A new run: of the changes if there is a cursor and no full listing is due.

    It is stored with its first page, or when it fails: before, there is nothing to resume.
    """
    now = timezone.now()
    source = lease.external_calendar
    full = _needs_full_listing(source, now)
    start, end = source.window_start, source.window_end
    if full or start is None or end is None:
        window = _window(source.connection.configuration)
        start, end = window.start, window.end
    _forget_old_runs(lease)
    return SyncRun(
        connection_id=source.connection_id,
        external_calendar=source,
        kind=SyncRun.Kind.FULL if full else SyncRun.Kind.INCREMENTAL,
        fence=lease.fence,
        wishes=lease.dirty,
        # A listing's number is used up when its first rows are written, whatever becomes of it.
        listing=source.listing + full,
        window_start=start,
        window_end=end,
        started_at=now,
        heartbeat_at=now,
    )


def _window(configuration: ProviderConfiguration) -> Window:
    """The span of time that is kept, as it is now."""
    now = timezone.now()
    return Window(
        now - timedelta(days=configuration.window_days_back),
        now + timedelta(days=configuration.window_days_ahead),
    )


def _needs_full_listing(source: ExternalCalendar, now: datetime) -> bool:
    last = source.last_full_sync_at
    return not source.cursor or last is None or now >= _next_full_listing(source.pk, last)


def _next_full_listing(external_calendar_id: uuid.UUID, last: datetime) -> datetime:
    """Each calendar has a time of day of its own, drawn by its id: a thousand that were connected
    in one hour are not all listed in one hour ever after. At most 30 hours after the last, later
    once a day.
    """
    earliest = last + RELIST_NOT_WITHIN
    own_time = timedelta(seconds=external_calendar_id.int % int(RELIST_EVERY.total_seconds()))
    since = (earliest - _ANY_MIDNIGHT - own_time) % RELIST_EVERY
    return earliest - since + RELIST_EVERY if since else earliest


def _start_over(lease: scheduler.Lease, sync_run: SyncRun, error: CursorExpired) -> SyncRun:
    """A full listing from its first page, in place of a run whose cursor or page token is void.

    The rows stay meanwhile; what the new listing does not see is swept at its end.
    """
    source = lease.external_calendar
    logger.info("external calendar %s: %s, listing everything", source.pk, error)
    if sync_run.kind == SyncRun.Kind.INCREMENTAL:
        source.cursor = ""
    else:
        source.listing = sync_run.listing
    with transaction.atomic():
        lease.hold(cursor=source.cursor, listing=source.listing, unfinished=False)
        close(sync_run, code=error.code)
    return _begin(lease)


def _forget_old_runs(lease: scheduler.Lease) -> None:
    """Keep the newest of the history. Not each time: the fence counts the runs, so every 20th."""
    if lease.fence % 20:
        return
    history = SyncRun.objects.filter(external_calendar=lease.external_calendar)
    newest_first = history.order_by("-started_at").values_list("pk", flat=True)
    SyncRun.objects.filter(pk__in=list(newest_first[KEEP_RUNS : KEEP_RUNS + 1000])).delete()


def close(sync_run: SyncRun, *, code: str) -> None:
    """Give up a run: it is never resumed."""
    SyncRunPage.objects.filter(run=sync_run).delete()
    sync_run.status = SyncRun.Status.FAILED
    sync_run.error_code = code
    sync_run.finished_at = timezone.now()
    sync_run.save()


def _log_success(sync_run: SyncRun) -> None:
    news = sync_run.events_changed or sync_run.events_removed or sync_run.events_invalid
    logger.log(
        logging.INFO if news else logging.DEBUG,
        "external calendar %s: %s done: %d seen, %d changed, %d removed, %d invalid in %d pages",
        sync_run.external_calendar_id, sync_run.get_kind_display(), sync_run.events_seen,
        sync_run.events_changed, sync_run.events_removed, sync_run.events_invalid, sync_run.pages,
    )  # fmt: skip
