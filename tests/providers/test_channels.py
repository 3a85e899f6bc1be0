"""Opening, renewing and stopping notification channels, whatever the provider answers."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from providers import channels, registry
from providers.credentials import AccessTokens
from providers.errors import (
    AccessTokenRejected,
    CalendarForbidden,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    WatchRefused,
)
from providers.models import (
    ConnectionCredential,
    ExternalCalendar,
    NotificationChannel,
    ProviderConfiguration,
    ProviderConnection,
)
from tests.providers.sync_remote import ScriptedProvider, make_source
from tests.providers.test_scheduler import in_threads
from tests.providers.watching import Watching, age, fail_with, in_days, living, renew

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider(watching: Watching) -> Watching:
    return watching


@pytest.fixture
def source(watching: Watching) -> ExternalCalendar:
    """A connected calendar whose channel is to be opened now."""
    return make_source(next_watch_at=timezone.now())


# Opening


def test_opening(source: ExternalCalendar, provider: Watching) -> None:
    seen: list[Any] = []
    provider.before_watch = lambda: seen.extend(NotificationChannel.objects.all())
    assert renew(source) is True
    [asked] = provider.watched
    row = NotificationChannel.objects.get()
    # The row is there before the provider is asked: its first message may be quicker.
    assert [one.pk for one in seen] == [row.pk]
    assert asked.channel_id == str(row.pk)
    assert asked.calendar_id == "primary@example.com"
    assert asked.address == f"https://calendars.example.com/push/scripted/{row.pk}"
    assert asked.access_token == "access-1"
    assert len(asked.token) == 43  # 256 bits
    assert row.token_digest == hashlib.sha256(asked.token.encode()).hexdigest()
    assert asked.token not in str(vars(row))
    assert row.resource_id == "resource-1"
    assert 6.99 < in_days(row.expires_at) <= 7
    assert 4.1 < in_days(source.next_watch_at) < 5.3
    assert living() == [str(row.pk)]


def test_tokens_differ(source: ExternalCalendar, provider: Watching) -> None:
    renew(source)
    renew(make_source())
    assert provider.watched[0].token != provider.watched[1].token


def test_a_doubled_hint_does_nothing(source: ExternalCalendar, provider: Watching) -> None:
    assert channels.due(limit=10) == [source.pk]
    assert channels.renew(source.pk) is True
    assert channels.renew(str(source.pk)) is False
    assert channels.due(limit=10) == []
    assert len(provider.watched) == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_one_opens(
    source: ExternalCalendar, provider: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_have_looked = threading.Barrier(4)

    class Gate:
        """Added to the time between looking and claiming."""

        def __radd__(self, now: datetime) -> datetime:
            all_have_looked.wait(30)
            return now + timedelta(minutes=5)

    monkeypatch.setattr(channels, "CLAIM", Gate())
    monkeypatch.setattr(channels._Renewal, "run", lambda _self: True)
    assert sum(in_threads(4, lambda: channels.renew(source.pk))) == 1


@pytest.mark.django_db(transaction=True)
def test_the_provider_is_not_asked_inside_a_transaction(
    source: ExternalCalendar, provider: Watching
) -> None:
    inside: list[bool] = []
    provider.before_watch = provider.before_stop = lambda: inside.append(connection.in_atomic_block)
    renew(source)
    age(0.65)
    renew(source)
    assert inside == [False] * 3


def test_a_worker_that_dies_is_followed_by_another(
    source: ExternalCalendar, provider: Watching, time_machine: Any
) -> None:
    class Killed(BaseException):
        pass

    def die() -> None:
        raise Killed

    provider.before_watch = die
    with pytest.raises(Killed):
        channels.renew(source.pk)
    assert channels.due(limit=10) == []
    time_machine.move_to(timezone.now() + channels.CLAIM + timedelta(seconds=1))
    assert channels.due(limit=10) == [source.pk]
    provider.before_watch = lambda: None
    # The dead one's first message has told the provider's name of its channel.
    NotificationChannel.objects.update(resource_id="resource-1")
    assert channels.renew(source.pk) is True
    first, second = provider.watched
    assert living() == [second.channel_id]
    assert provider.stopped == [(first.channel_id, "resource-1")]


def test_a_refused_access_token_is_renewed_once(
    source: ExternalCalendar, provider: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_the_first() -> None:
        if provider.watched[-1].access_token == "access-1":
            raise AccessTokenRejected

    provider.before_watch = refuse_the_first
    monkeypatch.setattr(AccessTokens, "renew", lambda _self, rejected: rejected + "+")
    assert renew(source) is True
    assert [one.access_token for one in provider.watched] == ["access-1", "access-1+"]
    assert len({one.channel_id for one in provider.watched}) == 1


@pytest.mark.parametrize(
    "hindrance",
    [
        lambda: ProviderConnection.objects.update(status="disconnected"),
        lambda: ProviderConnection.objects.update(status="reauthorization_required"),
        lambda: ProviderConfiguration.objects.update(is_active=False),
        lambda: ProviderConfiguration.objects.update(paused_at=timezone.now()),
        lambda: ExternalCalendar.objects.update(next_watch_at=None),
        lambda: ExternalCalendar.objects.update(next_watch_at=timezone.now() + timedelta(hours=1)),
    ],
)
def test_what_is_not_due_is_not_watched(
    source: ExternalCalendar, provider: Watching, hindrance: Callable[[], Any]
) -> None:
    hindrance()
    assert channels.due(limit=10) == []
    assert channels.renew(source.pk) is False
    assert provider.watched == []


# Where the provider can reach us


@pytest.mark.parametrize(
    ("setting", "base_url", "allowed", "reachable"),
    [
        ("auto", "https://calendars.example.com", "", True),
        ("auto", "https://localhost", "", False),
        ("auto", "http://calendars.example.com", "", False),
        ("auto", "http://127.0.0.1:8000", "", False),
        ("auto", "http://127.0.0.1:8000", "provider.example:443", True),
        ("auto", "http://127.0.0.1:8000", "elsewhere.example:443", False),
        ("on", "http://127.0.0.1:8000", "", True),
        ("off", "https://calendars.example.com", "provider.example:443", False),
    ],
)
def test_whether_we_can_be_reached(
    source: ExternalCalendar, provider: Watching, settings: Any,
    setting: str, base_url: str, allowed: str, reachable: bool,
) -> None:  # fmt: skip
    settings.PUSH_NOTIFICATIONS = setting
    settings.PUBLIC_BASE_URL = base_url
    settings.OUTBOUND_ALLOWED_HOSTS = frozenset({allowed})
    assert renew(source) is reachable
    assert bool(provider.watched) is reachable
    if not reachable:
        assert 0.9 < in_days(source.next_watch_at) < 1.3
        assert not NotificationChannel.objects.exists()


def test_without_push_nothing_is_due(source: ExternalCalendar, settings: Any) -> None:
    settings.PUSH_NOTIFICATIONS = "off"
    assert channels.due(limit=10) == []


def test_a_provider_that_cannot_be_watched_is_polled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "get_provider", lambda _kind: ScriptedProvider())
    source = make_source()
    assert renew(source) is False
    assert source.next_watch_at is None


# Refusals and troubles


@pytest.mark.parametrize(
    ("error", "days"),
    [
        (WatchRefused(), (1, 1.1)),
        (CalendarForbidden(), (1, 1.1)),
        (ProviderUnavailable(), (0.01, 0.012)),
        (RateLimited(retry_after=7200), (1 / 12, 0.1)),
    ],
)
def test_a_refusal_means_polling_and_another_try_later(
    source: ExternalCalendar, provider: Watching, error: ProviderError, days: tuple[float, float]
) -> None:
    provider.before_watch = fail_with(error)
    assert renew(source) is False
    assert days[0] * 0.99 < in_days(source.next_watch_at) < days[1]
    assert living() == []
    source.connection.refresh_from_db()
    assert source.connection.is_active
    assert source.connection.last_error_code == ""
    # A refusal opened nothing; what broke off may have, and is stopped when it is heard of.
    broke_off = isinstance(error, ProviderUnavailable)
    assert NotificationChannel.objects.count() == broke_off
    provider.before_watch = lambda: None
    assert renew(source) is True


def test_tokens_that_cannot_be_read_open_nothing(
    source: ExternalCalendar, provider: Watching, caplog: pytest.LogCaptureFixture
) -> None:
    ConnectionCredential.objects.update(access_token="v1.lost.AAAA.AAAA")
    assert renew(source) is False
    assert provider.watched == []
    assert not NotificationChannel.objects.exists()
    assert "no channel was opened" in caplog.text


def test_without_a_channel_the_calendar_is_polled_as_before(
    source: ExternalCalendar, provider: Watching, settings: Any
) -> None:
    later = timezone.now() + timedelta(hours=1)
    ExternalCalendar.objects.filter(pk=source.pk).update(next_sync_at=later)
    provider.before_watch = fail_with(WatchRefused())
    renew(source)
    assert source.next_sync_at is not None
    soon = timedelta(seconds=settings.SYNC_INTERVAL_SECONDS * 1.26)
    assert source.next_sync_at < timezone.now() + soon


# Renewing


def test_the_new_one_works_before_the_old_one_is_stopped(
    source: ExternalCalendar, provider: Watching
) -> None:
    renew(source)
    [old] = living()
    age(0.65)
    at_watch: list[str] = []
    at_stop: list[str] = []
    provider.before_watch = lambda: at_watch.extend(living())
    provider.before_stop = lambda: at_stop.extend(living())
    # Nothing was missed: one of the two worked all the time.
    assert renew(source) is False
    [new] = living()
    assert new != old
    assert at_watch == [old]
    assert at_stop == [new]
    assert provider.stopped == [(old, "resource-1")]
    stopped = NotificationChannel.objects.get(pk=old)
    assert stopped.stopped_at is not None
    assert in_days(stopped.expires_at) <= 0


def test_one_that_is_young_is_kept(source: ExternalCalendar, provider: Watching) -> None:
    renew(source)
    age(0.55)
    assert renew(source) is False
    assert len(provider.watched) == 1
    assert 0 < in_days(source.next_watch_at) < 1.5


def test_a_failed_renewal_keeps_the_old_one(source: ExternalCalendar, provider: Watching) -> None:
    renew(source)
    old = living()
    age(0.65)
    provider.before_watch = fail_with(ProviderUnavailable())
    assert renew(source) is False
    assert living() == old
    assert provider.stopped == []
    assert in_days(source.next_watch_at) < 0.02


def test_one_that_ended_unrenewed_leaves_a_gap_to_be_synced(
    source: ExternalCalendar, provider: Watching
) -> None:
    renew(source)
    age(1.1)
    assert renew(source) is True
    assert provider.stopped == []  # it has ended by itself


def test_an_old_one_that_was_not_stopped_is_tried_again(
    source: ExternalCalendar, provider: Watching
) -> None:
    renew(source)
    age(0.65)
    provider.before_stop = fail_with(ProviderUnavailable())
    renew(source)
    assert len(living()) == 1
    assert in_days(source.next_watch_at) < 0.02
    provider.before_stop = lambda: None
    renew(source)
    assert len(provider.watched) == 2
    assert len(provider.stopped) == 1
    renew(source)
    assert len(provider.stopped) == 1


@pytest.mark.parametrize("life", [timedelta(days=-20_000), timedelta(0), timedelta(days=20_000)])
def test_lives_that_make_no_sense(
    source: ExternalCalendar, provider: Watching, life: timedelta
) -> None:
    provider.life = life
    renew(source)
    assert source.next_watch_at is not None
    pause = source.next_watch_at - timezone.now()
    assert timedelta(seconds=50) < pause < timedelta(days=31)
