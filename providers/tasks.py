"""Celery tasks: thin, and safe to run twice, late, or not at all.

Messages are hints; the database knows what is due (`providers.scheduler`). That is why no task is
acknowledged late or retried by Celery: a run that died with its worker leaves a lease that ends by
itself, `next_sync_at` still in the past, and where to go on; the next dispatch finds it.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import Any

from celery import shared_task
from django.core.cache import cache
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from providers import audit, channels, grants, notices, scheduler, sync
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
CLAIM_BATCH = 100
# What one dispatch sends at most; the next is seconds away.
MOST_CLAIMS = 1000
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
    ids = scheduler.request_sync(external_calendars)
    if ids:
        transaction.on_commit(partial(_enqueue, sync_external_calendar, ids))
    return ids


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


def notify_account(connection: ProviderConnection, *, address_verified: bool) -> None:
    """Tell the account's owner by mail that it was connected, if the environment wants that.

    Belongs in the transaction that connects it; not for a reconnection, which tells nothing new.
    `address_verified`: whether the provider vouches for the address.
    """
    if notices.connection_made(connection, address_verified=address_verified):
        transaction.on_commit(partial(_send, send_notices))


@shared_task(name="providers.tasks.sync_external_calendar")
def sync_external_calendar(external_calendar_id: str) -> None:
    """One sync run. Does nothing if it is not due, somebody else is at it, or it is gone."""
    sync.run(external_calendar_id)


@shared_task(name="providers.tasks.dispatch_due_syncs")
def dispatch_due_syncs() -> int:
    """Send a hint for each external calendar that is due; returns how many."""
    _note_dispatch()
    sent = 0
    while sent < MOST_CLAIMS:
        ids = scheduler.claim_due(limit=CLAIM_BATCH)
        if not _enqueue(sync_external_calendar, ids):
            break
        sent += len(ids)
        if len(ids) < CLAIM_BATCH:
            break
    return sent


@shared_task(name="providers.tasks.renew_channels")
def renew_channels() -> None:
    """Send a hint for each external calendar whose notification channel is due."""
    _enqueue(renew_channel, channels.due(limit=MOST_CLAIMS))


@shared_task(name="providers.tasks.renew_channel")
def renew_channel(external_calendar_id: str) -> None:
    """Open or renew a channel. Does nothing if it is not due, or somebody else is at it."""
    if channels.renew(external_calendar_id):
        request_sync([uuid.UUID(external_calendar_id)])


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
        forget_old_runs,
        forget_old_requests,
        forget_old_attempts,
        forget_old_keys,
        channels.forget_old,
        grants.revoke_due,
        notices.send_due,
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
    """Take the secrets from authorization requests that ran out: verifier, parked code."""
    over = AuthorizationRequest.objects.filter(expires_at__lte=timezone.now())
    return over.exclude(code="", code_verifier="", result_code_digest=None).update(
        code="", code_verifier="", result_code_digest=None
    )


def close_abandoned_runs() -> int:
    """End runs that nobody will resume: of closed connections, or unfinished for too long."""
    now = timezone.now()
    free = Q(external_calendar__lease_until__isnull=True) | Q(
        external_calendar__lease_until__lte=now
    )
    hopeless = Q(heartbeat_at__lt=now - sync.RESUMABLE_FOR) | ~Q(
        connection__status=ProviderConnection.Status.ACTIVE
    )
    abandoned = SyncRun.objects.filter(free, hopeless, status__in=SyncRun.UNFINISHED)
    closed = 0
    for run in abandoned[:DELETE_BATCH]:
        with transaction.atomic():
            # Not if a worker has taken it up since: it would write to a run that is closed.
            locked = ExternalCalendar.objects.select_for_update().get(pk=run.external_calendar_id)
            if locked.fence == run.fence:
                sync.close(run, code="abandoned")
                closed += 1
    return closed


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
    """Send one hint each; False if the broker is away. The scheduler will find them still due."""
    return all(_send(task, str(pk), expires=scheduler.QUEUED_FOR.total_seconds()) for pk in ids)


def _send(task: Any, *arguments: str, expires: float | None = None) -> bool:
    try:
        # Expired when the next hint may be sent: a full queue holds one hint a calendar, not more.
        task.apply_async(arguments, expires=expires)
    except (KombuError, OSError) as error:
        logger.warning("The broker is away, %s is left to the scheduler: %s", task.name, error)
        return False
    return True
