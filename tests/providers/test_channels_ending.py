"""How channels begin and end with a connection, who asks for them, and how far they are trusted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from providers import channels, connect, grants, oauth2, scheduler, tasks
from providers.audit import Actor
from providers.base import TokenSet
from providers.errors import AuthorizationRevoked, ProviderUnavailable
from providers.models import (
    ConnectionCredential,
    ExternalCalendar,
    NotificationChannel,
    ProviderConnection,
    RevocationJob,
)
from providers.selection import take_over
from talkover.encryption import unseal
from tests.factories import ProviderConnectionFactory
from tests.providers.posting import make_channel
from tests.providers.sync_remote import assert_synced, make_source, remote_event, run
from tests.providers.watching import Watching, age, fail_with, living, renew

pytestmark = pytest.mark.django_db


@pytest.fixture
def source(watching: Watching) -> ExternalCalendar:
    """A connected calendar with a channel that works."""
    source = make_source(next_watch_at=timezone.now())
    assert renew(source) is True
    return source


@pytest.fixture
def upstream(watching: Watching, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done at the provider, in order; refreshing replaces the refresh token."""
    done: list[str] = []

    def refresh(*_: Any, refresh_token: str) -> TokenSet:
        done.append(f"refresh {refresh_token}")
        later = timezone.now() + timedelta(hours=1)
        return TokenSet("access-2", later, f"{refresh_token}+", ("calendar",))

    monkeypatch.setattr(oauth2, "refresh", refresh)
    monkeypatch.setattr(oauth2, "revoke", lambda *_, token: done.append(f"revoke {token}"))
    watching.before_stop = lambda: done.append("stop")
    return done


# With the connection


def test_disconnecting_stops_the_channel_before_the_grant_ends(
    source: ExternalCalendar, watching: Watching, upstream: list[str]
) -> None:
    [channel] = living()
    connect.disconnect(connection=source.connection, actor=Actor.system())
    assert living() == []
    assert not ConnectionCredential.objects.exists()
    assert watching.stopped == []
    assert grants.revoke_due() == 1
    assert watching.stopped == [(channel, "resource-1")]
    assert upstream == ["refresh refresh-1", "stop", "revoke refresh-1+"]
    assert not RevocationJob.objects.exists()


def test_a_calendar_that_is_deleted_leaves_no_channel_behind(
    source: ExternalCalendar, watching: Watching, upstream: list[str]
) -> None:
    [channel] = living()
    connect.disconnect(connection=source.connection, actor=Actor.system())
    source.connection.calendar.delete()
    assert grants.revoke_due() == 1
    assert watching.stopped == [(channel, "resource-1")]


def test_a_grant_that_is_in_use_is_kept_and_its_channel_stopped(
    source: ExternalCalendar, watching: Watching, upstream: list[str]
) -> None:
    other = ProviderConnectionFactory(
        account_subject="subject",
        calendar=source.connection.calendar,
        configuration=source.connection.configuration,
    )
    now = timezone.now()
    ConnectionCredential.objects.create(
        connection=other, environment=other.environment, expires_at=now, stored_at=now
    )
    connect.disconnect(connection=source.connection, actor=Actor.system())
    assert grants.revoke_due() == 1
    assert upstream == ["refresh refresh-1", "stop"]


def test_what_has_ended_or_has_no_name_is_not_stopped(
    source: ExternalCalendar, watching: Watching, upstream: list[str]
) -> None:
    NotificationChannel.objects.all().delete()
    make_channel(source, expires_at=timezone.now())
    make_channel(source, resource_id="", expires_at=None)
    connect.disconnect(connection=source.connection, actor=Actor.system())
    assert RevocationJob.objects.get().channels == []
    assert grants.revoke_due() == 1
    assert upstream == ["revoke refresh-1"]


def test_a_stop_that_fails_is_repeated_but_not_for_ever(
    source: ExternalCalendar, watching: Watching, upstream: list[str]
) -> None:
    connect.disconnect(connection=source.connection, actor=Actor.system())
    watching.before_stop = fail_with(ProviderUnavailable())
    for _ in range(grants.STOP_ATTEMPTS - 1):
        assert grants.revoke_due() == 0
        RevocationJob.objects.update(next_attempt_at=timezone.now())
    # The refresh token was replaced by each refresh, and the latest is kept.
    assert unseal(RevocationJob.objects.get(), "token") == "refresh-1++"
    assert grants.revoke_due() == 1
    assert upstream[-1] == "revoke refresh-1+++"


def test_a_grant_that_is_gone_is_not_refreshed_in_vain(
    source: ExternalCalendar,
    watching: Watching,
    upstream: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AuthorizationRevoked

    monkeypatch.setattr(oauth2, "refresh", refuse)
    connect.disconnect(connection=source.connection, actor=Actor.system())
    assert grants.revoke_due() == 1
    assert upstream == ["revoke refresh-1"]


def test_a_disconnection_while_the_channel_is_being_opened(watching: Watching) -> None:
    source = make_source(next_watch_at=timezone.now())
    watching.before_watch = lambda: connect.disconnect(
        connection=source.connection, actor=Actor.system()
    )
    assert renew(source) is False
    assert living() == []
    # Nobody else could: the job knows nothing of it, and the tokens are wiped.
    assert watching.stopped == [(watching.watched[0].channel_id, "resource-1")]


def test_a_new_activation_opens_a_new_channel(
    source: ExternalCalendar,
    watching: Watching,
    django_capture_on_commit_callbacks: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[Any] = []
    for task in (tasks.sync_external_calendar, tasks.renew_channel):
        monkeypatch.setattr(
            task, "apply_async", lambda given, task=task, **_: sent.append((task.name, given))
        )
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        tasks.start_syncing(source)
        assert sent == []
    assert sent == [
        ("providers.tasks.sync_external_calendar", (str(source.pk),)),
        ("providers.tasks.renew_channel", (str(source.pk),)),
    ]
    assert living() == []
    assert channels.due(limit=10) == [source.pk]
    assert renew(source) is True
    assert len(living()) == 1
    assert watching.stopped == [(watching.watched[0].channel_id, "resource-1")]


def test_who_continues_a_dead_connection_stops_its_channel(
    source: ExternalCalendar, watching: Watching
) -> None:
    successor = make_source()
    take_over(source, successor)
    assert renew(successor) is False  # it had one that worked
    NotificationChannel.objects.update(stopped_at=timezone.now())
    assert renew(successor) is True
    assert watching.stopped[0] == (watching.watched[0].channel_id, "resource-1")


# Who asks


def test_beat_sends_a_hint_for_each_that_is_due(
    watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(
        tasks.renew_channel, "apply_async", lambda given, expires: sent.append((given, expires))
    )
    now = timezone.now()
    late, due = (make_source(next_watch_at=now - timedelta(minutes=n)) for n in (2, 1))
    make_source(next_watch_at=now + timedelta(minutes=1))
    tasks.renew_channels()
    assert sent == [((str(late.pk),), 60.0), ((str(due.pk),), 60.0)]


def test_a_first_channel_is_followed_by_a_sync_and_a_renewal_is_not(
    watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks.sync_external_calendar, "apply_async", lambda *_, **__: None)
    watching.put(remote_event("before"))
    source = make_source(next_watch_at=timezone.now())
    run(source)
    watching.put(remote_event("in the gap"))
    tasks.renew_channel.apply((str(source.pk),), throw=True)
    source.refresh_from_db()
    assert source.dirty == 1
    run(source)
    assert_synced(source, watching)
    age(0.65)
    ExternalCalendar.objects.update(next_watch_at=timezone.now())
    tasks.renew_channel.apply((str(source.pk),), throw=True)
    source.refresh_from_db()
    assert (source.dirty, len(watching.watched)) == (1, 2)


def test_housekeeping_forgets_what_ended_long_ago(source: ExternalCalendar) -> None:
    [kept] = living()
    now = timezone.now()
    make_channel(source, expires_at=now - timedelta(days=8))
    young = make_channel(source, expires_at=now - timedelta(days=6))
    nameless = make_channel(source, resource_id="", expires_at=None, stopped_at=now)
    NotificationChannel.objects.filter(pk=nameless.pk).update(created_at=now - timedelta(days=32))
    tasks.housekeeping()
    assert {str(row.pk) for row in NotificationChannel.objects.all()} == {kept, str(young.pk)}


# What they are trusted with


def until_next_sync(source: ExternalCalendar) -> float:
    """In seconds, after a sync."""
    run(source)
    assert source.next_sync_at is not None
    return (source.next_sync_at - timezone.now()).total_seconds()


@pytest.mark.parametrize(
    ("changes", "trusted"),
    [
        ({"last_notified_at": timezone.now()}, True),
        ({}, False),
        ({"last_notified_at": timezone.now(), "stopped_at": timezone.now()}, False),
        ({"last_notified_at": timezone.now(), "expires_at": timezone.now()}, False),
        ({"last_notified_at": timezone.now(), "expires_at": None}, False),
    ],
)
def test_a_channel_that_delivers_makes_polling_rarer(
    source: ExternalCalendar, changes: dict[str, Any], trusted: bool
) -> None:
    NotificationChannel.objects.update(**changes)
    seconds = until_next_sync(source)
    interval = (
        settings.SYNC_INTERVAL_WITH_PUSH_SECONDS if trusted else settings.SYNC_INTERVAL_SECONDS
    )
    assert interval * 0.74 < seconds < interval * 1.26


def test_polling_never_becomes_more_frequent(settings: Any) -> None:
    settings.SYNC_INTERVAL_WITH_PUSH_SECONDS = 1
    now = timezone.now()
    assert scheduler.next_regular(now, watched=True) > now + timedelta(seconds=200)


def test_errors_of_an_activation_are_the_sync_s_to_tell(
    source: ExternalCalendar, watching: Watching
) -> None:
    """A refused refresh while opening changes nothing of the connection."""
    ConnectionCredential.objects.all().delete()
    NotificationChannel.objects.all().delete()
    assert renew(source) is False
    assert ProviderConnection.objects.get().is_active
