"""Where providers post that a calendar changed. The message itself is all: nothing of it is read
but its headers, and the sync that follows asks the provider.

Whoever cannot prove to be the provider learns nothing: an unknown channel, a wrong token and a
channel that has ended get the same 404, which Google does not repeat. 503 it does:
https://developers.google.com/workspace/calendar/api/guides/push
"""

from __future__ import annotations

import hmac
import logging
import uuid
from datetime import datetime

from django.db import Error as DatabaseFailure
from django.db import transaction
from django.db.models import F, UUIDField
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from providers import channels, registry, tasks
from providers.models import ExternalCalendar, NotificationChannel
from providers.watching import Notification, WatchesCalendars
from talkover.statements import Select, parameter

logger = logging.getLogger(__name__)

# Google posts no body at all; others' are small.
MAX_BODY_BYTES = 65_536
_nobodys = channels.digest("")
_by_id = Select(
    lambda: (
        NotificationChannel.objects.filter(pk=parameter("pk", UUIDField()))
        .annotate(
            kind=F("external_calendar__connection__configuration__kind"),
            dirty=F("external_calendar__dirty"),
            settled=F("external_calendar__settled"),
            queued_until=F("external_calendar__queued_until"),
        )
        .order_by()
    )
)


@csrf_exempt
@cache_control(no_store=True)
@require_POST
def receive(request: HttpRequest, kind: str, channel_id: uuid.UUID) -> HttpResponse:
    """204 for a notification, also for one that came before; 404 for all that is none."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal() or int(length[:20]) > MAX_BODY_BYTES:
        return _answer(413)
    try:
        known = _take(request, kind, channel_id)
    except DatabaseFailure as error:
        logger.warning("a notification is left to be repeated: %s", type(error).__name__)
        response = _answer(503)
        response["Retry-After"] = "10"
        return response
    return _answer(204 if known else 404)


def _take(request: HttpRequest, kind: str, channel_id: uuid.UUID) -> bool:
    """Have the calendar synced if the notification is genuine and new; returns whether genuine."""
    try:
        provider = registry.get_provider(kind)
    except registry.UnknownKind:
        return False
    if not isinstance(provider, WatchesCalendars):
        return False
    notification = provider.read_notification(request.headers)
    if notification is None:
        return False
    channel = _recognise(kind=kind, channel_id=channel_id, notification=notification)
    if channel is None:
        return False
    if notification.number <= channel.last_message_number:
        return True
    with transaction.atomic():
        # The external calendar before the channel: whoever disconnects locks in this order.
        if not notification.opens and not _is_asked_for(channel):
            tasks.request_sync([channel.external_calendar_id])
        if not _note(channel, notification):
            transaction.set_rollback(True)
    return True


def _recognise(
    *, kind: str, channel_id: uuid.UUID, notification: Notification
) -> NotificationChannel | None:
    """The living channel that this notification proves to come from; None if there is none.

    One query, and for everybody without the token the same work.
    """
    channel = next(iter(_by_id(pk=channel_id)), None)
    expected = channel.token_digest if channel else _nobodys
    genuine = hmac.compare_digest(channels.digest(notification.token), expected)
    if (
        channel is None
        or not genuine
        or kind != channel.kind  # type: ignore[attr-defined]  # annotated
        or notification.channel_id != str(channel_id)
        or notification.resource_id != (channel.resource_id or notification.resource_id)
    ):
        return None
    if channel.stopped_at is not None:
        if not channel.resource_id:
            _have_stopped(channel, notification.resource_id)
        return None
    if channel.expires_at is not None and channel.expires_at <= timezone.now():
        return None
    return channel


def _is_asked_for(channel: NotificationChannel) -> bool:
    """Whether a sync that has not begun is on its way anyway: it will see this change, too.

    A run takes `queued_until` away when it begins, and whoever asks sets it.
    """
    queued_until: datetime | None = channel.queued_until  # type: ignore[attr-defined]  # annotated
    pending: bool = channel.dirty > channel.settled  # type: ignore[attr-defined]
    return pending and queued_until is not None and queued_until > timezone.now()


def _note(channel: NotificationChannel, notification: Notification) -> bool:
    """Keep that the message came; False if it, or a later one, was there before, or the channel
    has been stopped since. Of several at once one gets True."""
    return bool(
        NotificationChannel.objects.filter(
            pk=channel.pk, stopped_at__isnull=True, last_message_number__lt=notification.number
        ).update(
            last_message_number=notification.number,
            last_notified_at=timezone.now(),
            resource_id=notification.resource_id,
        )
    )


def _have_stopped(channel: NotificationChannel, resource_id: str) -> None:
    """A stray has told what stopping it takes: have that done."""
    with transaction.atomic():
        ExternalCalendar.objects.filter(
            pk=channel.external_calendar_id, next_watch_at__isnull=False
        ).update(next_watch_at=timezone.now())
        NotificationChannel.objects.filter(pk=channel.pk, resource_id="").update(
            resource_id=resource_id
        )


def _answer(status: int) -> HttpResponse:
    return HttpResponse(status=status, content_type="text/plain")
