"""What is posted and not believed, and what the endpoint takes from nobody."""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from providers import channels
from providers.models import ExternalCalendar, NotificationChannel
from talkover.environments.models import User
from tests.providers.posting import dirty, make_channel, message, post, settle

pytestmark = pytest.mark.django_db


# Who is not believed


REFUSED: dict[str, Callable[[NotificationChannel], Any]] = {
    "unknown": lambda _: post(NotificationChannel(pk=uuid.uuid4())),
    "unknown, without a token": lambda _: post(
        NotificationChannel(pk=uuid.uuid4()), Channel_Token=None
    ),
    "wrong token": lambda channel: post(channel, Channel_Token="canary-tokem"),
    "no token": lambda channel: post(channel, Channel_Token=None),
    "the digest as token": lambda channel: post(channel, Channel_Token=channel.token_digest),
    "wrong resource": lambda channel: post(channel, Resource_ID="resource-2"),
    "another's id": lambda channel: post(channel, Channel_ID=str(uuid.uuid4())),
    "no number": lambda channel: post(channel, Message_Number=None),
    "a number that is none": lambda channel: post(channel, "first"),
    "no state": lambda channel: post(channel, state=""),
    "stopped": lambda channel: post(
        make_channel(channel.external_calendar, stopped_at=timezone.now())
    ),
    "expired": lambda channel: post(
        make_channel(channel.external_calendar, expires_at=timezone.now())
    ),
    "another kind": lambda channel: Client().post(
        f"/push/nobody/{channel.pk}", headers=message(channel)
    ),
    "nothing at all": lambda channel: Client().post(f"/push/google/{channel.pk}"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_everybody_else_gets_the_same_404(
    channel: NotificationChannel, quiet: ExternalCalendar, case: str
) -> None:
    response = REFUSED[case](channel)
    assert (response.status_code, response.content) == (404, b"")
    assert sorted(response.headers) == sorted(REFUSED["unknown"](channel).headers)
    assert response["Cache-Control"] == "no-store"
    assert dirty(quiet) == 0
    channel.refresh_from_db()
    assert (channel.last_message_number, channel.last_notified_at) == (0, None)


def test_a_channel_of_another_kind_of_provider_is_not_reached(
    channel: NotificationChannel, quiet: ExternalCalendar
) -> None:
    configuration = quiet.connection.configuration
    configuration.kind = "scripted"
    configuration.save()
    assert post(channel).status_code == 404


def test_tokens_are_compared_in_constant_time(
    channel: NotificationChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when there is nothing to compare with."""
    compared: list[Any] = []
    compare = hmac.compare_digest

    def note(*digests: str) -> bool:
        compared.append(digests)
        return compare(*digests)

    monkeypatch.setattr(hmac, "compare_digest", note)
    post(channel)
    post(NotificationChannel(pk=uuid.uuid4()))
    assert [len(digest) for pair in compared for digest in pair] == [64] * 4


def test_a_replay_of_an_old_channel_s_messages_does_nothing(
    channel: NotificationChannel, quiet: ExternalCalendar, time_machine: Any
) -> None:
    assert post(channel, 2).status_code == 204
    settle(quiet)
    NotificationChannel.objects.update(stopped_at=timezone.now())
    assert post(channel, 3).status_code == 404
    NotificationChannel.objects.update(stopped_at=None)
    time_machine.move_to(timezone.now() + timedelta(days=7))
    assert post(channel, 4).status_code == 404
    assert dirty(quiet) == 1


def test_a_stray_tells_what_stopping_it_takes(quiet: ExternalCalendar) -> None:
    """Its opening broke off, so nobody knows the provider's name of it."""
    later = timezone.now() + timedelta(days=1)
    ExternalCalendar.objects.filter(pk=quiet.pk).update(next_watch_at=later)
    stray = make_channel(quiet, resource_id="", expires_at=None, stopped_at=timezone.now())
    assert post(stray, Channel_Token="wrong").status_code == 404
    stray.refresh_from_db()
    assert stray.resource_id == ""
    assert post(stray).status_code == 404
    stray.refresh_from_db()
    assert stray.resource_id == "resource-1"
    assert dirty(quiet) == 0
    assert channels.due(limit=10) == [quiet.pk]


# The endpoint itself


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "head", "options"])
def test_only_post(channel: NotificationChannel, method: str) -> None:
    response = getattr(Client(), method)(f"/push/google/{channel.pk}", headers=message(channel))
    assert response.status_code == 405
    assert (response["Allow"], response["Cache-Control"]) == ("POST", "no-store")


def test_no_session_no_csrf_token_and_one_query_to_refuse(
    channel: NotificationChannel, django_assert_num_queries: Any
) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_user("somebody@example.com"))
    with django_assert_num_queries(1):
        assert post(channel, client=client, Channel_Token="wrong").status_code == 404
    response = post(channel, client=client)
    assert response.status_code == 204
    assert not response.cookies


def test_a_body_is_ignored_but_not_a_large_one(channel: NotificationChannel) -> None:
    path = reverse("push", args=["google", channel.pk])
    for length, status in [("12", 204), ("70000", 413), ("9" * 5000, 413), ("-5", 413), ("x", 413)]:
        response = Client().generic(
            "POST", path, b"not json at all"[:12], "application/json",
            headers=message(channel, length and 2), CONTENT_LENGTH=length,
        )  # fmt: skip
        assert response.status_code == status, length


@pytest.mark.parametrize(
    "changes",
    [
        {"Resource_ID": "a\x00b"},
        {"Resource_ID": "x" * 300},
        {"Channel_Token": "ÿ\udcff"},
        {"Message_Number": "9" * 18},
        {"Message_Number": "9" * 400},
        {"Resource_State": "x" * 5000},
        {"Channel_ID": "'; DROP TABLE"},
    ],
)
def test_no_input_is_our_fault(channel: NotificationChannel, changes: dict[str, str]) -> None:
    assert post(channel, **changes).status_code in {204, 404}
