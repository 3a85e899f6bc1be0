"""The error table of docs/sync.md, line by line."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from calendars.models import Event
from providers import access, registry, scheduler, sync
from providers.base import EventQuery
from providers.errors import (
    AccessTokenRejected,
    AccountUnsuitable,
    AddressBlocked,
    AuthorizationRevoked,
    CalendarForbidden,
    CalendarNotFound,
    InvalidResponse,
    Misconfigured,
    PolicyRefused,
    ProviderUnavailable,
    QuotaExceeded,
    RateLimited,
    RequestRefused,
    ScopeMissing,
)
from providers.models import ExternalCalendar, ProviderConfiguration, ProviderConnection, SyncRun
from talkover.encryption import UnsealError
from tests.providers.sync_remote import (
    ScriptedProvider,
    claimed,
    make_due,
    make_source,
    offered,
    remote_event,
    stored,
)

pytestmark = pytest.mark.django_db

REAUTHORIZE = ProviderConnection.Status.REAUTHORIZATION_REQUIRED
ERROR = ProviderConnection.Status.ERROR
ACTIVE = ProviderConnection.Status.ACTIVE


class Tokens:
    """In place of `providers.credentials`: what it returns or raises is said by the test."""

    current_error: Exception | None = None
    renew_error: Exception | None = None
    renewed: list[str]

    def __init__(self, **arguments: Any) -> None:
        pass

    def current(self) -> str:
        if Tokens.current_error:
            raise Tokens.current_error
        return "first"

    def renew(self, rejected: str) -> str:
        Tokens.renewed.append(rejected)
        if Tokens.renew_error:
            raise Tokens.renew_error
        return "second"


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> ScriptedProvider:
    scripted = ScriptedProvider()
    scripted.put(*(remote_event(f"e{n}") for n in range(8)))
    monkeypatch.setattr(registry, "get_provider", lambda _kind: scripted)
    monkeypatch.setattr(access, "AccessTokens", Tokens)
    monkeypatch.setattr(Tokens, "current_error", None)
    monkeypatch.setattr(Tokens, "renew_error", None)
    Tokens.renewed = []
    return scripted


def fail(
    provider: ScriptedProvider, error: BaseException, *, on: str = "", times: int = 99
) -> None:
    """Raise the error for queries whose page token ends so ("": all)."""
    left = times

    def before(query: EventQuery) -> None:
        nonlocal left
        if query.page_token.endswith(on) and left:
            left -= 1
            raise error

    provider.before = before


def run(source: ExternalCalendar) -> SyncRun:
    make_due(source)
    result = sync.run(source.pk)
    assert result is not None
    result.refresh_from_db()
    source.refresh_from_db()
    source.connection.refresh_from_db()
    return result


def wait(source: ExternalCalendar) -> float:
    """Seconds until the next sync by itself."""
    assert source.next_sync_at is not None
    return (source.next_sync_at - timezone.now()).total_seconds()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (AuthorizationRevoked("gone"), REAUTHORIZE),
        (ScopeMissing("unticked"), ERROR),
        (CalendarForbidden("no access"), ERROR),
        (AccountUnsuitable("no mailbox", code="mailbox_missing"), ERROR),
        (PolicyRefused("administrator"), ERROR),
    ],
)
def test_what_only_a_person_can_mend_ends_the_syncing(
    source: ExternalCalendar, provider: ScriptedProvider, error: Any, status: str
) -> None:
    run(source)
    fail(provider, error)
    result = run(source)
    assert (result.status, result.error_code) == ("failed", error.code)
    assert source.connection.status == status
    assert source.connection.last_error_code == error.code
    assert source.connection.last_error_at is not None
    assert source.next_sync_at is None
    assert scheduler.request_sync([source.pk]) == []
    # What is known stays, and so does where to go on after a reconnection.
    assert stored(source) == offered(provider)
    assert source.cursor


def test_a_revoked_grant_that_the_refresh_proves(
    source: ExternalCalendar, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tokens, "current_error", AuthorizationRevoked())
    run(source)
    assert source.connection.status == REAUTHORIZE
    assert not provider.queries


def test_a_rejected_access_token_is_renewed_once(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    fail(provider, AccessTokenRejected(), on="e2", times=1)
    assert run(source).status == "succeeded"
    assert Tokens.renewed == ["first"]
    assert provider.tokens == ["first", "first", "second", "second"]
    assert stored(source) == offered(provider)


def test_a_token_rejected_again_proves_nothing(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    fail(provider, AccessTokenRejected())
    result = run(source)
    assert (result.status, result.error_code) == ("failed", "access_token_rejected")
    assert (len(provider.queries), len(Tokens.renewed)) == (2, 1)
    assert source.connection.status == ACTIVE
    assert 20 < wait(source) < 40


def test_a_rejected_token_with_a_refused_refresh(
    source: ExternalCalendar, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tokens, "renew_error", AuthorizationRevoked())
    fail(provider, AccessTokenRejected())
    run(source)
    assert source.connection.status == REAUTHORIZE


def test_a_calendar_not_found_is_believed_the_third_time(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    run(source)
    fail(provider, CalendarNotFound())
    for _ in range(2):
        run(source)
        assert source.connection.status == ACTIVE
        assert source.connection.last_error_code == "calendar_not_found"
        assert source.next_sync_at is not None
    run(source)
    assert source.connection.status == ERROR
    assert source.next_sync_at is None
    assert Event.objects.count() == 8


def test_a_calendar_found_again_was_not_lost(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    for _ in range(3):
        fail(provider, CalendarNotFound())
        run(source)
        run(source)
        provider.before = lambda _query: None
        run(source)
    assert source.connection.status == ACTIVE
    assert source.connection.last_error_code == ""


@pytest.mark.parametrize(
    ("error", "least", "most"),
    [
        (RateLimited(retry_after=120), 119, 133),
        (RateLimited(), 20, 42),
        (QuotaExceeded(retry_after=7200), 7190, 7930),
        (QuotaExceeded(), 5.9 * 3600, 6.7 * 3600),
    ],
)
def test_a_limit_is_waited_out_even_when_asked(
    source: ExternalCalendar, provider: ScriptedProvider, error: Any, least: float, most: float
) -> None:
    fail(provider, error, on="e5")
    result = run(source)
    assert (result.status, result.error_code, result.pages) == ("interrupted", error.code, 2)
    assert source.connection.status == ACTIVE
    assert source.connection.last_error_code == error.code
    assert least < wait(source) < most
    scheduler.request_sync([source.pk])
    source.refresh_from_db()
    assert least - 1 < wait(source) < most
    assert sync.run(source.pk) is None
    # Afterwards it goes on where it was stopped.
    provider.before = lambda _query: None
    provider.queries.clear()
    result = run(source)
    assert (result.status, result.resumed, len(provider.queries)) == ("succeeded", 1, 1)
    assert source.blocked_until is None
    assert stored(source) == offered(provider)


@pytest.mark.parametrize(
    "error", [ProviderUnavailable("503"), InvalidResponse("HTML"), ProviderUnavailable(code="x")]
)
def test_an_unavailable_provider_is_tried_again_with_growing_pauses(
    source: ExternalCalendar, provider: ScriptedProvider, error: Any
) -> None:
    fail(provider, error, on="e5")
    waits = []
    for _ in range(9):
        result = run(source)
        assert (result.status, result.error_code, result.pages) == ("interrupted", error.code, 2)
        waits.append(wait(source))
    assert 20 < waits[0] < 40
    assert 80 < waits[2] < 160
    assert 440 < waits[8] < 760
    assert SyncRun.objects.count() == 1
    assert source.connection.status == ACTIVE
    assert source.connection.last_error_code == error.code
    provider.before = lambda _query: None
    assert run(source).status == "succeeded"
    assert (source.failures, source.connection.last_error_code) == (0, "")
    assert stored(source) == offered(provider)


@pytest.mark.parametrize("error", [RequestRefused("400"), AddressBlocked("10.0.0.1")])
def test_other_refusals_are_the_operators_and_keep_the_connection(
    source: ExternalCalendar, provider: ScriptedProvider, error: Any
) -> None:
    fail(provider, error, on="e2")
    result = run(source)
    assert (result.status, result.error_code) == ("failed", error.code)
    assert source.connection.status == ACTIVE
    assert source.connection.last_error_code == error.code
    assert 20 < wait(source) < 40


def test_a_wrong_registration_pauses_the_configuration_and_changes_no_connection(
    source: ExternalCalendar, provider: ScriptedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    before = ProviderConnection.objects.values().get()
    fail(provider, Misconfigured("invalid_client"))
    assert run(source).error_code == "provider_misconfigured"
    assert ProviderConnection.objects.values().get() == before
    configuration = ProviderConfiguration.objects.get()
    assert configuration.paused_at is not None
    assert configuration.paused_reason == "invalid_client"
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1
    make_due(source)
    assert claimed(1) == []
    assert sync.run(source.pk) is None
    # The operator mends it.
    configuration.paused_at = None
    configuration.save()
    provider.before = lambda _query: None
    assert run(source).status == "succeeded"


def test_a_registration_mended_meanwhile_is_not_paused(
    source: ExternalCalendar, provider: ScriptedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    fail(provider, Misconfigured("invalid_client"), on="e2")
    provider.on_read = ProviderConfiguration.objects.get().save
    run(source)
    assert ProviderConfiguration.objects.get().paused_at is None
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_secrets_that_cannot_be_read_change_nothing(
    source: ExternalCalendar,
    provider: ScriptedProvider,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = ProviderConnection.objects.values().get()
    monkeypatch.setattr(Tokens, "current_error", UnsealError("a key is missing"))
    result = run(source)
    assert (result.status, result.error_code) == ("failed", "credentials_unreadable")
    assert ProviderConnection.objects.values().get() == before
    assert ProviderConfiguration.objects.get().paused_at is None
    assert 20 < wait(source) < 40
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_an_unreadable_client_secret_too(
    provider: ScriptedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    source = make_source(configuration={"client_secret": "v1.unknown.AAAA.AAAA"})
    assert run(source).error_code == "credentials_unreadable"
    assert source.connection.status == ACTIVE
    assert "AAAA" not in caplog.text


def test_an_unexpected_exception_is_recorded_and_raised(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    fail(provider, ZeroDivisionError("secret text"), on="e2")
    with pytest.raises(ZeroDivisionError):
        run(source)
    source.refresh_from_db()
    result = SyncRun.objects.get()
    assert (result.status, result.error_code) == ("failed", "internal_error")
    assert result.error_detail == "ZeroDivisionError"
    assert 20 < wait(source) < 40
    assert source.lease_until is None
    provider.before = lambda _query: None
    assert run(source).status == "succeeded"
    assert stored(source) == offered(provider)


def test_an_error_after_the_lease_was_lost_changes_nothing(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    """A reconnection meanwhile: the failure of the old grant says nothing about the new one."""
    fail(provider, AuthorizationRevoked(), on="e2")

    def reconnect() -> None:
        scheduler.revoke_leases(source.connection_id)

    provider.on_read = reconnect
    make_due(source)
    assert sync.run(source.pk) is None
    source.connection.refresh_from_db()
    assert source.connection.status == ACTIVE
    assert source.connection.last_error_code == ""


def test_a_wish_during_a_failing_run_is_due_at_once(
    source: ExternalCalendar, provider: ScriptedProvider
) -> None:
    fail(provider, ProviderUnavailable(), on="e2")
    provider.on_read = lambda: scheduler.request_sync([source.pk])
    run(source)
    assert wait(source) <= 0
    assert timedelta(0) <= timezone.now() - source.updated_at
