"""Runs that resume after any crash, or start over because the provider lost its place."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from calendars import upsert
from calendars.models import Event
from providers import run_writer, sync, sync_writer
from providers.base import EventQuery
from providers.errors import CursorExpired, ProviderUnavailable
from providers.models import ExternalCalendar, SyncRun
from tests.providers.sync_remote import (
    ScriptedProvider,
    assert_synced,
    claimed,
    make_due,
    make_source,
    offered,
    relist,
    remote_event,
    run,
    stored,
)

pytestmark = pytest.mark.django_db


class PowerCut(BaseException):
    """The process ends here: no handler of the engine runs."""


# Crashes -----------------------------------------------------------------------------------------


def crash_at(number: int) -> Callable[..., Any]:
    """A wrapper of database statements: the power fails before the n-th."""
    count = 0

    def wrapper(execute: Any, *arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count == number:
            raise PowerCut
        return execute(*arguments)

    return wrapper


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["first", "relist", "incremental"])
def test_after_a_crash_at_any_statement_the_next_run_completes(
    kind: str, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_writer, "SWEEP_BATCH", 2)
    number = 0
    while True:
        number += 1
        source = make_source()
        provider.events.clear()
        provider.log.clear()
        provider.put(*(remote_event(f"e{n}") for n in range(8)))
        if kind != "first":
            run(source)
            provider.put(remote_event("e4", version=2), remote_event("new"))
            provider.delete("e1", "e2", "e3")
        if kind == "relist":
            ExternalCalendar.objects.filter(pk=source.pk).update(
                last_full_sync_at=timezone.now() - timedelta(days=2)
            )
        make_due(source)
        try:
            with connection.execute_wrapper(crash_at(number)):
                sync.run(source.pk)
        except PowerCut:
            # Nobody takes over before the lease ends, and nothing has to be asked for again.
            ExternalCalendar.objects.filter(pk=source.pk, lease_until__isnull=False).update(
                lease_until=timezone.now()
            )
            if claimed(1):
                assert sync.run(source.pk) is not None
            assert_synced(source, provider)
            assert Event.objects.filter(source=source).count() == len(offered(provider))
        else:
            break
        source.connection.delete()
    assert number > 6
    assert_synced(source, provider)


def test_a_crash_while_fetching_resumes_at_the_page(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    def fail(query: EventQuery) -> None:
        if query.page_token.endswith("e5"):
            raise PowerCut

    provider.before = fail
    with pytest.raises(PowerCut):
        sync.run(source.pk)
    assert len(stored(source)) == 6
    # Meanwhile, in what is listed already and in what is not yet.
    provider.put(remote_event("e1", version=2))
    provider.delete("e7")
    ExternalCalendar.objects.update(lease_until=timezone.now())
    provider.before = lambda _query: None
    provider.queries.clear()
    result = run(source)
    assert (result.resumed, result.pages, result.status) == (1, 3, "succeeded")
    assert len(provider.queries) == 1
    run(source)
    assert_synced(source, provider)


def test_what_was_seen_before_the_crash_is_not_swept(
    source: ExternalCalendar, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(source)
    monkeypatch.setattr(upsert, "remove_events", _raise_once(upsert.remove_events, at_call=3))
    with pytest.raises(PowerCut):
        relist(source)
    ExternalCalendar.objects.update(lease_until=timezone.now())
    assert run(source).events_removed == 0
    assert_synced(source, provider)


def _raise_once(function: Callable[..., Any], *, at_call: int) -> Callable[..., Any]:
    calls = 0

    def wrapper(**arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at_call:
            raise PowerCut
        return function(**arguments)

    return wrapper


def test_a_run_that_is_too_old_is_not_resumed(
    source: ExternalCalendar, provider: ScriptedProvider, time_machine: Any
) -> None:
    def fail(query: EventQuery) -> None:
        if query.page_token:
            raise ProviderUnavailable

    provider.before = fail
    interrupted = run(source)
    assert interrupted.status == "interrupted"
    provider.before = lambda _query: None
    provider.delete("e0")
    time_machine.move_to(timezone.now() + sync.RESUMABLE_FOR + timedelta(minutes=1))
    result = run(source)
    assert (result.resumed, result.kind, result.pages) == (0, "full", 3)
    interrupted.refresh_from_db()
    assert (interrupted.status, interrupted.error_code) == ("failed", "abandoned")
    assert_synced(source, provider)


# Starting over -----------------------------------------------------------------------------------


def test_an_expired_cursor_starts_a_full_listing_at_once_and_keeps_the_rows(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    run(source)
    provider.delete("e1", "e2")
    provider.put(remote_event("new"))
    provider.expired_before = len(provider.log)
    there: list[int] = []
    provider.on_read = lambda: there.append(Event.objects.count())
    result = run(source)
    assert (result.kind, result.status, result.events_removed) == ("full", "succeeded", 2)
    assert min(there) == 8
    assert_synced(source, provider)
    assert list(SyncRun.objects.order_by("started_at").values_list("status", "error_code")) == [
        ("succeeded", ""),
        ("failed", "cursor_expired"),
        ("succeeded", ""),
    ]


def test_an_expired_page_token_restarts_the_listing(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    times = 0

    def expire(query: EventQuery) -> None:
        nonlocal times
        if query.page_token and times < 2:
            times += 1
            provider.delete(f"e{times}")
            raise CursorExpired

    provider.before = expire
    assert run(source).status == "succeeded"
    assert_synced(source, provider)


def test_page_tokens_that_always_expire_end_the_run(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    def expire(query: EventQuery) -> None:
        if query.page_token:
            raise CursorExpired

    provider.before = expire
    result = run(source)
    assert (result.status, result.error_code) == ("failed", "cursor_expired")
    assert sum(not query.page_token for query in provider.queries) == sync.MOST_RESTARTS + 1
    assert source.next_sync_at is not None
    assert source.next_sync_at > timezone.now()
    assert source.failures == 1


def test_a_listing_that_loops_is_stopped(
    source: ExternalCalendar, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = provider._everything

    def loop(query: EventQuery) -> Any:
        page = everything(query)
        page.next_page_token, page.next_cursor = "8:e2", ""
        return page

    monkeypatch.setattr(provider, "_everything", loop)
    assert run(source).error_code == "listing_loops"
    monkeypatch.setattr(provider, "_everything", everything)
    run(source)
    assert_synced(source, provider)


def test_a_listing_without_end_is_stopped(
    source: ExternalCalendar, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_writer, "MOST_PAGES", 2)
    assert run(source).error_code == "listing_loops"
