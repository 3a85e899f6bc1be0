"""Celery tasks: thin, and safe to run twice, late, or not at all.

Messages are hints; the database knows what is due (`providers.scheduler`). That is why no task is
acknowledged late or retried by Celery: a run that died with its worker leaves a lease that ends by
itself, `next_sync_at` still in the past, and where to go on; the next dispatch finds it.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from celery import shared_task
from django.core.cache import cache
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from providers import (
    audit,
    channels,
    claims,
    clearing,
    external_calendars,
    grants,
    notices,
    scheduler,
    sync,
)
from providers.models import (
    AuthorizationRequest,
    ExternalCalendar,
    NotificationChannel,
    ProviderConnection,
    SyncRun,
)
from talkover.environments.idempotency import forget_old_keys

logger = logging.getLogger(__name__)

# In the cache: when due calendars were last looked for, in epoch seconds.
LAST_DISPATCH = "last-dispatch"
# A message carries so many calendars at most, once there are enough due to keep all workers at it.
MOST_CARRIED = 25
MESSAGES_FOR_MANY = 20
# So long a worker goes on with what one message brought, or with the next of the same crowd.
CARRIED_SECONDS = 2.0
# How long a worker removes events before others get their turn.
CLEARING_SECONDS = 20.0
# How many accounts' lists are read by itself in one round of housekeeping; the rest waits.
LISTINGS_BATCH = 500
# Messages of housekeeping are sent again by the next round.
CARRIED_FOR = 60.0
# So many hints are on their way at most; a dispatch fills up what was used, seconds apart.
MOST_HINTS = 1000
KEEP_RUNS_FOR = timedelta(days=30)
KEEP_REQUESTS_FOR = timedelta(days=1)
DELETE_BATCH = 1000
EXPIRE_BATCH = 1000


def request_sync(
    external_calendars: QuerySet[ExternalCalendar] | Iterable[uuid.UUID],
) -> list[uuid.UUID]:
    """Make external calendars due now and tell the workers after the caller's commit.

    Returns the ids of those whose connection is active. A broker that is away delays the sync by a
    minute; it does not fail the caller.
    """
    wishes = scheduler.note_wishes(external_calendars)
    if wishes.hints:
        hints = [claims.Claim(pk) for pk in wishes.hints]
        transaction.on_commit(partial(_send_hints, hints))
    return wishes.due


def start_syncing(external_calendar: ExternalCalendar) -> None:
    """What an activation begins: the first sync, and a notification channel under the new grant.

    Belongs in the caller's transaction, as `request_sync`.
    """
    now = timezone.now()
    request_sync([external_calendar.pk])
    ExternalCalendar.objects.filter(pk=external_calendar.pk).update(next_watch_at=now)
    NotificationChannel.objects.filter(
        external_calendar=external_calendar, stopped_at__isnull=True
    ).update(stopped_at=now)
    transaction.on_commit(partial(_enqueue, renew_channel, [external_calendar.pk]))


def enqueue_revocations() -> None:
    """Have the noted grants revoked now; housekeeping repeats what fails."""
    _send(revoke_grants)


def enqueue_clearing(external_calendar_ids: Sequence[uuid.UUID]) -> None:
    """Have the events of calendars that are not synced any more removed; it may be repeated."""
    for begin in range(0, len(external_calendar_ids), MOST_CARRIED):
        part = external_calendar_ids[begin : begin + MOST_CARRIED]
        _send(clear_calendars, [str(pk) for pk in part], expires=CARRIED_FOR)


def enqueue_renewals(external_calendar_ids: Iterable[uuid.UUID]) -> None:
    """Have the channels of calendars opened or stopped, whatever is due."""
    _enqueue(renew_channel, external_calendar_ids)


def notify_account(connection: ProviderConnection, *, address_verified: bool) -> None:
    """Tell the account's owner by mail that it was connected, if the environment wants that.

    Belongs in the transaction that connects it; not for a reconnection, which tells nothing new.
    `address_verified`: whether the provider vouches for the address.
    """
    if notices.connection_made(connection, address_verified=address_verified):
        transaction.on_commit(partial(_send, send_notices))


@shared_task(name="providers.tasks.sync_external_calendar")
def sync_external_calendar(
    external_calendar_id: str, crowded: bool = False, others: Sequence[str] = ()
) -> None:
    """Sync runs, one after the other: of this external calendar, and of the `others`, which are of
    the same configuration. Does nothing for one that is not due, or gone, or with somebody else.

    `crowded`: more of its configuration wait than may run at once, and the next takes its place; so
    does one of its account where not all of an account may run at once. After CARRIED_SECONDS the
    rest goes on as a message: whoever is free takes it.
    """
    until = time.monotonic() + CARRIED_SECONDS
    waiting = [claims.Claim(uuid.UUID(pk), crowded) for pk in (external_calendar_id, *others)]

    def wait_for_the_place(claim: claims.Claim, lease: scheduler.Lease) -> None:
        connection = lease.external_calendar.connection
        waiting.extend(
            claims.claim_next(connection.configuration_id)
            if claim.crowded
            else claims.claim_refused(connection)
        )

    begun = False
    try:
        while waiting and not (begun and time.monotonic() > until):
            begun, claim = True, waiting.pop(0)
            sync.run(claim.pk, afterwards=partial(wait_for_the_place, claim))
    finally:
        _send_hints(waiting)


@shared_task(name="providers.tasks.dispatch_due_syncs")
def dispatch_due_syncs() -> int:
    """Send a hint for each external calendar that is due, as far as there is room; how many."""
    _note_dispatch()
    found = claims.claim_due(limit=MOST_HINTS)
    return len(found) if _send_hints(found) else 0


@shared_task(name="providers.tasks.renew_channels")
def renew_channels() -> None:
    """Send a hint for each external calendar whose notification channel is due."""
    _enqueue(renew_channel, channels.due(limit=MOST_HINTS))


@shared_task(name="providers.tasks.renew_channel")
def renew_channel(external_calendar_id: str) -> None:
    """Open or renew a channel. Does nothing if it is not due, or somebody else is at it."""
    if channels.renew(external_calendar_id):
        request_sync([uuid.UUID(external_calendar_id)])


@shared_task(name="providers.tasks.clear_calendars")
def clear_calendars(external_calendar_ids: Sequence[str]) -> None:
    """Remove the events of calendars that are not synced any more, one calendar after the other.

    What is left after CLEARING_SECONDS goes on as a message.
    """
    until = time.monotonic() + CLEARING_SECONDS
    ids = [uuid.UUID(pk) for pk in external_calendar_ids]
    enqueue_clearing([pk for pk in ids if not clearing.clear(pk, until=until)])


@shared_task(name="providers.tasks.list_calendars")
def list_calendars(connection_ids: Sequence[str]) -> None:
    """Read again which calendars the accounts of these connections have."""
    external_calendars.refresh_due(map(uuid.UUID, connection_ids))


@shared_task(name="providers.tasks.revoke_grants")
def revoke_grants() -> None:
    """Revoke upstream the grants of connections that ended."""
    grants.revoke_due()


@shared_task(name="providers.tasks.send_notices")
def send_notices() -> None:
    """Tell the owners of accounts that were connected."""
    notices.send_due()


@shared_task(name="providers.tasks.housekeeping")
def housekeeping() -> None:
    """Let expire, repeat and forget what is due to; one step's failure does not stop the others."""
    steps: tuple[Callable[[], object], ...] = (
        expire_attempts,
        wipe_expired_requests,
        close_abandoned_runs,
        repair_schedule,
        forget_old_runs,
        forget_old_requests,
        forget_old_attempts,
        forget_old_keys,
        channels.forget_old,
        grants.revoke_due,
        notices.send_due,
        send_clearings,
        send_listings,
    )
    for step in steps:
        try:
            step()
        except Exception:
            logger.exception("housekeeping: %s failed", step.__name__)


def expire_attempts() -> int:
    """Turn connections that nobody authorised in time to expired, a batch at a time."""
    late = ProviderConnection.objects.filter(
        status=ProviderConnection.Status.PENDING, pending_until__lte=timezone.now()
    )
    with transaction.atomic():
        # Whoever holds one just now is finishing it, or starts it anew.
        expired = list(
            late.select_for_update(skip_locked=True, of=("self",)).select_related("configuration")[
                :EXPIRE_BATCH
            ]
        )
        ProviderConnection.objects.filter(pk__in=[row.pk for row in expired]).update(
            status=ProviderConnection.Status.EXPIRED
        )
        audit.record_each(
            expired, audit.Action.EXPIRED, actor=audit.Actor.system(), code="request_expired"
        )
    return len(expired)


def wipe_expired_requests() -> int:
    """Take the secrets from authorization requests that ran out: verifier, code, credentials."""
    over = AuthorizationRequest.objects.filter(expires_at__lte=timezone.now())
    return over.exclude(code="", code_verifier="", entered="", result_code_digest=None).update(
        code="", code_verifier="", entered="", result_code_digest=None
    )


def close_abandoned_runs() -> int:
    """End runs that nobody will resume: of closed connections, or unfinished for too long."""
    abandoned = _abandoned(timezone.now())
    calendars = abandoned.values_list("external_calendar", flat=True)
    return sum(map(_close_abandoned, calendars[:DELETE_BATCH]))


def _abandoned(now: datetime) -> QuerySet[SyncRun]:
    free = Q(external_calendar__lease_until__isnull=True) | Q(
        external_calendar__lease_until__lte=now
    )
    hopeless = Q(heartbeat_at__lt=now - sync.RESUMABLE_FOR) | ~Q(
        connection__status=ProviderConnection.Status.ACTIVE
    )
    return SyncRun.objects.filter(free, hopeless, status__in=SyncRun.UNFINISHED)


def _close_abandoned(external_calendar_id: uuid.UUID) -> bool:
    """Close its run, unless a worker has taken it up since."""
    calendars = ExternalCalendar.objects.filter(pk=external_calendar_id)
    with transaction.atomic():
        list(calendars.select_for_update())
        run = _abandoned(timezone.now()).filter(external_calendar=external_calendar_id).first()
        if run is None:
            return False
        # A worker that outlived its lease, and would write to a run that is closed, finds another
        # fence.
        calendars.update(fence=F("fence") + 1, unfinished=False)
        sync.close(run, code="abandoned")
    return True


def repair_schedule() -> int:
    """Make due what is connected and would never be; take off what is not connected any more.

    The latter costs each dispatch a look, for ever. Returns how many calendars were mended.
    """
    active = Q(connection__status=ProviderConnection.Status.ACTIVE)
    syncable = Q(is_selected=True, vanished_at__isnull=True)
    forgotten = ExternalCalendar.objects.filter(active, syncable, next_sync_at__isnull=True)
    over = ExternalCalendar.objects.filter(~active, next_sync_at__isnull=False)
    mended = 0
    for rows, next_sync_at in ((forgotten, timezone.now()), (over, None)):
        ids = list(rows.order_by().values_list("pk", flat=True)[:DELETE_BATCH])
        # What a reconnection has made due in between is mended the next time.
        mended += rows.filter(pk__in=ids).update(next_sync_at=next_sync_at) if ids else 0
    return mended


def send_clearings() -> int:
    """Remind of calendars whose events are still to be removed; returns of how many."""
    ids = clearing.to_clear(limit=DELETE_BATCH)
    enqueue_clearing(ids)
    return len(ids)


def send_listings() -> int:
    """Have the lists of accounts' calendars read that are due, so many at a time; how many."""
    ids = [str(pk) for pk in external_calendars.due(limit=LISTINGS_BATCH)]
    for begin in range(0, len(ids), MOST_CARRIED):
        _send(list_calendars, ids[begin : begin + MOST_CARRIED], expires=CARRIED_FOR)
    return len(ids)


def forget_old_runs() -> int:
    """Delete the history beyond its age; `sync` keeps each calendar's to a number."""
    old = SyncRun.objects.filter(started_at__lt=timezone.now() - KEEP_RUNS_FOR).exclude(
        status__in=SyncRun.UNFINISHED
    )
    return _delete(old)


def forget_old_requests() -> int:
    """Delete authorization requests that were used or ran out a day ago."""
    return _delete(
        AuthorizationRequest.objects.filter(expires_at__lt=timezone.now() - KEEP_REQUESTS_FOR)
    )


def forget_old_attempts() -> int:
    """Delete connections that nobody ever authorised, a day after their last attempt ended."""
    ended = (ProviderConnection.Status.EXPIRED, ProviderConnection.Status.ERROR)
    return _delete(
        ProviderConnection.objects.filter(
            account_subject="",
            status__in=ended,
            updated_at__lt=timezone.now() - KEEP_REQUESTS_FOR,
            authorization_requests__isnull=True,
        )
    )


def _delete(rows: QuerySet[Any]) -> int:
    """A batch at a time: no long transaction, and what is left comes next time."""
    ids = list(rows.order_by().values_list("pk", flat=True)[:DELETE_BATCH])
    return rows.model._default_manager.filter(pk__in=ids).delete()[0] if ids else 0


def _note_dispatch() -> None:
    """For `manage.py doctor`: beat and a worker are there."""
    try:
        cache.set(LAST_DISPATCH, time.time(), 24 * 60 * 60)
    except (RedisError, OSError) as error:
        logger.debug("The cache is away: %s", error)


def _enqueue(task: Any, ids: Iterable[uuid.UUID]) -> bool:
    """Send one hint each; False if the broker is away. Housekeeping will find them still due."""
    expires = scheduler.QUEUED_FOR.total_seconds()
    return all(_send(task, str(pk), expires=expires) for pk in ids)


def _send_hints(found: Sequence[claims.Claim]) -> bool:
    """Send a hint each; False if the broker is away. The scheduler will find them still due.

    When a configuration is alone and many of its calendars are due, a message carries several.
    """
    # Expired when the next hint may be sent: a full queue holds one hint a calendar, not more.
    expires = scheduler.QUEUED_FOR.total_seconds()
    alone = [str(claim.pk) for claim in found if not claim.crowded]
    size = max(1, min(MOST_CARRIED, len(alone) // MESSAGES_FOR_MANY))
    messages: list[tuple[Any, ...]] = [(str(claim.pk), True) for claim in found if claim.crowded]
    for begin in range(0, len(alone), size):
        first, *others = alone[begin : begin + size]
        messages.append((first, False, others) if others else (first,))
    return all(_send(sync_external_calendar, *message, expires=expires) for message in messages)


def _send(task: Any, *arguments: Any, expires: float | None = None) -> bool:
    try:
        task.apply_async(arguments, expires=expires)
    except (KombuError, OSError) as error:
        logger.warning("The broker is away, %s is left to the scheduler: %s", task.name, error)
        return False
    return True
