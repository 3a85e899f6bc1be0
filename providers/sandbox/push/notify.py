"""What a channel is told: a `sync` message at its beginning, `exists` after each change."""

import threading
from collections.abc import Callable
from email.utils import formatdate
from functools import partial
from urllib.parse import quote

from django.conf import settings
from django.db import transaction
from django.db.models import F

from providers.sandbox import switches
from providers.sandbox.google import times
from providers.sandbox.models import Calendar, Channel, Notification
from providers.sandbox.push.post import Message, send

STATES = ("sync", "exists", "not_exists")
_STEP = 3  # message numbers grow, and are not consecutive
_SYNC_SECONDS = 10
_AGENT = "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)"


def resource_uri(calendar: Calendar) -> str:
    """What is watched: the listing of the calendar's events."""
    path = quote(calendar.google_id, safe="")
    return f"{settings.SANDBOX.public_url}/calendar/v3/calendars/{path}/events?alt=json"


def begin(channel: Channel) -> None:
    """Send `sync`; with the switch `push_sync_first` wait until it has been answered."""
    done = threading.Event()
    notify(channel, "sync", done.set)
    now = switches.current()
    if now.push_sync_first and now.push_times:
        done.wait(_SYNC_SECONDS)


def calendar_changed(calendar_pk: int) -> None:
    """Tell all live channels of the calendar, once for each committed change.

    A transaction may take several change numbers; the first call after it tells the last of them.
    Changes at the same moment may share a message.
    """
    live = Channel.objects.select_related("calendar").filter(
        calendar_id=calendar_pk, stopped=False, expiration_ms__gt=times.now_ms()
    )
    for channel in live:
        with transaction.atomic():
            seq = Calendar.objects.values_list("last_seq", flat=True).get(pk=calendar_pk)
            news = Channel.objects.filter(pk=channel.pk, told_seq__lt=seq)
            if news.update(told_seq=seq):
                notify(channel, "exists")


def notify(channel: Channel, state: str, answered: Callable[[], None] | None = None) -> None:
    """Send one message as the switches say: so often, so late. `answered` is called after each."""
    now = switches.current()
    with transaction.atomic():
        Channel.objects.filter(pk=channel.pk).update(last_number=F("last_number") + _STEP)
        channel.refresh_from_db(fields=["last_number"])
        made = Notification.objects.create(
            channel=channel, number=channel.last_number - _STEP + 1, state=state
        )
        message = Message(
            address=channel.address,
            headers=_headers(channel, made),
            answered=partial(_record, made.pk, answered),
            pause=now.push_pause_milliseconds / 1000,
        )
        for _ in range(now.push_times):
            late = now.push_late_milliseconds / 1000
            transaction.on_commit(partial(send, message, in_seconds=late))


def _record(notification_pk: int, answered: Callable[[], None] | None, status: int) -> bool:
    with transaction.atomic():
        made = Notification.objects.filter(pk=notification_pk).first()
        if made is not None:
            made.statuses.append(status)
            made.save(update_fields=["statuses"])
    if answered is not None:
        answered()
    return made is not None


def _headers(channel: Channel, made: Notification) -> dict[str, str]:
    headers = {
        "User-Agent": _AGENT,
        "Accept": "*/*",
        "X-Goog-Channel-ID": channel.channel_id,
        "X-Goog-Channel-Expiration": formatdate(channel.expiration_ms / 1000, usegmt=True),
        "X-Goog-Message-Number": str(made.number),
        "X-Goog-Resource-ID": channel.calendar.resource_id,
        "X-Goog-Resource-State": made.state,
        "X-Goog-Resource-URI": resource_uri(channel.calendar),
    }
    if channel.token:
        headers["X-Goog-Channel-Token"] = channel.token
    return headers
