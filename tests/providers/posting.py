"""Channels, and what a provider posts on them, with the headers that Google sends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from providers import channels
from providers.models import ExternalCalendar, NotificationChannel

TOKEN = "canary-token"


def make_channel(source: ExternalCalendar, **fields: Any) -> NotificationChannel:
    values: dict[str, Any] = {
        "token_digest": channels.digest(TOKEN),
        "resource_id": "resource-1",
        "expires_at": timezone.now() + timedelta(days=6),
    }
    return NotificationChannel.objects.create(external_calendar=source, **(values | fields))


def message(
    channel: Any, number: object = 2, state: str = "exists", **changes: Any
) -> dict[str, Any]:
    """The headers as Google sends them; None leaves one out."""
    headers = {
        "User-Agent": "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)",
        "X-Goog-Channel-ID": str(channel.pk),
        "X-Goog-Channel-Token": TOKEN,
        "X-Goog-Channel-Expiration": "Tue, 19 Nov 2030 01:13:52 GMT",
        "X-Goog-Resource-ID": "resource-1",
        "X-Goog-Resource-State": state,
        "X-Goog-Message-Number": str(number),
    }
    changed = headers | {f"X-Goog-{name.replace('_', '-')}": text for name, text in changes.items()}
    return {name: text for name, text in changed.items() if text is not None}


def post(
    channel: Any, number: object = 2, state: str = "exists", *, client: Any = None, **changes: Any
) -> Any:
    path = f"/push/google/{channel.pk}"
    return (client or Client()).post(path, headers=message(channel, number, state, **changes))


def dirty(source: ExternalCalendar) -> int:
    source.refresh_from_db()
    return source.dirty


def settle(source: ExternalCalendar) -> None:
    """As after a sync that saw every wish."""
    source.refresh_from_db()
    ExternalCalendar.objects.filter(pk=source.pk).update(
        settled=source.dirty, queued_until=None, next_sync_at=timezone.now() + timedelta(hours=1)
    )
