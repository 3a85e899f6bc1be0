"""A provider that is away: the circuit breaker opens, lets one try at a time, and closes."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from providers import outages, scheduler, sync
from providers.base import EventQuery
from providers.errors import (
    AuthorizationRevoked,
    InvalidResponse,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)
from providers.models import ExternalCalendar, ProviderConfiguration, ProviderConnection, SyncRun
from tests.providers.sync_remote import (
    ScriptedProvider,
    claimed,
    make_due,
    make_siblings,
    make_source,
    stored,
)

pytestmark = pytest.mark.django_db


def answer(provider: ScriptedProvider, error: ProviderError | None) -> None:
    """What the provider does from now on: raise this, or work."""

    def before(_query: EventQuery) -> None:
        if error is not None:
            raise error

    provider.before = before


def state() -> ProviderConfiguration:
    return ProviderConfiguration.objects.get(identifier="provider")


def open_breaker(
    source: ExternalCalendar, provider: ScriptedProvider, error: ProviderError
) -> list[ExternalCalendar]:
    """Let all calendars of a new configuration fail once; returns them."""
    calendars = [source, *make_siblings(source, outages.THRESHOLD - 1)]
    answer(provider, error)
    for calendar in calendars:
        assert sync.run(calendar.pk) is not None
    assert state().outage_until is not None
    return calendars


def let_time_pass(time_machine: Any, until: Any) -> None:
    time_machine.move_to(until + timedelta(seconds=1))


@pytest.mark.parametrize("error", [ProviderUnavailable("503"), InvalidResponse("HTML")])
def test_failures_in_a_row_open_it(
    source: ExternalCalendar,
    provider: ScriptedProvider,
    error: ProviderError,
    caplog: pytest.LogCaptureFixture,
) -> None:
    calendars = [source, *make_siblings(source, outages.THRESHOLD)]
    answer(provider, error)
    for calendar in calendars[: outages.THRESHOLD - 1]:
        sync.run(calendar.pk)
    assert (state().outage_failures, state().outage_until) == (outages.THRESHOLD - 1, None)
    sync.run(calendars[-2].pk)
    configuration = state()
    assert configuration.outage_since is not None
    assert configuration.outage_until is not None
    assert 22 < (configuration.outage_until - timezone.now()).total_seconds() < 38
    # Nothing of it is claimed or leased, and asking for a sync does not change that.
    asked = len(provider.queries)
    assert claimed(100) == []
    assert sync.run(calendars[-1].pk) is None
    scheduler.request_sync([calendars[-1].pk])
    assert sync.run(calendars[-1].pk) is None
    assert len(provider.queries) == asked
    told = [record for record in caplog.records if record.name == "providers.outages"]
    assert [(record.levelno, "is down" in record.message) for record in told] == [
        (logging.ERROR, True)
    ]
    assert set(ProviderConnection.objects.values_list("status", flat=True)) == {"active"}


def test_other_configurations_go_on(source: ExternalCalendar, provider: ScriptedProvider) -> None:
    open_breaker(source, provider, ProviderUnavailable())
    other = make_source()
    answer(provider, None)
    assert claimed(100) == [other.pk]
    result = sync.run(other.pk)
    assert result is not None
    assert result.status == SyncRun.Status.SUCCEEDED


def test_a_broken_calendar_is_no_outage(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    """However often it fails, asked for or not, and although nobody else is asked meanwhile."""
    make_siblings(source, 3)
    answer(provider, ProviderUnavailable())
    for _ in range(3 * outages.THRESHOLD):
        make_due(source)
        assert sync.run(source.pk) is not None
    assert state().outage_until is None
    assert state().outage_failures == outages.MOST_OF_ONE


def test_an_answer_in_between_begins_the_count_anew(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    calendars = [source, *make_siblings(source, 2 * outages.THRESHOLD)]
    for number, calendar in enumerate(calendars):
        well = number % outages.THRESHOLD == outages.THRESHOLD - 1
        answer(provider, None if well else ProviderUnavailable())
        sync.run(calendar.pk)
        assert state().outage_until is None
        assert bool(state().outage_failures) is not well


@pytest.mark.parametrize(
    "error",
    [RateLimited(), AuthorizationRevoked(), ProviderUnavailable(code="refresh_in_progress")],
)
def test_what_a_provider_answers_is_no_outage(
    source: ExternalCalendar, provider: ScriptedProvider, error: ProviderError
) -> None:
    answer(provider, error)
    for calendar in [source, *make_siblings(source, 2 * outages.THRESHOLD)]:
        sync.run(calendar.pk)
    assert (state().outage_failures, state().outage_until) == (0, None)


def test_one_calendar_tries_for_all(
    source: ExternalCalendar, provider: ScriptedProvider, time_machine: Any
) -> None:
    calendars = open_breaker(source, provider, ProviderUnavailable())
    until = state().outage_until
    let_time_pass(time_machine, until)
    ExternalCalendar.objects.update(next_sync_at=timezone.now())
    assert len(claimed(100)) == 1
    first = scheduler.acquire(calendars[0].pk)
    assert first is not None
    # It takes its time: nobody else is let in, and nothing is sent.
    assert claimed(100) == []
    assert [scheduler.acquire(calendar.pk) for calendar in calendars[1:]] == [None] * 4
    # It died: another may try.
    time_machine.move_to(timezone.now() + outages.PROBE_FOR + timedelta(seconds=1))
    assert scheduler.acquire(calendars[1].pk) is not None
    assert scheduler.acquire(calendars[2].pk) is None


def test_the_pauses_grow_with_each_try_and_not_with_each_calendar(
    source: ExternalCalendar, provider: ScriptedProvider, time_machine: Any
) -> None:
    calendars = [source, *make_siblings(source, 19)]
    leases = [scheduler.acquire(calendar.pk) for calendar in calendars]
    answer(provider, ProviderUnavailable())
    for calendar in calendars:
        ExternalCalendar.objects.filter(pk=calendar.pk).update(lease_until=None)
    # Twenty began before it opened, and all of them fail.
    for lease in leases:
        assert lease is not None
        configuration = lease.external_calendar.connection.configuration
        outages.note_failure(configuration, earlier=0)
    assert state().outage_failures == outages.THRESHOLD
    pauses = []
    for _ in range(8):
        let_time_pass(time_machine, state().outage_until)
        make_due(source)
        assert sync.run(source.pk) is not None
        until = state().outage_until
        assert until is not None
        pauses.append((until - timezone.now()).total_seconds())
    assert 44 < pauses[0] < 76
    assert 89 < pauses[1] < 151
    assert all(449 < pause < 751 for pause in pauses[5:])


def test_it_closes_with_the_first_page_that_arrives(
    source: ExternalCalendar,
    provider: ScriptedProvider,
    time_machine: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    calendars = open_breaker(source, provider, ProviderUnavailable())
    let_time_pass(time_machine, state().outage_until)
    ExternalCalendar.objects.update(next_sync_at=timezone.now(), queued_until=None)
    answer(provider, None)
    closed: list[bool] = []
    provider.on_read = lambda: closed.append(state().outage_until is None)
    sync.run(calendars[0].pk)
    # During the run, however many pages follow.
    assert closed[0]
    configuration = state()
    assert (configuration.outage_failures, configuration.outage_since) == (0, None)
    assert "is back" in caplog.text
    # What has become due meanwhile drains.
    assert len(claimed(100)) == len(calendars) - 1
    for calendar in calendars[1:]:
        assert sync.run(calendar.pk) is not None
        assert stored(calendar)


def test_a_refusal_closes_it_too(
    source: ExternalCalendar, provider: ScriptedProvider, time_machine: Any
) -> None:
    """The one that tries may have been revoked: the provider is there, nevertheless."""
    open_breaker(source, provider, ProviderUnavailable())
    let_time_pass(time_machine, state().outage_until)
    answer(provider, AuthorizationRevoked())
    make_due(source)
    sync.run(source.pk)
    assert state().outage_until is None


def test_an_outage_runs_up_nobodys_own_back_off(
    source: ExternalCalendar, provider: ScriptedProvider, time_machine: Any
) -> None:
    calendars = open_breaker(source, provider, ProviderUnavailable())
    tried = calendars[-1]
    for _ in range(10):
        until = state().outage_until
        tried.refresh_from_db()
        assert until is not None
        assert tried.next_sync_at is not None
        assert until <= tried.next_sync_at <= until + outages.RETURN_WITHIN
        assert tried.failures == 0
        let_time_pass(time_machine, tried.next_sync_at)
        assert sync.run(tried.pk) is not None
    # And once it is over, all come within a minute or two, and not in one moment.
    answer(provider, None)
    let_time_pass(time_machine, state().outage_until)
    make_due(source)
    sync.run(source.pk)
    rest = ExternalCalendar.objects.exclude(pk=source.pk).values_list("next_sync_at", flat=True)
    assert len(set(rest)) == len(rest)
    assert all(moment < timezone.now() + timedelta(minutes=2) for moment in rest if moment)


def test_all_is_well_costs_no_query(
    source: ExternalCalendar, provider: ScriptedProvider, django_assert_num_queries: Any
) -> None:
    configuration = source.connection.configuration
    with django_assert_num_queries(0):
        outages.note_answer(configuration)
