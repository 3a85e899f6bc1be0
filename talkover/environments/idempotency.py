"""Where `Idempotency-Key` is kept (talkover.api.idempotency): a row a key, each with its lock.

The time at which a lock ends is its fence, too: whoever takes over a lock that has run out sets a
later one, and the first can no longer store its answer.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from talkover.api.exceptions import ApiError
from talkover.api.idempotency import Answer, LockLost
from talkover.encryption import UnsealError, seal, unseal
from talkover.environments.models import IdempotencyKey

KEEP_FOR = timedelta(hours=24)
# Longer than any call here takes; what is left by a process that died ends with it.
LOCK_FOR = timedelta(minutes=1)
DELETE_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Lock:
    """A key that is ours until `row.locked_until`."""

    row: IdempotencyKey

    def keep(self, answer: Answer) -> None:
        """Store the answer, sealed, and end the lock. Raises LockLost."""
        seal(self.row, "answer", answer.body.decode())
        kept = IdempotencyKey.objects.filter(
            pk=self.row.pk, locked_until=self.row.locked_until
        ).update(status=answer.status, answer=self.row.answer, locked_until=None)
        if not kept:
            raise LockLost

    def release(self) -> None:
        """Forget the key, if it is ours still."""
        IdempotencyKey.objects.filter(pk=self.row.pk, locked_until=self.row.locked_until).delete()


class IdempotencyStore:
    """Keys in the database, with the work they stand for."""

    def claim(self, *, environment_id: uuid.UUID, key: str, digest: str) -> Lock | Answer | None:
        """As talkover.api.idempotency.Store says. Raises ApiError 422, 503."""
        now = timezone.now()
        rows = IdempotencyKey.objects.filter(environment=environment_id, key=key)
        row = rows.first()  # first to look: whoever waits for another does not write meanwhile
        if row is None:
            mine = IdempotencyKey(
                environment_id=environment_id,
                key=key,
                request_digest=digest,
                locked_until=now + LOCK_FOR,
            )
            IdempotencyKey.objects.bulk_create([mine], ignore_conflicts=True)
            row = rows.first()
            if row is None:  # another's, and released by now
                return None
            if row.pk == mine.pk:
                return Lock(row)
        free = row.locked_until is None or row.locked_until <= now
        if free and row.created_at <= now - KEEP_FOR:
            return _take_over(row, digest, now)
        if row.request_digest != digest:
            raise ApiError(
                422,
                "IDEMPOTENCY_KEY_REUSED",
                "This Idempotency-Key was sent with another path or body before. Use a new key for"
                " a new request.",
            )
        if row.status is not None:
            return Answer(status=row.status, body=_read(row))
        return _take_over(row, digest, now) if free else None


def forget_old_keys() -> int:
    """Delete keys of which a day has gone by; returns how many."""
    now = timezone.now()
    free = Q(locked_until__isnull=True) | Q(locked_until__lte=now)
    old = IdempotencyKey.objects.filter(free, created_at__lt=now - KEEP_FOR)
    ids = list(old.order_by().values_list("pk", flat=True)[:DELETE_BATCH])
    return old.filter(pk__in=ids).delete()[0] if ids else 0


def _take_over(row: IdempotencyKey, digest: str, now: datetime) -> Lock | None:
    """The row as new, if nobody was quicker."""
    # Microseconds apart, at least: a lock is taken over after it has ended.
    until = now + LOCK_FOR
    taken = IdempotencyKey.objects.filter(
        pk=row.pk, locked_until=row.locked_until, created_at=row.created_at
    ).update(request_digest=digest, status=None, answer="", locked_until=until, created_at=now)
    if not taken:
        return None
    row.request_digest, row.status, row.answer = digest, None, ""
    row.locked_until, row.created_at = until, now
    return Lock(row)


def _read(row: IdempotencyKey) -> bytes:
    try:
        return unseal(row, "answer").encode()
    except UnsealError as error:
        raise ApiError(
            503, "SERVICE_UNAVAILABLE", "The kept answer cannot be read. Tell the operator."
        ) from error
