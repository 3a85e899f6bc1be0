"""What every provider must do that tells when a calendar has changed, through the product and
against a real server of its protocol.

A test module subclasses `PushWorld` of `contract_push_world` for its server and `PushContract` as a
test class with a fixture `world`. Every test gets a world with an account of its own.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from providers import channels, tasks
from providers.base import Capability
from providers.errors import (
    AccessTokenRejected,
    CalendarNotFound,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    WatchRefused,
)
from providers.models import ConnectionCredential, ExternalCalendar, NotificationChannel
from providers.watching import WatchesCalendars
from tests.providers.contract_push_world import PushWorld, Watched, relay_to
from tests.providers.contract_world import HOUR, MONDAY
from tests.sandbox.process import SandboxProcess
from tests.sandbox.receiver import Received, Receiver
from tests.stack.product import until

# Shorter than what any provider gives by itself, and than what we ask for.
SHORT = timedelta(minutes=4_230)


class PushContract:
    """Inherit as `Test…` with a fixture `world`; pytest does the rest."""

    pytestmark = pytest.mark.django_db(transaction=True)

    @pytest.fixture
    def relay(self, live_server: Any, settings: Any) -> Iterator[Receiver]:
        """The product where the provider can reach it."""
        with Receiver(answer=relay_to(live_server.url)) as relay:
            settings.PUBLIC_BASE_URL = relay.root
            yield relay

    @pytest.fixture
    def watched(
        self,
        outside: SandboxProcess,
        relay: Receiver,
        world: PushWorld,
        monkeypatch: pytest.MonkeyPatch,
    ) -> Iterator[Watched]:
        hints: list[object] = []
        monkeypatch.setattr(
            tasks.sync_external_calendar, "apply_async", lambda given, **_: hints.append(given)
        )
        monkeypatch.setattr(tasks.renew_channel, "apply_async", lambda *_, **__: None)
        watched = Watched(world, relay=relay, hints=hints)
        yield watched
        # Nothing may be on its way to a database that is emptied.
        until(lambda: all(world.answers()), "all messages have been answered")

    def test_it_says_that_it_can_tell(self, world: PushWorld) -> None:
        assert Capability.PUSH in world.provider.capabilities
        assert isinstance(world.provider, WatchesCalendars)

    # Opening

    def test_opening(self, watched: Watched, world: PushWorld) -> None:
        assert watched.renew() is True
        channel = watched.channel
        assert world.living() == {str(channel.pk)}
        assert channel.resource_id
        assert channel.expires_at is not None
        assert timedelta(days=6) < channel.expires_at - timezone.now() <= channels.TTL
        assert watched.source.next_watch_at is not None
        assert timezone.now() < watched.source.next_watch_at < channel.expires_at

    def test_the_address_is_made_sure_of(self, watched: Watched, world: PushWorld) -> None:
        world.challenges()
        watched.renew()
        assert watched.relay.challenged
        path = f"/push/{watched.kind}/{watched.channel.pk}"
        assert {got.path.partition("?")[0] for got in watched.relay.challenged} == {path}

    def test_an_address_that_does_not_answer(
        self, watched: Watched, world: PushWorld, settings: Any
    ) -> None:
        world.challenges()
        with Receiver(answer=lambda _: (500, "text/plain", b"")) as broken:
            settings.PUBLIC_BASE_URL = broken.root
            assert watched.renew() is False
        watched.check_it_is_polled(again_in=channels.RETRY_REFUSED)

    def test_an_address_that_is_refused(self, watched: Watched, settings: Any) -> None:
        settings.PUBLIC_BASE_URL = "http://calendars.example.com"
        assert watched.renew() is False
        watched.check_it_is_polled(again_in=channels.RETRY_REFUSED)

    def test_the_first_message(self, watched: Watched, world: PushWorld) -> None:
        world.begins_aloud()
        watched.renew()
        watched.relay.wait_for(1)
        until(lambda: all(world.answers()), "it has been answered")
        assert watched.channel.last_notified_at is not None
        assert watched.wishes() == 0

    def test_it_ends_when_the_provider_says(
        self, watched: Watched, outside: SandboxProcess, world: PushWorld
    ) -> None:
        outside.switch(channel_seconds=int(SHORT.total_seconds()))
        watched.renew()
        end = watched.channel.expires_at
        assert end is not None
        assert SHORT - HOUR < end - timezone.now() <= SHORT
        assert watched.source.next_watch_at is not None
        assert watched.source.next_watch_at < end

    # Changes

    def test_changes_are_told(self, watched: Watched, world: PushWorld) -> None:
        watched.open()
        event_id = world.add("Lunch", MONDAY, MONDAY + HOUR)
        assert watched.told() == 1
        assert watched.sync() == {"Lunch"}
        world.rename(event_id, "Dinner")
        assert watched.told() == 1
        assert watched.sync() == {"Dinner"}
        assert watched.channel.last_notified_at is not None

    def test_a_deletion_is_told(self, watched: Watched, world: PushWorld) -> None:
        event_id = world.add("Lunch", MONDAY, MONDAY + HOUR)
        assert watched.sync_when_due() == {"Lunch"}
        watched.open()
        world.delete(event_id)
        assert watched.told() == 1
        assert watched.sync() == set()

    def test_a_message_that_comes_twice_counts_once(
        self, watched: Watched, outside: SandboxProcess, world: PushWorld
    ) -> None:
        watched.open()
        outside.switch(push_times=2)
        world.add("Lunch", MONDAY, MONDAY + HOUR)
        until(lambda: len(world.answers()[-1]) == 2, "both have been answered")
        assert watched.told() == 1
        watched.sync()
        assert watched.wishes() == 0

    def test_a_message_that_got_lost(
        self, watched: Watched, outside: SandboxProcess, world: PushWorld
    ) -> None:
        watched.open()
        outside.switch(push_times=0)
        world.add("Never told", MONDAY, MONDAY + HOUR)
        assert watched.wishes() == 0
        assert watched.sync_when_due() == {"Never told"}
        world.forget()

    # Who is believed

    def test_a_message_proves_itself(self, watched: Watched, world: PushWorld) -> None:
        taken, _ = world.watcher.answers
        message = watched.message()
        assert watched.post(world.renumber(message)) == taken
        assert watched.told() == 1

    @pytest.mark.parametrize("what", ["token", "no token", "resource", "damaged", "nothing"])
    def test_a_message_that_is_none(self, watched: Watched, world: PushWorld, what: str) -> None:
        _, otherwise = world.watcher.answers
        genuine = world.renumber(watched.message())
        forged = (
            Received(genuine.path, {}, b"") if what == "nothing" else world.forge(genuine, what)
        )
        assert watched.post(forged) == otherwise
        assert watched.wishes() == 0
        watched.post(genuine)
        assert watched.told() == 1, "the genuine one is believed as before"

    def test_a_message_at_the_address_of_another_channel(
        self, watched: Watched, world: PushWorld
    ) -> None:
        _, otherwise = world.watcher.answers
        message = world.renumber(watched.message())
        other = ExternalCalendar.objects.create(connection=watched.connection, external_id="other")
        address = NotificationChannel.objects.create(
            external_calendar=other,
            token_digest=channels.digest("other"),
            expires_at=timezone.now() + channels.TTL,
        ).pk
        assert watched.post(message, channel_id=address) == otherwise
        assert watched.post(message, channel_id=uuid.uuid4()) == otherwise
        other.refresh_from_db()
        assert (watched.wishes(), other.dirty - other.settled) == (0, 0)

    @pytest.mark.parametrize("ended", ["stopped_at", "expires_at"])
    def test_a_message_of_a_channel_that_has_ended(
        self, watched: Watched, world: PushWorld, ended: str
    ) -> None:
        _, otherwise = world.watcher.answers
        channel = watched.open()
        NotificationChannel.objects.update(**{ended: timezone.now()})
        world.say_again(channel)
        until(lambda: all(world.answers()), "it has been answered")
        assert world.answers()[-1][0] == otherwise
        assert watched.wishes() == 0

    # Stopping

    def test_stopping(self, watched: Watched, world: PushWorld) -> None:
        channel = watched.open()
        ExternalCalendar.objects.update(is_selected=False, next_sync_at=None)
        watched.renew()
        assert world.living() == set()
        world.say_again(channel)
        until(lambda: all(world.answers()), "the stray has been answered")
        assert watched.wishes() == 0

    def test_stopping_twice(self, watched: Watched, world: PushWorld) -> None:
        channel = watched.open()
        for _ in range(2):
            watched.ask_to_stop(channel)
            assert world.living() == set()

    def test_stopping_what_the_provider_has_forgotten(
        self, watched: Watched, world: PushWorld
    ) -> None:
        channel = watched.open()
        world.forget()
        watched.ask_to_stop(channel)

    # Renewing

    def test_renewing(
        self, watched: Watched, world: PushWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Prolonged, or replaced: never is nobody there to tell."""
        before = watched.open()
        served: list[set[str]] = []
        stop = type(world.watcher).stop

        def look_first(*given: Any, **named: Any) -> None:
            served.append(world.living())
            stop(*given, **named)

        monkeypatch.setattr(type(world.watcher), "stop", look_first)
        assert watched.renew(aged=True) is False
        after = watched.channel
        assert world.living() == {str(after.pk)}
        assert served == ([] if after.pk == before.pk else [{str(before.pk), str(after.pk)}])
        assert after.expires_at is not None
        assert after.expires_at - timezone.now() > timedelta(days=6)
        watched.settle()
        world.add("Lunch", MONDAY, MONDAY + HOUR)
        assert watched.told() == 1

    def test_renewing_what_the_provider_has_forgotten(
        self, watched: Watched, world: PushWorld
    ) -> None:
        before = watched.open()
        world.forget()
        watched.renew(aged=True)
        assert watched.channel.pk != before.pk
        assert world.living() == {str(watched.channel.pk)}

    # Refusals

    def test_a_calendar_that_cannot_be_watched(self, watched: Watched, world: PushWorld) -> None:
        world.refuse_watching()
        with pytest.raises(WatchRefused):
            watched.ask_to_watch()
        assert watched.renew() is False
        watched.check_it_is_polled(again_in=channels.RETRY_REFUSED)

    def test_no_such_calendar(self, watched: Watched) -> None:
        ExternalCalendar.objects.update(external_id="nobody@nowhere.example")
        watched.source.refresh_from_db()
        with pytest.raises(CalendarNotFound):
            watched.ask_to_watch()

    def test_as_many_channels_as_there_may_be(self, watched: Watched, world: PushWorld) -> None:
        world.limit()
        with pytest.raises((RateLimited, WatchRefused)):
            watched.ask_to_watch()
        world.limit()
        assert watched.renew() is False
        watched.check_it_is_connected()
        assert world.living() == set()

    @pytest.mark.parametrize(
        ("kind", "error", "wait"),
        [
            ("rate_limited", RateLimited, timedelta(seconds=600)),
            ("server_error", ProviderUnavailable, channels.RETRY),
        ],
    )
    def test_trouble(
        self,
        watched: Watched,
        outside: SandboxProcess,
        kind: str,
        error: type[ProviderError],
        wait: timedelta,
    ) -> None:
        for _ in range(2):
            outside.trouble(kind, "channels", retry_after=600)
        with pytest.raises(error):
            watched.ask_to_watch()
        assert watched.renew() is False
        watched.check_it_is_connected()
        assert watched.source.next_watch_at is not None
        assert wait * 0.9 < watched.source.next_watch_at - timezone.now() < wait * 1.2
        assert watched.renew() is True

    def test_an_access_token_that_expired(self, watched: Watched, outside: SandboxProcess) -> None:
        outside.trouble("unauthorized", "channels")
        assert watched.renew() is True

    def test_access_taken_back(self, watched: Watched, world: PushWorld) -> None:
        """The next sync asks for a new authorization, as without push."""
        world.take_access_back()
        with pytest.raises(AccessTokenRejected):
            watched.ask_to_watch()
        assert watched.renew() is False
        assert not NotificationChannel.objects.exists()
        # The pause after a refused refresh is over.
        ConnectionCredential.objects.update(refresh_lease_until=None)
        watched.sync_when_due()
        watched.connection.refresh_from_db()
        assert watched.connection.status == "reauthorization_required"

    # What is said about the channel itself

    def test_a_channel_that_wants_to_be_authorised_anew(
        self, watched: Watched, world: PushWorld
    ) -> None:
        channel = watched.open()
        world.lifecycle(channel, "ending")
        assert watched.told() == 1, "nobody has told what changed meanwhile"
        assert channels.due(limit=10) == [watched.source.pk]
        channels.renew(watched.source.pk)
        assert world.living() == {str(watched.channel.pk)}
        end = watched.channel.expires_at
        assert end is not None
        assert end - timezone.now() > timedelta(days=6)

    def test_a_channel_that_the_provider_has_removed(
        self, watched: Watched, world: PushWorld
    ) -> None:
        channel = watched.open()
        world.lifecycle(channel, "removed")
        assert watched.told() == 1
        assert channels.due(limit=10) == [watched.source.pk]
        channels.renew(watched.source.pk)
        assert watched.channel.pk != channel.pk
        assert world.living() == {str(watched.channel.pk)}

    def test_messages_that_the_provider_has_missed(
        self, watched: Watched, world: PushWorld
    ) -> None:
        channel = watched.open()
        world.lifecycle(channel, "missed")
        assert watched.told() == 1
        assert channels.due(limit=10) == []
