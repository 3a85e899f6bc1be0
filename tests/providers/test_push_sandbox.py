"""Notifications between the sandbox and the product over HTTP: doubled, late, lost, stray."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from providers import channels, grants, scheduler, sync, tasks
from providers.errors import ProviderUnavailable
from providers.google.provider import GoogleProvider
from providers.models import ExternalCalendar, NotificationChannel, ProviderConnection
from tests.providers.sync_remote import claimed
from tests.sandbox.process import SandboxProcess
from tests.stack.product import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def address(settings: Any, live_server: Any) -> str:
    """The product where the sandbox can reach it; before the client is registered there."""
    settings.PUBLIC_BASE_URL = live_server.url
    return str(live_server.url)


@pytest.fixture
def hints(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was told to the workers, which are not there: calendars to be synced."""
    told: list[str] = []
    monkeypatch.setattr(
        tasks.sync_external_calendar, "apply_async", lambda given, **_: told.append(given[0])
    )
    monkeypatch.setattr(tasks.renew_channel, "apply_async", lambda *_, **__: None)
    return told


@pytest.fixture
def source(address: str, hints: list[str], connected: ProviderConnection) -> ExternalCalendar:
    """An account's calendar, connected and synced, whose channel is due."""
    source = connected.external_calendars.get()
    sync_now(source)
    hints.clear()
    assert channels.due(limit=10) == [source.pk]
    return source


@pytest.fixture
def watched(source: ExternalCalendar, outside: SandboxProcess) -> Iterator[NotificationChannel]:
    """The same with its channel, which has said that it works."""
    assert channels.renew(source.pk) is True
    until(lambda: messages(outside), "the channel's first message has been answered")
    yield NotificationChannel.objects.get()
    # Nothing may be on its way to a database that is emptied.
    outside.calm()


def sync_now(source: ExternalCalendar) -> None:
    scheduler.request_sync([source.pk])
    assert sync.run(source.pk) is not None
    source.refresh_from_db()
    assert source.dirty == source.settled


def messages(sandbox: SandboxProcess, channel: NotificationChannel | None = None) -> list[Any]:
    """(state, statuses) of what the sandbox has sent and got answers to."""
    return [
        (message["state"], message["statuses"])
        for found in sandbox.channels()
        if channel is None or found["id"] == str(channel.pk)
        for message in found["messages"]
        if message["statuses"]
    ]


def change(sandbox: SandboxProcess, source: ExternalCalendar, title: str) -> None:
    [first, *_] = sandbox.calendar("GET", source.external_id, "events?singleEvents=true")["items"]
    sandbox.calendar("PATCH", source.external_id, f"events/{first['id']}", {"summary": title})


def titles(source: ExternalCalendar) -> set[str]:
    return set(source.events.values_list("title", flat=True))


def test_a_change_is_told_and_synced(
    watched: NotificationChannel,
    source: ExternalCalendar,
    outside: SandboxProcess,
    hints: list[str],
) -> None:
    assert watched.last_notified_at is not None
    source.refresh_from_db()
    assert source.dirty == source.settled  # the first message is no change
    change(outside, source, "moved")
    until(lambda: hints, "the change has been told")
    assert hints == [str(source.pk)]
    assert sync.run(source.pk) is not None
    assert "moved" in titles(source)
    assert messages(outside) == [("sync", [204]), ("exists", [204])]


def test_a_first_message_before_the_answer(
    source: ExternalCalendar, outside: SandboxProcess
) -> None:
    outside.switch(push_sync_first=True)
    assert channels.renew(source.pk) is True
    assert messages(outside) == [("sync", [204])]
    channel = NotificationChannel.objects.get()
    assert channel.last_message_number == 1
    assert channel.resource_id == outside.channels()[0]["resource_id"]


def test_messages_that_come_twice_count_once(
    watched: NotificationChannel,
    source: ExternalCalendar,
    outside: SandboxProcess,
    hints: list[str],
) -> None:
    outside.switch(push_times=2)
    change(outside, source, "told twice")
    until(lambda: messages(outside)[1:] == [("exists", [204, 204])], "both have been answered")
    assert len(hints) == 1
    source.refresh_from_db()
    assert source.dirty == source.settled + 1


def test_a_message_during_a_sync_leads_to_another(
    watched: NotificationChannel, source: ExternalCalendar, outside: SandboxProcess
) -> None:
    """Late for the one that is under way, which may have read the old state."""
    scheduler.request_sync([source.pk])
    lease = scheduler.acquire(source.pk)
    assert lease is not None
    change(outside, source, "late")
    until(lambda: len(messages(outside)) == 2, "the change has been told")
    lease.release(next_sync_at=None, at_once=True)
    assert sync.run(source.pk) is not None
    assert "late" in titles(source)


def test_messages_that_get_lost_are_made_up_for_by_polling(
    watched: NotificationChannel,
    source: ExternalCalendar,
    outside: SandboxProcess,
    hints: list[str],
    time_machine: Any,
    settings: Any,
) -> None:
    outside.switch(push_times=0)
    change(outside, source, "never told")
    assert hints == []
    assert source.next_sync_at is not None
    time_machine.move_to(source.next_sync_at, tick=True)
    assert claimed(10) == [source.pk]
    assert sync.run(source.pk) is not None
    assert "never told" in titles(source)


def test_a_calendar_that_cannot_be_watched_is_polled(
    source: ExternalCalendar, outside: SandboxProcess
) -> None:
    outside.switch(source.external_id, refuse_watching=True)
    assert channels.renew(source.pk) is False
    source.refresh_from_db()
    assert source.next_watch_at is not None
    assert source.next_watch_at > timezone.now() + channels.RETRY_REFUSED / 2
    assert not NotificationChannel.objects.exists()
    assert source.connection.last_error_code == ""


def test_a_renewed_channel_replaces_the_old_one(
    watched: NotificationChannel,
    source: ExternalCalendar,
    outside: SandboxProcess,
    hints: list[str],
) -> None:
    NotificationChannel.objects.update(expires_at=timezone.now() + channels.RETRY)
    NotificationChannel.objects.update(created_at=timezone.now() - channels.TTL)
    ExternalCalendar.objects.update(next_watch_at=timezone.now())
    assert channels.renew(source.pk) is False
    stopped = {found["id"]: found["stopped"] for found in outside.channels()}
    new = NotificationChannel.objects.get(stopped_at=None)
    assert stopped == {str(watched.pk): True, str(new.pk): False}
    change(outside, source, "told once")
    until(lambda: hints, "the change has been told")
    # What the old one would still say is not listened to.
    outside.control("POST", f"channels/{watched.pk}/notify", {"state": "exists"})
    until(lambda: ("exists", [404]) in messages(outside, watched), "the stray has been answered")
    source.refresh_from_db()
    assert source.dirty == source.settled + 1


def test_an_opening_whose_answer_got_lost_is_stopped_once_it_is_heard_of(
    source: ExternalCalendar, outside: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = GoogleProvider.watch

    def lose_the_answer(*given: Any, **named: Any) -> Any:
        watch(*given, **named)
        raise ProviderUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(GoogleProvider, "watch", lose_the_answer)
        assert channels.renew(source.pk) is False
    until(lambda: NotificationChannel.objects.get().resource_id, "the stray has told its name")
    ExternalCalendar.objects.update(next_watch_at=timezone.now())
    assert channels.renew(source.pk) is True
    first, second = outside.channels()
    assert (first["stopped"], second["stopped"]) == (True, False)


def test_disconnecting_leaves_no_channel_at_the_provider(
    watched: NotificationChannel,
    source: ExternalCalendar,
    outside: SandboxProcess,
    api: Any,
) -> None:
    connection = source.connection
    outside.control("DELETE", "requests")
    path = f"/api/v1/calendars/{connection.calendar_id}/providers/{connection.pk}"
    assert api.delete(path).status_code == 200
    assert grants.revoke_due() == 1
    assert [found["stopped"] for found in outside.channels()] == [True]
    assert outside.counts()["revoke:200"] == 1
    outside.control("POST", f"channels/{watched.pk}/notify", {"state": "exists"})
    until(lambda: ("exists", [404]) in messages(outside), "the stray has been answered")


def test_nobody_but_the_provider_is_believed(
    watched: NotificationChannel, source: ExternalCalendar, outside: SandboxProcess, address: str
) -> None:
    """What the sandbox was told is what it takes: its own token on another's channel fails."""
    [known] = outside.channels()
    assert known["address"] == f"{address}/push/google/{watched.pk}"
    assert channels.digest(known["token"]) == watched.token_digest
    assert known["token"] not in known["address"]
    assert uuid.UUID(known["id"]) == watched.pk
