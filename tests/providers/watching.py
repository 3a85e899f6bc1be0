"""A provider in memory that is watched, and the channels of its calendar."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from providers import channels
from providers.base import Access, Http
from providers.errors import ProviderError
from providers.models import ExternalCalendar, NotificationChannel
from providers.watching import Channel, Notification, WatchesCalendars
from tests.providers.sync_remote import ScriptedProvider


@dataclass
class Watched:
    """What the provider was asked to watch."""

    channel_id: str
    token: str
    address: str
    calendar_id: str
    access_token: str


@dataclass
class Watching(ScriptedProvider, WatchesCalendars):
    """A provider in memory that is watched. `before_watch` and `before_stop` may raise."""

    watched: list[Watched] = field(default_factory=list)
    stopped: list[tuple[str, str]] = field(default_factory=list)
    life: timedelta = timedelta(days=7)
    before_watch: Callable[[], object] = lambda: None
    before_stop: Callable[[], object] = lambda: None

    def __post_init__(self) -> None:
        super().__init__()

    def watch(
        self, http: Http, access: Access, calendar_id: str,
        *, channel_id: str, channel_token: str, address: str, ttl: timedelta,
    ) -> Channel:  # fmt: skip
        assert ttl == timedelta(days=7)
        self.watched.append(Watched(channel_id, channel_token, address, calendar_id, access.secret))
        self.before_watch()
        return Channel(f"resource-{len(self.watched)}", timezone.now() + self.life)

    def stop(
        self, http: Http, access: Access,
        *, channel_id: str, resource_id: str,
    ) -> None:  # fmt: skip
        self.before_stop()
        self.stopped.append((channel_id, resource_id))

    def read_notifications(self, headers: Any, body: bytes) -> list[Notification]:
        raise NotImplementedError


def renew(source: ExternalCalendar) -> bool:
    """Whether it is due or not."""
    ExternalCalendar.objects.filter(pk=source.pk).update(next_watch_at=timezone.now())
    opened = channels.renew(source.pk)
    source.refresh_from_db()
    return opened


def living() -> list[str]:
    rows = NotificationChannel.objects.filter(stopped_at=None, expires_at__gt=timezone.now())
    return [str(row.pk) for row in rows]


def in_days(moment: datetime | None) -> float:
    assert moment is not None
    return (moment - timezone.now()) / timedelta(days=1)


def age(part: float) -> None:
    """So much of every channel's life is over."""
    for row in NotificationChannel.objects.all():
        now = timezone.now()
        row.created_at = now - timedelta(days=7 * part)
        row.expires_at = now + timedelta(days=7 * (1 - part))
        row.save()


def fail_with(error: ProviderError) -> Callable[[], object]:
    def fail() -> None:
        raise error

    return fail
