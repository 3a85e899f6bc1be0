"""What an error of a sync changes: the run, the schedule, the connection, or the configuration.

docs/sync.md has the same as a table.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from providers import audit, outages, scheduler, vanishing
from providers.errors import (
    AccountUnsuitable,
    AuthorizationRevoked,
    CalendarForbidden,
    CalendarNotFound,
    Misconfigured,
    PolicyRefused,
    ProviderError,
    ProviderUnavailable,
    QuotaExceeded,
    RateLimited,
    ScopeMissing,
)
from providers.models import (
    ExternalCalendar,
    ProviderConfiguration,
    ProviderConnection,
    SyncRun,
    SyncRunPage,
)
from providers.run_writer import SuddenlyEmpty
from talkover.encryption import UnsealError

logger = logging.getLogger(__name__)

# Google says of a 404: back off, and believe it when it repeats.
NOT_FOUND_TIMES = 3
# A calendar that may not be read, of an account whose others may: its owner can share it again.
FORBIDDEN_RETRY = timedelta(days=1)
# Three empty listings this far apart span the hour after which they are believed.
SUDDENLY_EMPTY_RETRY = timedelta(minutes=32)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows. `wait` None: nothing by itself; `silence`: not even when asked.

    `status` is the connection's new one, `note` whether it shows the code, `resume` whether the
    next run goes on where this one stopped. `alone`: it is this calendar's error, and the
    connection's only when none of its others is well; `gone`: the calendar is not there any more.
    """

    code: str
    wait: timedelta | None
    silence: bool = False
    status: ProviderConnection.Status | None = None
    note: bool = True
    resume: bool = False
    alone: bool = False
    gone: bool = False


def settle(error: Exception, *, lease: scheduler.Lease, sync_run: SyncRun) -> bool:
    """End a run that failed and give the lease back; returns whether the error was an expected one.

    Raises LostLease, and has changed nothing then: the connection may be another by now.
    """
    source = lease.external_calendar
    failures = source.failures + 1
    outcome = _outcome(error, source=source, failures=failures)
    outage_until = _note_provider(error, source)
    now = timezone.now()
    if outage_until is not None:
        # Not this calendar's failure: its own back-off must not outlast the outage.
        failures = source.failures
        outcome = replace(outcome, wait=outages.after(outage_until) - now)
    lost: dict[str, Any] = {"vanished_at": now, "next_watch_at": None} if outcome.gone else {}
    with transaction.atomic():
        lease.release(
            next_sync_at=None if outcome.wait is None else now + outcome.wait,
            at_once=outcome.wait is not None and not outcome.silence and not outcome.alone,
            failures=failures,
            unfinished=_resumes(sync_run, outcome),
            blocked_until=now + outcome.wait if outcome.silence and outcome.wait else None,
            last_error_code=outcome.code if outcome.note else source.last_error_code,
            **lost,
        )
        if outcome.alone:
            outcome = _weigh(outcome, lease)
        _end(sync_run, outcome, error)
        noted = outcome.note and _note_on_connection(source, outcome)
        _record(source, outcome, first=failures == 1, ended=noted and outcome.status is not None)
        if isinstance(error, Misconfigured):
            _pause(source.connection.configuration, error)
    _log(source, outcome, error)
    return isinstance(error, ProviderError | UnsealError)


def _weigh(outcome: Outcome, lease: scheduler.Lease) -> Outcome:
    """What stops a calendar alone stops the connection when none of its others is well."""
    connection_id = lease.external_calendar.connection_id
    # Of two that are the last to stop, the second sees the first; so does who chooses others.
    vanishing.locked(connection_id)
    if vanishing.is_any_well(connection_id):
        return outcome
    lease.note(next_sync_at=None)
    return replace(outcome, wait=None, status=ProviderConnection.Status.ERROR)


def _note_provider(error: Exception, source: ExternalCalendar) -> datetime | None:
    """Tell the circuit breaker; returns until when it is open because of this.

    Without OAuth each account has a server of its own: some that are down say nothing of others.
    """
    configuration = source.connection.configuration
    if not configuration.uses_oauth2:
        return None
    if outages.is_outage(error):
        return outages.note_failure(configuration, earlier=source.failures)
    if outages.is_answer(error):
        outages.note_answer(configuration)
    return None


def _outcome(error: Exception, *, source: ExternalCalendar, failures: int) -> Outcome:
    wait = scheduler.back_off(failures)
    code = error.code if isinstance(error, ProviderError) else "internal_error"
    match error:
        case AuthorizationRevoked():
            return Outcome(code, None, status=ProviderConnection.Status.REAUTHORIZATION_REQUIRED)
        case ScopeMissing() | PolicyRefused() | AccountUnsuitable():
            return Outcome(code, None, status=ProviderConnection.Status.ERROR)
        case CalendarForbidden() | CalendarNotFound():
            return _outcome_of_calendar(error, source=source, wait=wait)
        case QuotaExceeded():
            wait = scheduler.silence(error.retry_after, otherwise=scheduler.QUOTA_BACK_OFF)
            return Outcome(code, wait, silence=True, resume=True)
        case RateLimited():
            wait = scheduler.silence(error.retry_after, otherwise=wait)
            return Outcome(code, wait, silence=True, resume=True)
        case Misconfigured():
            return Outcome(code, wait, note=False, resume=True)
        case UnsealError():
            return Outcome("credentials_unreadable", wait, note=False, resume=True)
        case SuddenlyEmpty():
            return Outcome(code, SUDDENLY_EMPTY_RETRY)
        case ProviderUnavailable():
            # Too few calendars to tell an outage by: they find the end of one as soon.
            return Outcome(
                code, scheduler.back_off(failures, most=outages.LONGEST_WAIT), resume=True
            )
    return Outcome(code, wait)


def _outcome_of_calendar(
    error: CalendarForbidden | CalendarNotFound, *, source: ExternalCalendar, wait: timedelta
) -> Outcome:
    if isinstance(error, CalendarForbidden):
        return Outcome(error.code, FORBIDDEN_RETRY, alone=True)
    if _not_found_before(source) >= NOT_FOUND_TIMES - 1:
        return Outcome(error.code, None, alone=True, gone=True)
    return Outcome(error.code, wait)


def _not_found_before(source: ExternalCalendar) -> int:
    """How many of the latest runs ended with the calendar not found, one after the other."""
    codes = (
        SyncRun.objects.filter(external_calendar=source)
        .exclude(status__in=SyncRun.UNFINISHED)
        .order_by("-started_at")
        .values_list("error_code", flat=True)[: NOT_FOUND_TIMES - 1]
    )
    return sum(code == CalendarNotFound.code for code in codes)


def _resumes(sync_run: SyncRun, outcome: Outcome) -> bool:
    """Whether the run waits to go on: of which nothing is stored, there is nothing to resume."""
    return outcome.resume and (sync_run.pages > 0 or sync_run.events_seen > 0)


def _end(sync_run: SyncRun, outcome: Outcome, error: Exception) -> None:
    resumes = _resumes(sync_run, outcome)
    sync_run.status = SyncRun.Status.INTERRUPTED if resumes else SyncRun.Status.FAILED
    sync_run.error_code = outcome.code
    # Texts of other exceptions may quote what a person wrote in their calendar.
    expected = isinstance(error, ProviderError | UnsealError)
    sync_run.error_detail = str(error)[:500] if expected else type(error).__name__
    if not resumes:
        sync_run.finished_at = timezone.now()
        SyncRunPage.objects.filter(run=sync_run).delete()
    sync_run.save()


def _note_on_connection(source: ExternalCalendar, outcome: Outcome) -> bool:
    """Whether there was an active connection to note it on."""
    changes: dict[str, object] = {
        "last_error_code": outcome.code,
        "last_error_at": timezone.now(),
    }
    if outcome.status is not None:
        changes["status"] = outcome.status
    noted = ProviderConnection.objects.filter(
        pk=source.connection_id, status=ProviderConnection.Status.ACTIVE
    ).update(**changes)
    return noted > 0


def _record(source: ExternalCalendar, outcome: Outcome, *, first: bool, ended: bool) -> None:
    """In the audit log: the end of a connection's syncs, and the first failure in a row."""
    if ended:
        asks = outcome.status == ProviderConnection.Status.REAUTHORIZATION_REQUIRED
        action = audit.Action.REAUTHORIZATION_REQUIRED if asks else audit.Action.STOPPED
    elif outcome.gone:
        action = audit.Action.CALENDAR_GONE
    elif first:
        action = audit.Action.SYNC_FAILING
    else:
        return
    audit.record(
        source.connection,
        action,
        actor=audit.Actor.system(),
        code=outcome.code,
        details={"external_calendar_id": source.external_id},
    )


def _pause(configuration: ProviderConfiguration, error: Misconfigured) -> None:
    """Stop using a registration that the provider does not accept; said once, to the operator.

    Only the registration that was used: staff may have mended it while the request was under way.
    """
    paused = ProviderConfiguration.objects.filter(
        pk=configuration.pk, updated_at=configuration.updated_at, paused_at__isnull=True
    ).update(paused_at=timezone.now(), paused_reason=str(error)[:500])
    if paused:
        logger.error(
            "provider configuration %s (%s) is paused: the provider refuses our registration: %s",
            configuration.identifier, configuration.pk, error,
        )  # fmt: skip


def _log(source: ExternalCalendar, outcome: Outcome, error: Exception) -> None:
    if isinstance(error, UnsealError):
        logger.error("external calendar %s: %s", source.pk, error)
    elif not isinstance(error, ProviderError):
        # Raised again by the caller: whoever runs the task logs the traceback.
        logger.error("external calendar %s: sync failed: %s", source.pk, type(error).__name__)
    elif not isinstance(error, Misconfigured):
        logger.warning("external calendar %s: %s: %s", source.pk, outcome.code, error)
