"""What the contract of push is tested with: an account whose calendar is watched through the
product, which the provider's posts reach through a relay that keeps them.
"""

from __future__ import annotations

import uuid
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import cast

import urllib3
from django.test import Client
from django.utils import timezone

from providers import channels, sync
from providers.models import ExternalCalendar, NotificationChannel
from providers.watching import Channel, WatchesCalendars
from tests.providers.connecting import connection_of
from tests.providers.contract_world import HOUR, MONDAY, OAuth2World
from tests.sandbox.receiver import Answer, Received, Receiver
from tests.stack.product import until

_HOPS = frozenset({"host", "connection", "content-length", "accept-encoding"})


class PushWorld(OAuth2World):
    """An account whose calendar can be watched, and what its provider knows of that."""

    @property
    def watcher(self) -> WatchesCalendars:
        return cast("WatchesCalendars", self.provider)

    @abstractmethod
    def living(self) -> set[str]:
        """Our ids of the channels that the provider serves."""

    @abstractmethod
    def answers(self) -> list[list[int]]:
        """How each message was answered, each time that it was posted; empty: not yet."""

    @abstractmethod
    def forget(self) -> None:
        """The provider knows of no channel any more."""

    @abstractmethod
    def refuse_watching(self) -> None:
        """This calendar cannot be watched from now on."""

    @abstractmethod
    def limit(self) -> None:
        """The next channel is one more than there may be."""

    @abstractmethod
    def say_again(self, channel: NotificationChannel) -> None:
        """Post a message of a change on the channel, be it stopped or not."""

    @abstractmethod
    def forge(self, message: Received, what: str) -> Received:
        """The message with a wrong `token`, `resource`; `no token`, or `damaged`."""

    def renumber(self, message: Received) -> Received:
        """The same as a message that has not come yet."""
        return message

    def challenges(self) -> None:
        """Nothing, where the provider makes sure of an address by asking there."""

    def begins_aloud(self) -> None:
        """Nothing, where the first message of a channel says that it works."""

    def lifecycle(self, channel: NotificationChannel, event: str) -> None:
        """Post a message about the channel itself: it is `ending`, `removed`, or has `missed`."""
        raise NotImplementedError


class Watched:
    """The account's calendar, connected and synced in the product, and not watched yet."""

    def __init__(self, world: PushWorld, *, relay: Receiver, hints: list[object]) -> None:
        self.world = world
        self.relay = relay
        self._hints = hints
        self.kind = world.provider.kind
        connected = world.connect()
        self._access = connected.access
        self.connection = connection_of(connected)
        self.source = ExternalCalendar.objects.create(
            connection=self.connection, external_id=world.calendar_id, next_sync_at=timezone.now()
        )
        self.sync()

    @property
    def channel(self) -> NotificationChannel:
        """The one that works."""
        return NotificationChannel.objects.get(stopped_at=None)

    def renew(self, *, aged: bool = False) -> bool:
        """Look after the channel, whether that is due or not; `aged`: as if its time had come."""
        if aged:
            now = timezone.now()
            NotificationChannel.objects.update(
                created_at=now - 0.8 * channels.TTL, expires_at=now + 0.2 * channels.TTL
            )
        ExternalCalendar.objects.filter(pk=self.source.pk).update(next_watch_at=timezone.now())
        opened = channels.renew(self.source.pk)
        self.source.refresh_from_db()
        return opened

    def open(self) -> NotificationChannel:
        """A channel that works, and has said all that it says by itself."""
        assert self.renew() is True
        self.settle()
        return self.channel

    def settle(self) -> None:
        """Wait until everything has come, and let no sync be asked for."""
        until(lambda: all(self.world.answers()), "all messages have been answered")
        self.source.refresh_from_db()
        ExternalCalendar.objects.filter(pk=self.source.pk).update(
            settled=self.source.dirty, queued_until=None
        )
        self._hints.clear()

    def wishes(self) -> int:
        """How often a sync was asked for since the last one."""
        self.source.refresh_from_db()
        return int(self.source.dirty - self.source.settled)

    def told(self) -> int:
        """How many syncs that was worth, once the provider has had its say."""
        until(self.wishes, "a sync has been asked for")
        until(lambda: all(self.world.answers()), "all messages have been answered")
        return len(self._hints)

    def sync(self) -> set[str]:
        """The titles that there are then."""
        self.source.refresh_from_db()
        assert sync.run(self.source.pk) is not None
        self._hints.clear()
        self.source.refresh_from_db()
        return set(self.source.events.values_list("title", flat=True))

    def sync_when_due(self) -> set[str]:
        """The same, when nobody has asked for it."""
        ExternalCalendar.objects.filter(pk=self.source.pk).update(next_sync_at=timezone.now())
        return self.sync()

    def post(self, message: Received, *, channel_id: uuid.UUID | None = None) -> int:
        """Post it to the product once more, perhaps at another channel's address; its answer."""
        path = message.path if channel_id is None else f"/push/{self.kind}/{channel_id}"
        headers = dict(message.headers)
        kind = headers.pop("content-type", "")
        # Of the connection that it came on.
        given = {name: text for name, text in headers.items() if name not in _HOPS}
        response = Client().post(path, message.body, content_type=kind, headers=given)
        return int(response.status_code)

    def message(self) -> Received:
        """A genuine message of a change, which has been seen."""
        self.open()
        before = len(self.relay.received)
        self.world.add("Lunch", MONDAY, MONDAY + HOUR)
        message = self.relay.wait_for(before + 1)[-1]
        self.told()
        self.settle()
        return message

    def ask_to_watch(self) -> Channel:
        """Past the product, as it asks."""
        channel_id = str(uuid.uuid4())
        return self.world.watcher.watch(
            self.world.http,
            self._access,
            self.source.external_id,
            channel_id=channel_id,
            channel_token="token",
            address=f"{self.relay.root}/push/{self.kind}/{channel_id}",
            ttl=channels.TTL,
        )

    def ask_to_stop(self, channel: NotificationChannel) -> None:
        """Past the product, as it asks."""
        given = {"channel_id": str(channel.pk), "resource_id": channel.resource_id}
        self.world.watcher.stop(self.world.http, self._access, **given)

    def check_it_is_connected(self) -> None:
        self.connection.refresh_from_db()
        assert (self.connection.status, self.connection.last_error_code) == ("active", "")

    def check_it_is_polled(self, *, again_in: timedelta) -> None:
        """There is no channel, the connection is none the worse, and another is tried later."""
        assert not NotificationChannel.objects.exists()
        self.check_it_is_connected()
        assert self.source.next_watch_at is not None
        wait = self.source.next_watch_at - timezone.now()
        assert again_in * 0.9 < wait < again_in * 1.2
        self.world.add("Polled", MONDAY, MONDAY + HOUR)
        assert "Polled" in self.sync_when_due()


def relay_to(product: str) -> Callable[[Received], Answer]:
    """How a Receiver answers that stands in front of the product."""
    pool = urllib3.PoolManager(retries=False, timeout=30)

    def hand_on(got: Received) -> Answer:
        headers = {name: text for name, text in got.headers.items() if name not in _HOPS}
        # A connection that is kept would keep one to the database.
        headers |= {"connection": "close"}
        answer = pool.request("POST", f"{product}{got.path}", body=got.body, headers=headers)
        return answer.status, answer.headers.get("Content-Type", ""), answer.data

    return hand_on


def with_headers(message: Received, **changes: str | None) -> Received:
    """The message with other headers, by names with `_`; None leaves one out."""
    changed = message.headers | {name.replace("_", "-"): text for name, text in changes.items()}
    kept = {name: text for name, text in changed.items() if text is not None}
    return replace(message, headers=kept)
