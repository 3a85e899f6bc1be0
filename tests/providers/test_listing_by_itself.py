"""Accounts' lists of calendars are read once a day: what is due, and what a lost message costs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from providers import external_calendars, registry, tasks
from providers.base import Access, Http, RemoteCalendar
from providers.errors import AccessTokenRejected, ProviderUnavailable, RateLimited
from providers.models import ExternalCalendar, ProviderConfiguration, ProviderConnection
from tests.providers.sync_remote import ScriptedProvider, make_siblings, make_source

pytestmark = pytest.mark.django_db


class Listing(ScriptedProvider):
    """A provider whose accounts all have the same two calendars. `trouble` comes first."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.trouble: list[Exception] = []

    def list_calendars(self, http: Http, access: Access) -> list[RemoteCalendar]:
        self.asked.append(access.secret)
        if self.trouble:
            raise self.trouble.pop(0)
        return [
            RemoteCalendar("primary@example.com", "Own", "UTC", "owner", True),
            RemoteCalendar("another@example.com", "Another", "UTC", "reader", False),
        ]


@pytest.fixture
def listing(monkeypatch: pytest.MonkeyPatch) -> Listing:
    provider = Listing()
    monkeypatch.setattr(registry, "get_provider", lambda _kind: provider)
    return provider


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The messages about lists, instead of sending them."""
    messages: list[Any] = []

    def send(task: Any, *arguments: Any, expires: float | None = None) -> bool:
        if task is tasks.list_calendars:
            assert expires
            messages.append(arguments[0])
        return True

    monkeypatch.setattr(tasks, "_send", send)
    return messages


def make_listing_due(**changes: Any) -> None:
    ProviderConnection.objects.update(calendars_due_at=timezone.now(), **changes)


def in_hours(connection: ProviderConnection) -> float:
    connection.refresh_from_db()
    assert connection.calendars_due_at is not None
    return (connection.calendars_due_at - timezone.now()) / timedelta(hours=1)


def test_a_list_that_is_due_is_read_once(listing: Listing, sent: list[Any]) -> None:
    connection = make_source().connection
    assert tasks.send_listings() == 0
    make_listing_due()
    assert tasks.send_listings() == 1
    assert sent == [[str(connection.pk)]]
    # The message comes twice.
    tasks.list_calendars(sent[0])
    tasks.list_calendars(sent[0])
    assert len(listing.asked) == 1
    assert 18 <= in_hours(connection) <= 30
    names = connection.external_calendars.values_list("name", "is_selected")
    assert set(names) == {("Own", True), ("Another", False)}
    assert tasks.send_listings() == 0


def test_a_lost_message_is_sent_again(listing: Listing, sent: list[Any]) -> None:
    make_source()
    make_listing_due()
    assert [tasks.send_listings(), tasks.send_listings()] == [1, 1]


def test_many_go_in_few_messages(listing: Listing, sent: list[Any], monkeypatch: Any) -> None:
    make_siblings(make_source(), 59)
    make_listing_due()
    assert tasks.send_listings() == 60
    assert [len(message) for message in sent] == [25, 25, 10]
    monkeypatch.setattr(tasks, "LISTINGS_BATCH", 30)
    assert tasks.send_listings() == 30, "the rest waits"


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "reauthorization_required"},
        {"status": "disconnected"},
        {"status": "error", "last_error_code": "scope_missing"},
        {"account_subject": ""},
    ],
)
def test_what_has_no_grant_is_not_asked(listing: Listing, sent: list[Any], changes: Any) -> None:
    connection = make_source().connection
    make_listing_due(**changes)
    assert tasks.send_listings() == 0
    assert external_calendars.refresh_due([connection.pk]) == 0
    assert listing.asked == []


@pytest.mark.parametrize(
    "changes",
    [
        {"is_active": False},
        {"paused_at": timezone.now()},
        {"outage_until": timezone.now() + timedelta(hours=1)},
    ],
)
def test_what_is_not_to_be_asked_waits(listing: Listing, sent: list[Any], changes: Any) -> None:
    connection = make_source().connection
    ProviderConfiguration.objects.update(**changes)
    make_listing_due()
    assert tasks.send_listings() == 0
    connection.refresh_from_db()
    assert external_calendars.refresh(connection, insist=True).stale
    assert listing.asked == []


def test_a_connection_without_a_calendar_left_finds_its_own_again(
    listing: Listing, sent: list[Any]
) -> None:
    source = make_source()
    ExternalCalendar.objects.update(
        next_sync_at=None, vanished_at=timezone.now(), last_error_code="calendar_not_found"
    )
    make_listing_due(status="error", last_error_code="calendar_not_found")
    tasks.send_listings()
    tasks.list_calendars(sent[0])
    source.refresh_from_db()
    connection = ProviderConnection.objects.get()
    assert (connection.status, connection.last_error_code) == ("active", "")
    assert (source.vanished_at, source.last_error_code) == (None, "")
    assert source.next_sync_at is not None


def test_a_failure_is_repeated_sooner(listing: Listing) -> None:
    connection = make_source().connection
    make_listing_due()
    listing.trouble = [RateLimited(retry_after=600)]
    assert external_calendars.refresh_due([connection.pk]) == 0
    assert 0.7 <= in_hours(connection) <= 1.3
    assert connection.calendars_quiet_until is not None
    assert connection.calendars_quiet_until > timezone.now() + timedelta(minutes=9)
    assert connection.status == "active"


def test_a_provider_that_is_away_is_asked_once_a_message(listing: Listing) -> None:
    source = make_source()
    make_siblings(source, 4)
    make_listing_due()
    listing.trouble = [ProviderUnavailable()]
    ids = [str(pk) for pk in ProviderConnection.objects.values_list("pk", flat=True)]
    tasks.list_calendars(ids)
    assert len(listing.asked) == 1
    tasks.list_calendars(ids)
    assert len(listing.asked) == 5, "the others are still due"


def test_an_access_token_that_is_refused_is_renewed_once(
    listing: Listing, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Tokens:
        def __init__(self, **_options: Any) -> None: ...

        def current(self) -> str:
            return "old"

        def renew(self, rejected: str) -> str:
            assert rejected == "old"
            return "new"

    monkeypatch.setattr("providers.access.AccessTokens", Tokens)
    connection = make_source().connection
    listing.trouble = [AccessTokenRejected()]
    assert not external_calendars.refresh(connection, insist=True).stale
    assert listing.asked == ["old", "new"]


def test_of_many_who_look_at_once_one_asks(listing: Listing) -> None:
    connection = make_source().connection
    ProviderConnection.objects.update(calendars_quiet_until=timezone.now() + timedelta(seconds=30))
    assert external_calendars.refresh(connection).stale
    assert listing.asked == []


def test_a_list_that_comes_after_the_end_is_not_kept(listing: Listing) -> None:
    connection = make_source().connection
    ProviderConnection.objects.update(status="disconnected")
    external_calendars.keep(connection.pk, listing.list_calendars(None, _access()))  # type: ignore[arg-type]
    assert connection.external_calendars.count() == 1


def _access() -> Access:
    return Access(address="", secret="")
