"""Channels that their provider prolongs, and those that it does not any more."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from providers import channels, registry
from providers.base import Access, Http
from providers.errors import ProviderUnavailable
from providers.models import ExternalCalendar, NotificationChannel
from providers.watching import Channel
from tests.providers.sync_remote import make_source
from tests.providers.watching import Watching, age, fail_with, in_days, living, renew

pytestmark = pytest.mark.django_db


class Prolonging(Watching):
    """A provider whose channels live on, as long as it knows them."""

    def __init__(self) -> None:
        super().__init__()
        self.prolonged: list[tuple[str, str]] = []
        self.knows = True
        self.before_renew: Any = lambda: None

    def renew(
        self, http: Http, access: Access,
        *, channel_id: str, resource_id: str, ttl: timedelta,
    ) -> Channel | None:  # fmt: skip
        assert ttl == timedelta(days=7)
        self.before_renew()
        self.prolonged.append((channel_id, resource_id))
        return Channel(resource_id, timezone.now() + self.life) if self.knows else None


@pytest.fixture
def provider(watching: Watching, monkeypatch: pytest.MonkeyPatch) -> Prolonging:
    provider = Prolonging()
    monkeypatch.setattr(registry, "get_provider", lambda _kind: provider)
    return provider


@pytest.fixture
def source(provider: Prolonging) -> ExternalCalendar:
    source = make_source(next_watch_at=timezone.now())
    renew(source)
    return source


def test_a_channel_is_prolonged_instead_of_another_opened(
    source: ExternalCalendar, provider: Prolonging
) -> None:
    [before] = living()
    age(0.65)
    assert renew(source) is False
    row = NotificationChannel.objects.get()
    assert provider.prolonged == [(before, row.resource_id)]
    assert (str(row.pk), len(provider.watched), provider.stopped) == (before, 1, [])
    assert 6.99 < in_days(row.expires_at) <= 7
    assert 4.1 < in_days(source.next_watch_at) < 5.3


def test_a_channel_that_is_prolonged_for_ever_is_not_so_more_often(
    source: ExternalCalendar, provider: Prolonging, time_machine: Any
) -> None:
    for times in range(1, 8):
        source.refresh_from_db()
        assert source.next_watch_at is not None
        time_machine.move_to(source.next_watch_at + timedelta(seconds=1))
        channels.renew(source.pk)
        source.refresh_from_db()
        assert len(provider.prolonged) == times
        assert 4.1 < in_days(source.next_watch_at) < 5.3
    assert len(living()) == 1


def test_what_the_provider_does_not_know_any_more_is_opened_anew(
    source: ExternalCalendar, provider: Prolonging
) -> None:
    [before] = living()
    provider.knows = False
    age(0.65)
    renew(source)
    [after] = living()
    assert after != before
    assert len(provider.watched) == 2


def test_a_channel_about_to_end_is_prolonged_however_young_it_is(
    source: ExternalCalendar, provider: Prolonging
) -> None:
    NotificationChannel.objects.update(expires_at=timezone.now() + timedelta(minutes=15))
    renew(source)
    assert len(provider.prolonged) == 1
    row = NotificationChannel.objects.get()
    assert in_days(row.expires_at) > 6.9


def test_a_channel_that_was_stopped_meanwhile_is_not_taken_for_one(
    source: ExternalCalendar, provider: Prolonging
) -> None:
    [before] = living()
    provider.before_renew = lambda: NotificationChannel.objects.update(stopped_at=timezone.now())
    age(0.65)
    renew(source)
    assert before not in living()


def test_a_failure_leaves_the_channel_as_it_is(
    source: ExternalCalendar, provider: Prolonging
) -> None:
    before = living()
    age(0.65)
    provider.before_renew = fail_with(ProviderUnavailable("away"))
    assert renew(source) is False
    assert living() == before
    assert 0 < in_days(source.next_watch_at) < 0.02
