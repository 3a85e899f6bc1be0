"""Where providers post that a calendar changed. What has changed they do not say, or it is not
read: the sync that follows asks the provider.

Whoever cannot prove to be the provider learns nothing: an unknown channel, a wrong token and a
channel that has ended get the same answer, which the provider does not repeat. 503 it does:
https://developers.google.com/workspace/calendar/api/guides/push and
https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
"""

from __future__ import annotations

import hmac
import logging
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import Error as DatabaseFailure
from django.db import transaction
from django.db.models import F, UUIDField
from django.http import HttpRequest, HttpResponse, UnreadablePostError
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
    """204 for a notification, also for one that came before; 404 for all that is none, or what the
    provider wants instead (`WatchesCalendars.answers`). A provider that makes sure of the address
    gets what it wants to read.
    """
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal() or int(length[:20]) > MAX_BODY_BYTES:
        return _answer(413)
    provider = _watching(kind)
    if provider is None:
        return _answer(404)
    if challenge := provider.read_challenge(request.GET):
        return _repeat(challenge)
    taken, otherwise = provider.answers
    try:
        given = provider.read_notifications(request.headers, request.body)
        known = bool(given) and _take(given, kind, channel_id)
    except UnreadablePostError:
        return _answer(400)
    except DatabaseFailure as error:
        logger.warning("a notification is left to be repeated: %s", type(error).__name__)
        response = _answer(503)
        response["Retry-After"] = "10"
        return response
    return _answer(taken if known else otherwise)


def _watching(kind: str) -> WatchesCalendars | None:
    try:
        provider = registry.get_provider(kind)
    except registry.UnknownKind:
        return None
    return provider if isinstance(provider, WatchesCalendars) else None


def _take(given: Sequence[Notification], kind: str, channel_id: uuid.UUID) -> bool:
    """Have the calendar synced if one of the notifications is genuine and new; returns whether one
    is genuine.
    """
    channel, genuine = _recognise(given, kind=kind, channel_id=channel_id)
    if channel is None:
        return False
    fresh = [one for one in genuine if _is_new(one, channel)]
    if not fresh:
        return True
    with transaction.atomic():
        # The external calendar before the channel: whoever disconnects locks in this order.
        if not all(one.opens for one in fresh) and not _is_asked_for(channel):
            tasks.request_sync([channel.external_calendar_id])
        if any(one.ails for one in fresh):
            _have_renewed(channel)
        if not _note(channel, max(fresh, key=lambda one: one.number or 0)):
            transaction.set_rollback(True)
    return True


def _recognise(
    given: Sequence[Notification], *, kind: str, channel_id: uuid.UUID
) -> tuple[NotificationChannel | None, list[Notification]]:
    """The living channel that notifications prove to come from, and those that do; None if there is
    none.

    One query, and for everybody without the token the same work: each token is compared.
    """
    channel = next(iter(_by_id(pk=channel_id)), None)
    expected = channel.token_digest if channel else _nobodys
    genuine = [one for one in given if hmac.compare_digest(channels.digest(one.token), expected)]
    if channel is None or kind != channel.kind:  # type: ignore[attr-defined]  # annotated
        return None, []
    genuine = [
        one
        for one in genuine
        if one.channel_id in {"", str(channel_id)}
        and one.resource_id == (channel.resource_id or one.resource_id)
    ]
    if not genuine:
        return None, []
    if channel.stopped_at is not None:
        if not channel.resource_id:
            _have_stopped(channel, genuine[0].resource_id)
        return None, []
    if channel.expires_at is not None and channel.expires_at <= timezone.now():
        return None, []
    return channel, genuine


def _is_new(notification: Notification, channel: NotificationChannel) -> bool:
    return notification.number is None or notification.number > channel.last_message_number


def _is_asked_for(channel: NotificationChannel) -> bool:
    """Whether a sync that has not begun is on its way anyway: it will see this change, too.

    A run takes `queued_until` away when it begins, and whoever asks sets it.
    """
    queued_until: datetime | None = channel.queued_until  # type: ignore[attr-defined]  # annotated
    pending: bool = channel.dirty > channel.settled  # type: ignore[attr-defined]
    return pending and queued_until is not None and queued_until > timezone.now()


def _note(channel: NotificationChannel, notification: Notification) -> bool:
    """Keep that the message came; False if it, or a later one, was there before, or the channel
    has been stopped since. Of several at once one gets True, if they are numbered."""
    living = NotificationChannel.objects.filter(pk=channel.pk, stopped_at__isnull=True)
    kept: dict[str, Any] = {
        "last_notified_at": timezone.now(),
        "resource_id": notification.resource_id,
    }
    if notification.number is not None:
        living = living.filter(last_message_number__lt=notification.number)
        kept["last_message_number"] = notification.number
    return bool(living.update(**kept))


def _have_renewed(channel: NotificationChannel) -> None:
    """The channel will not last: have it looked after now."""
    now = timezone.now()
    ExternalCalendar.objects.filter(
        pk=channel.external_calendar_id, next_watch_at__isnull=False
    ).update(next_watch_at=now)
    soon = now + channels.LAST_MINUTES / 2
    NotificationChannel.objects.filter(pk=channel.pk, expires_at__gt=soon).update(expires_at=soon)


def _have_stopped(channel: NotificationChannel, resource_id: str) -> None:
    """A stray has told what stopping it takes: have that done."""
    with transaction.atomic():
        ExternalCalendar.objects.filter(
            pk=channel.external_calendar_id, next_watch_at__isnull=False
        ).update(next_watch_at=timezone.now())
        NotificationChannel.objects.filter(pk=channel.pk, resource_id="").update(
            resource_id=resource_id
        )


def _repeat(challenge: str) -> HttpResponse:
    """What a provider makes sure of the address with, back to it: as text, whatever it is."""
    response = HttpResponse(challenge, content_type="text/plain; charset=utf-8")
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'"
    return response


def _answer(status: int) -> HttpResponse:
    return HttpResponse(status=status, content_type="text/plain")
