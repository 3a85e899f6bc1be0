"""Notification channels: a provider tells that a calendar changed, instead of being asked.

`renew` brings one external calendar to what is wanted: one channel that works and is far from its
end, and all others stopped. It is called when `next_watch_at` has come, and may be called twice,
late, or die half-way. What comes in is `providers.push`'s. Notifications get lost in normal
operation, so polling goes on beside them (`providers.scheduler.next_regular`).

A channel's row: `expires_at` is empty until the provider has said it, and `stopped_at` says that
nothing is taken from it any more. Stopped and not expired means: still to be stopped upstream.
"""

from __future__ import annotations

import hashlib
import logging
import random
import secrets
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar
from urllib.parse import urlsplit

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from providers import scheduler
from providers.access import accesses_of
from providers.base import Access
from providers.errors import AccessTokenRejected, ProviderError, ProviderUnavailable
from providers.models import (
    ExternalCalendar,
    NotificationChannel,
    ProviderConfiguration,
    ProviderConnection,
)
from providers.outbound import http_client
from providers.watching import Channel, WatchesCalendars
from talkover.encryption import UnsealError
from talkover.environments.redirects import LOOPBACK_HOSTS

logger = logging.getLogger(__name__)

T = TypeVar("T")

# What Google gives by itself; the answer counts.
TTL = timedelta(days=7)
LONGEST_LIFE = timedelta(days=31)
# A channel is renewed at a point by chance in this part of its life: early enough for some days of
# trouble, and those that were opened together are not renewed together.
RENEWED_AT = (0.6, 0.75)
SHORTEST_PAUSE = timedelta(minutes=1)
RETRY = timedelta(minutes=15)
RETRY_REFUSED = timedelta(days=1)
# One that has less left is renewed, however long it was meant to live: its provider may have said
# that it will end.
LAST_MINUTES = timedelta(minutes=30)
# How long one renewal may take before another process begins anew.
CLAIM = timedelta(minutes=5)
MOST_STOPS = 5
KEEP_ENDED_FOR = timedelta(days=7)

Channels = NotificationChannel.objects


def due(*, limit: int) -> list[uuid.UUID]:
    """External calendars whose channel is to be opened, renewed or tried again; up to `limit`."""
    if settings.PUSH_NOTIFICATIONS == "off":
        return []
    return list(_due(timezone.now()).order_by("next_watch_at").values_list("pk", flat=True)[:limit])


def renew(external_calendar_id: uuid.UUID | str) -> bool:
    """Open or renew the external calendar's channel if that is due, and stop its others.

    Returns whether a channel was opened where none had worked: what changed just before, nobody
    has told. Failures of the provider end in when it is tried again.
    """
    source = _claim(external_calendar_id)
    if source is None:
        return False
    provider = source.connection.configuration.provider
    if not isinstance(provider, WatchesCalendars):
        _plan(source, None)
        return False
    if not source.is_selected:
        _Renewal(source, provider).end()
        return False
    if not can_be_reached(source.connection.configuration):
        _plan(source, timezone.now() + RETRY_REFUSED)
        return False
    return _Renewal(source, provider).run()


def can_be_reached(configuration: ProviderConfiguration) -> bool:
    """Whether the configuration's provider can post to PUBLIC_BASE_URL.

    Providers want https and an address of the internet. One that the operator has let in by name
    (OUTBOUND_ALLOWED_HOSTS) is near, such as the sandbox, and is asked anyway.
    """
    if settings.PUSH_NOTIFICATIONS != "auto":
        return bool(settings.PUSH_NOTIFICATIONS == "on")
    own = urlsplit(settings.PUBLIC_BASE_URL)
    if own.scheme == "https" and own.hostname not in LOOPBACK_HOSTS:
        return True
    api = urlsplit(configuration.endpoints().api_root)
    port = api.port or (443 if api.scheme == "https" else 80)
    return f"{api.hostname}:{port}" in settings.OUTBOUND_ALLOWED_HOSTS


def address_of(channel: NotificationChannel, kind: str) -> str:
    """Where the provider posts: built from PUBLIC_BASE_URL, and without a secret."""
    return f"{settings.PUBLIC_BASE_URL}/push/{kind}/{channel.pk}"


def forget_old() -> int:
    """Delete a batch of channels that ended some time ago; returns how many."""
    now = timezone.now()
    ended = Q(expires_at__lt=now - KEEP_ENDED_FOR) | Q(
        expires_at__isnull=True, created_at__lt=now - LONGEST_LIFE
    )
    ids = list(Channels.filter(ended).order_by().values_list("pk", flat=True)[:1000])
    return Channels.filter(pk__in=ids).delete()[0] if ids else 0


class _Renewal:
    """One renewal of one external calendar, which the caller has claimed."""

    def __init__(self, source: ExternalCalendar, provider: WatchesCalendars) -> None:
        self._source = source
        self._provider = provider
        self._http = http_client()
        self._accesses = accesses_of(http=self._http, connection=source.connection)

    def run(self) -> bool:
        now = timezone.now()
        working = _working(self._source, now)
        current = working.order_by("-created_at").first()
        had_none = current is None
        try:
            if current is None:
                current = self._open()
            elif _is_due(current, now):
                current = self._prolong(current) or self._open()
        except (ProviderError, UnsealError) as error:
            self._note_failure(error, "no channel was opened")
            _poll_again(self._source)
            return False
        if current is None:
            return False
        try:
            self._stop_older_than(current)
        except (ProviderError, UnsealError) as error:
            self._note_failure(error, "an old channel was not stopped")
        else:
            at = random.uniform(*RENEWED_AT)  # noqa: S311  spreads load
            _plan(self._source, max(_renewal_of(current, at), now + SHORTEST_PAUSE))
        return had_none

    def end(self) -> None:
        """Stop all channels of a calendar that is not selected any more."""
        channels = Channels.filter(external_calendar=self._source)
        try:
            left = self._stop_all(channels)
        except (ProviderError, UnsealError) as error:
            self._note_failure(error, "a channel was not stopped")
        else:
            _plan(self._source, timezone.now() + SHORTEST_PAUSE if left else None)

    def _open(self) -> NotificationChannel | None:
        """A new channel that works; None if the connection was ended meanwhile.

        Its row is there before the provider is asked: the first message may come before the answer.
        """
        token = secrets.token_urlsafe(32)
        self._accesses.current()  # what fails here has opened nothing
        channel = Channels.create(external_calendar=self._source, token_digest=digest(token))
        try:
            opened = self._call(partial(self._watch, channel, token))
        except ProviderUnavailable:
            # It may be open nevertheless. Its first message tells the resource, then it is stopped.
            Channels.filter(pk=channel.pk).update(stopped_at=timezone.now())
            raise
        except (ProviderError, UnsealError):
            channel.delete()
            raise
        channel.resource_id = opened.resource_id
        channel.expires_at = min(opened.expires_at, timezone.now() + LONGEST_LIFE)
        kept = Channels.filter(
            pk=channel.pk, stopped_at__isnull=True, external_calendar__is_selected=True
        ).update(resource_id=channel.resource_id, expires_at=channel.expires_at)
        if kept:
            return channel
        self._stop_abandoned(channel)
        return None

    def _prolong(self, channel: NotificationChannel) -> NotificationChannel | None:
        """The same channel with a longer life; None if another one is needed."""
        prolonged = self._call(partial(self._renew, channel))
        if prolonged is None:
            return None
        now = timezone.now()
        channel.prolonged_at = now
        channel.expires_at = min(prolonged.expires_at, now + LONGEST_LIFE)
        kept = Channels.filter(pk=channel.pk, stopped_at__isnull=True).update(
            prolonged_at=now, expires_at=channel.expires_at
        )
        return channel if kept else None

    def _renew(self, channel: NotificationChannel, access: Access) -> Channel | None:
        return self._provider.renew(
            self._http,
            access,
            channel_id=str(channel.pk),
            resource_id=channel.resource_id,
            ttl=TTL,
        )

    def _watch(self, channel: NotificationChannel, token: str, access: Access) -> Channel:
        return self._provider.watch(
            self._http,
            access,
            self._source.external_id,
            channel_id=str(channel.pk),
            channel_token=token,
            address=address_of(channel, self._source.connection.configuration.kind),
            ttl=TTL,
        )

    def _stop(self, channel: NotificationChannel, access: Access) -> None:
        self._provider.stop(
            self._http,
            access,
            channel_id=str(channel.pk),
            resource_id=channel.resource_id,
        )

    def _stop_older_than(self, current: NotificationChannel) -> None:
        """Take nothing more from older channels, and end them upstream.

        Raises the last failure; what is left is found next time.
        """
        older = Channels.filter(external_calendar=self._source, created_at__lt=current.created_at)
        self._stop_all(older.exclude(pk=current.pk))

    def _stop_all(self, channels: QuerySet[NotificationChannel]) -> bool:
        """Take nothing more from these channels, and end some upstream; whether there are more.

        Raises the last failure.
        """
        now = timezone.now()
        channels.filter(stopped_at__isnull=True).update(stopped_at=now)
        problem: ProviderError | UnsealError | None = None
        living = list(channels.exclude(resource_id="").filter(_not_expired(now))[: MOST_STOPS + 1])
        for channel in living[:MOST_STOPS]:
            try:
                self._call(partial(self._stop, channel))
            except (ProviderError, UnsealError) as error:
                problem = error
            else:
                Channels.filter(pk=channel.pk).update(expires_at=timezone.now())
        if problem:
            raise problem
        return len(living) > MOST_STOPS

    def _stop_abandoned(self, channel: NotificationChannel) -> None:
        """The connection was ended while the provider opened the channel: nobody else knows it."""
        try:
            self._stop(channel, self._access)
        except (ProviderError, UnsealError) as error:
            logger.warning("channel %s was not stopped, it will run out: %s", channel.pk, error)

    def _call(self, call: Callable[[Access], T]) -> T:
        """`call` with an access, once more with another if the first is refused."""
        self._access = self._accesses.current()
        try:
            return call(self._access)
        except AccessTokenRejected:
            self._access = self._accesses.renew(self._access)
            return call(self._access)

    def _note_failure(self, error: ProviderError | UnsealError, what: str) -> None:
        wait = RETRY
        if isinstance(error, ProviderError):
            refused = RETRY_REFUSED if error.permanent else RETRY
            wait = scheduler.silence(error.retry_after, otherwise=refused)
        _plan(self._source, timezone.now() + wait)
        logger.warning("external calendar %s: %s: %s", self._source.pk, what, error)


def _due(now: datetime) -> QuerySet[ExternalCalendar]:
    return ExternalCalendar.objects.filter(
        next_watch_at__lte=now,
        connection__status=ProviderConnection.Status.ACTIVE,
        connection__configuration__is_active=True,
        connection__configuration__paused_at__isnull=True,
    )


def _claim(external_calendar_id: uuid.UUID | str) -> ExternalCalendar | None:
    """The external calendar if its time has come; of several processes, for one. It comes again
    when that one does not end."""
    now = timezone.now()
    mine = _due(now).filter(pk=external_calendar_id)
    source = mine.select_related("connection__configuration").first()
    if source is None:
        return None
    claimed = ExternalCalendar.objects.filter(pk=source.pk, next_watch_at=source.next_watch_at)
    source.next_watch_at = now + CLAIM
    return source if claimed.update(next_watch_at=source.next_watch_at) else None


def _plan(source: ExternalCalendar, when: datetime | None) -> None:
    """Say when to look again, unless somebody else has said so since the claim."""
    ExternalCalendar.objects.filter(pk=source.pk, next_watch_at=source.next_watch_at).update(
        next_watch_at=when
    )


def _poll_again(source: ExternalCalendar) -> None:
    """Without a channel the next sync must not wait as long as with one."""
    now = timezone.now()
    if not _working(source, now).exists():
        soon = scheduler.next_regular(now, changed_at=source.changed_at)
        ExternalCalendar.objects.filter(pk=source.pk, next_sync_at__gt=soon).exclude(
            blocked_until__gt=now
        ).update(next_sync_at=soon)


def _not_expired(now: datetime) -> Q:
    return Q(expires_at__isnull=True) | Q(expires_at__gt=now)


def _working(source: ExternalCalendar, now: datetime) -> QuerySet[NotificationChannel]:
    return Channels.filter(external_calendar=source, stopped_at__isnull=True, expires_at__gt=now)


def _is_due(channel: NotificationChannel, now: datetime) -> bool:
    left = (channel.expires_at or now) - now
    return left < LAST_MINUTES or now >= _renewal_of(channel, RENEWED_AT[0])


def _renewal_of(channel: NotificationChannel, part: float) -> datetime:
    """When so much of the channel's life, since it was last prolonged, is over."""
    begin = channel.prolonged_at or channel.created_at
    return begin + ((channel.expires_at or begin) - begin) * part


def digest(token: str) -> str:
    """What is kept of a token: 256 random bits need no salt."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
