"""The list of an account's calendars, kept in the database: what can be chosen to be synced.

It is read again when somebody looks at it, and by itself once a day. New calendars appear, not
selected; renamed ones get their new names; one that is gone leaves the list, or, if it is selected,
stays in it as vanished. Its events are kept for a day, in case it comes back, then they go.

Nothing is asked inside a transaction, and what cannot be asked now leaves the list as it was.
"""

from __future__ import annotations

import logging
import random
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from django.db import Error as DatabaseFailure
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower
from django.utils import timezone

from providers import audit, clearing, outages, quarantine, scheduler, vanishing
from providers.access import accesses_of
from providers.base import Access, Http, Provider, RemoteCalendar, Response
from providers.errors import (
    AccessTokenRejected,
    CalendarNotFound,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)
from providers.models import ExternalCalendar, ProviderConnection
from providers.outbound import http_client
from talkover.encryption import UnsealError

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Who looks at a list that is younger gets it as it is.
FRESH = timedelta(minutes=1)
# Somebody waits for the answer: no request begins later than that.
PATIENCE_SECONDS = 10.0
# Far more than people have. What an account lists beyond is left out.
MOST_LISTED = 1000
# Nobody asks again meanwhile: while one does, and after one could not.
ASKING = timedelta(seconds=40)
PAUSE = timedelta(seconds=10)
# By itself, spread by a quarter each way; after a failure sooner.
DAILY = timedelta(days=1)
RETRY = timedelta(hours=1)
# How long the events of a calendar that vanished are kept.
VANISHED_KEPT_FOR = timedelta(days=1)

_TEXTS = {"name": 1024, "time_zone": 64, "access_role": 64, "color": 16}


@dataclass(frozen=True, slots=True)
class Freshness:
    """Whether the list that is stored may be another at the provider by now, and why."""

    stale: bool
    code: str = ""


class _Impatient:
    """A client that begins no request after its time. Raises ProviderUnavailable then."""

    def __init__(self, http: Http, seconds: float) -> None:
        self._http = http
        self._until = time.monotonic() + seconds

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_bytes: int | None = None,
    ) -> Response:
        if time.monotonic() > self._until:
            raise ProviderUnavailable("The list of calendars took too long.")
        return self._http.request(method, url, headers=headers, body=body, max_bytes=max_bytes)


def refresh(connection: ProviderConnection, *, insist: bool = False) -> Freshness:
    """Read the account's list again if it is older than FRESH, or if the caller insists.

    Of several callers one asks the provider. A failure changes nothing; the next sync finds out
    whether the connection still works.
    """
    now, present = timezone.now(), freshness_of(connection)
    if not present.stale and not insist:
        return present
    try:
        if not _can_be_asked(connection, now) or not _claim_asking(connection, now):
            return present
    except DatabaseFailure as error:  # one that only reads can still show what is stored
        logger.warning("the list of calendars is not read anew: %s", type(error).__name__)
        return present
    code = _ask(connection)
    return Freshness(stale=bool(code), code=code)


def freshness_of(connection: ProviderConnection) -> Freshness:
    """How the stored list stands, without asking anybody."""
    listed_at = connection.calendars_listed_at
    return Freshness(stale=listed_at is None or timezone.now() - listed_at >= FRESH)


def in_order(connection: ProviderConnection) -> list[ExternalCalendar]:
    """The stored list as people read it: the main calendar first, then by name."""
    rows = ExternalCalendar.objects.filter(connection=connection)
    return list(rows.order_by("-is_primary", Lower("name"), "external_id"))


def due(*, limit: int) -> list[uuid.UUID]:
    """Connections whose list is to be read by itself, up to `limit`."""
    rows = _due(timezone.now()).order_by("calendars_due_at").values_list("pk", flat=True)
    return list(rows[:limit])


def refresh_due(connection_ids: Iterable[uuid.UUID]) -> int:
    """Read the lists of those that are still due; how many. Safe to run twice at once.

    A provider that does not answer is asked once: each time-out would hold up the others.
    """
    read, away = 0, set()
    for connection_id in connection_ids:
        now = timezone.now()
        mine = _due(now).filter(pk=connection_id)
        connection = mine.select_related("configuration").first()
        if connection is None or connection.configuration_id in away:
            continue
        claimed = ProviderConnection.objects.filter(
            pk=connection.pk, calendars_due_at=connection.calendars_due_at
        ).update(calendars_due_at=_after(RETRY))
        if not claimed:
            continue
        code = _ask(connection)
        read += not code
        if code == ProviderUnavailable.code:
            away.add(connection.configuration_id)
    return read


def keep(
    connection_id: uuid.UUID, listed: Sequence[RemoteCalendar], gone: Collection[str] = ()
) -> None:
    """Make the stored list this one.

    `gone`: ids of selected calendars of which it is sure that they are not there; others that the
    list lacks stay as they are.
    """
    wanted = {row["external_id"]: row for row in map(_row, listed) if _is_storable(row)}
    with transaction.atomic():
        rows = list(
            ExternalCalendar.objects.filter(connection=connection_id)
            .order_by("pk")
            .select_for_update()
        )
        connection = vanishing.locked(connection_id)
        if connection is None:
            return
        known = {row.external_id: row for row in rows}
        new = [row for key, row in wanted.items() if key not in known]
        ExternalCalendar.objects.bulk_create(
            (
                ExternalCalendar(connection=connection, is_selected=False, **row)
                for row in new[: max(MOST_LISTED - len(rows), 0)]
            ),
            ignore_conflicts=True,
        )
        back = [row for row in rows if _update(row, wanted.get(row.external_id))]
        missing = [row for row in rows if row.external_id not in wanted]
        _drop(row for row in missing if not row.is_selected and not row.to_clear)
        lost = [row for row in missing if row.is_selected and row.external_id in gone]
        vanishing.vanish(connection, [row.pk for row in lost if row.vanished_at is None])
        _forget_long_lost(lost)
        _take_back(connection, back)
        connection.calendars_listed_at = timezone.now()
        connection.calendars_quiet_until = None
        connection.calendars_due_at = _after(DAILY)
        connection.save(
            update_fields=["calendars_listed_at", "calendars_quiet_until", "calendars_due_at"]
        )


def _can_be_asked(connection: ProviderConnection, now: datetime) -> bool:
    configuration = connection.configuration
    return (
        vanishing.can_be_chosen_from(connection)
        and configuration.is_active
        and configuration.paused_at is None
        and not outages.is_open(configuration, now)
    )


def _claim_asking(connection: ProviderConnection, now: datetime) -> bool:
    free = Q(calendars_quiet_until__isnull=True) | Q(calendars_quiet_until__lte=now)
    mine = ProviderConnection.objects.filter(free, pk=connection.pk)
    return bool(mine.update(calendars_quiet_until=now + ASKING))


def _due(now: datetime) -> QuerySet[ProviderConnection]:
    answering = Q(configuration__outage_until__isnull=True) | Q(
        configuration__outage_until__lte=now
    )
    readable = Q(status=ProviderConnection.Status.ACTIVE) | Q(
        status=ProviderConnection.Status.ERROR,
        last_error_code__in=list(vanishing.OF_A_CALENDAR),
    )
    return ProviderConnection.objects.filter(
        answering,
        readable,
        calendars_due_at__lte=now,
        configuration__is_active=True,
        configuration__paused_at__isnull=True,
    ).exclude(account_subject="")


def _ask(connection: ProviderConnection) -> str:
    """Ask the provider, and keep its answer; returns the code of what failed."""
    try:
        listed, gone = _read(connection)
    except (ProviderError, UnsealError) as error:
        code = error.code if isinstance(error, ProviderError) else "credentials_unreadable"
        wait = PAUSE
        if isinstance(error, RateLimited):
            wait = scheduler.silence(error.retry_after, otherwise=FRESH)
        ProviderConnection.objects.filter(pk=connection.pk).update(
            calendars_quiet_until=timezone.now() + wait
        )
        logger.info("connection %s: its calendars were not listed: %s", connection.pk, error)
        return code
    keep(connection.pk, listed, gone)
    return ""


def _read(connection: ProviderConnection) -> tuple[list[RemoteCalendar], set[str]]:
    """The account's list, and which of the selected calendars are gone.

    A calendar that the list lacks may only be hidden there: it is asked for by itself. Raises
    ProviderErrors and UnsealError.
    """
    http = _Impatient(http_client(), PATIENCE_SECONDS)
    provider = connection.configuration.provider
    call = _caller(http, connection)
    listed = list(call(lambda access: provider.list_calendars(http, access)))
    there = {calendar.id for calendar in listed}
    gone: set[str] = set()
    selected = ExternalCalendar.objects.filter(connection=connection, is_selected=True)
    for external_id in selected.order_by("pk").values_list("external_id", flat=True):
        if external_id in there:
            continue
        try:
            found = call(partial(_fetch, provider, http, external_id))
        except CalendarNotFound:
            gone.add(external_id)
        else:
            listed.append(found)
    return listed, gone


def _fetch(provider: Provider, http: Http, external_id: str, access: Access) -> RemoteCalendar:
    return provider.fetch_calendar(http, access, external_id)


def _caller(http: Http, connection: ProviderConnection) -> Callable[[Callable[[Access], Any]], Any]:
    """Calls with the connection's access, once more with another if the first is refused."""
    accesses = accesses_of(http=http, connection=connection)

    def call(ask: Callable[[Access], T]) -> T:
        access = accesses.current()
        try:
            return ask(access)
        except AccessTokenRejected:
            return ask(accesses.renew(access))

    return call


def _row(calendar: RemoteCalendar) -> dict[str, Any]:
    """A calendar's columns: what an account writes is text as a database takes it."""
    texts = {
        name: str(getattr(calendar, name))
        .replace("\0", "")
        .encode(errors="replace")
        .decode()[:most]
        for name, most in _TEXTS.items()
    }
    return {"external_id": calendar.id, "is_primary": calendar.is_primary, **texts}


def _is_storable(row: Mapping[str, Any]) -> bool:
    key = row["external_id"]
    return quarantine.is_storable(key) and len(key.encode()) <= quarantine.MOST_ID_BYTES


def _update(row: ExternalCalendar, wanted: Mapping[str, Any] | None) -> bool:
    """Give a known calendar its present names; whether it had vanished, and is back."""
    if wanted is None:
        return False
    changes = {name: value for name, value in wanted.items() if getattr(row, name) != value}
    if changes:
        ExternalCalendar.objects.filter(pk=row.pk).update(**changes)
    return row.vanished_at is not None


def _drop(rows: Iterable[ExternalCalendar]) -> None:
    ids = [row.pk for row in rows]
    if ids:
        ExternalCalendar.objects.filter(pk__in=ids).delete()


def _forget_long_lost(rows: Iterable[ExternalCalendar]) -> None:
    """The events of calendars that vanished some time ago, and have just been missed again."""
    before = timezone.now() - VANISHED_KEPT_FOR
    old = [row for row in rows if row.vanished_at and row.vanished_at < before and row.last_sync_at]
    if old:
        clearing.forget(old)


def _take_back(connection: ProviderConnection, rows: Sequence[ExternalCalendar]) -> None:
    """Calendars that had vanished are there again: the selected ones are synced."""
    ids = [row.pk for row in rows]
    if not ids:
        return
    ExternalCalendar.objects.filter(pk__in=ids).update(vanished_at=None, last_error_code="")
    selected = [row for row in rows if row.is_selected]
    ExternalCalendar.objects.filter(pk__in=[row.pk for row in selected]).update(
        to_clear=False, next_watch_at=timezone.now()
    )
    if not selected:
        return
    vanishing.revive(connection)
    vanishing.show_error(connection.pk)
    connection.refresh_from_db(fields=["last_error_code", "last_error_at"])
    scheduler.request_sync([row.pk for row in selected])
    for row in selected:
        audit.record(
            connection,
            audit.Action.CALENDAR_BACK,
            actor=audit.Actor.system(),
            details={"external_calendar_id": row.external_id},
        )


def _after(interval: timedelta) -> datetime:
    spread = random.uniform(1 - scheduler.JITTER, 1 + scheduler.JITTER)  # noqa: S311
    return timezone.now() + interval * spread
