"""Posts with several messages in their body, and addresses that are made sure of: Graph's."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.utils import timezone

from providers import channels
from providers.models import ExternalCalendar, NotificationChannel
from tests.providers.canaries import Journal
from tests.providers.posting import TOKEN, dirty, make_channel
from tests.providers.sync_remote import make_source

pytestmark = pytest.mark.django_db

SUBSCRIPTION = "7f105c7d-2dc5-4530-97cd-4e7ae6534c07"
ANOTHER = "aaaaaaaa-2dc5-4530-97cd-4e7ae6534c07"


@pytest.fixture
def quiet() -> ExternalCalendar:
    now = timezone.now()
    return make_source(
        kind="microsoft",
        next_sync_at=now + timedelta(hours=1),
        next_watch_at=now + timedelta(days=4),
    )


@pytest.fixture
def channel(quiet: ExternalCalendar) -> NotificationChannel:
    return make_channel(quiet, resource_id=SUBSCRIPTION)


def item(**changes: Any) -> dict[str, Any]:
    return {
        "subscriptionId": SUBSCRIPTION,
        "subscriptionExpirationDateTime": "2026-12-01T10:00:00Z",
        "clientState": TOKEN,
        "changeType": "updated",
        "resource": "Users/x/Events/y",
        "tenantId": "7d8c1c6e-52a1-4c6b-9a53-0b0f5a1f2c3d",
        "resourceData": {"@odata.type": "#Microsoft.Graph.Event", "id": "y"},
    } | changes


def lifecycle(event: str, **changes: Any) -> dict[str, Any]:
    return item(lifecycleEvent=event, changeType=None, resourceData=None, **changes)


def post(channel: Any, *items: Any, body: bytes | None = None) -> Any:
    given = json.dumps({"value": items}).encode() if body is None else body
    path = f"/push/microsoft/{channel.pk}"
    return Client().post(path, given, content_type="application/json")


def test_a_genuine_message_has_the_calendar_synced(
    channel: NotificationChannel, quiet: ExternalCalendar
) -> None:
    response = post(channel, item())
    assert (response.status_code, response.content) == (202, b"")
    assert dirty(quiet) == 1
    channel.refresh_from_db()
    assert channel.last_notified_at is not None
    assert post(channel, item()).status_code == 202  # they have no numbers: any may be a new one


def test_each_message_proves_itself(channel: NotificationChannel, quiet: ExternalCalendar) -> None:
    forged = item(clientState="forged")
    assert post(channel, forged, item(subscriptionId=ANOTHER)).status_code == 202
    assert dirty(quiet) == 0
    assert post(channel, forged, item(), item(clientState=None), 7).status_code == 202
    assert dirty(quiet) == 1


def test_every_token_is_compared_the_same_way(
    channel: NotificationChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []
    real = channels.digest

    def digest(token: str) -> str:
        compared.append(token)
        return real(token)

    monkeypatch.setattr(channels, "digest", digest)
    post(channel, item(), item(clientState="forged"), item())
    assert compared == [TOKEN, "forged", TOKEN]


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"<html>", b'{"value": {}}', b'{"value": [null, 5, {}]}', b"\xff" * 50],
)
def test_what_is_no_message_gets_the_same_answer(
    channel: NotificationChannel, quiet: ExternalCalendar, body: bytes
) -> None:
    assert post(channel, body=body).status_code == 202
    assert dirty(quiet) == 0


def test_nobody_learns_which_channels_there_are(channel: NotificationChannel) -> None:
    unknown = NotificationChannel()
    stopped = make_channel(
        channel.external_calendar, resource_id=ANOTHER, stopped_at=timezone.now()
    )
    forged = post(channel, item(clientState="x"))
    for other in (
        post(unknown, item()),
        post(stopped, item(subscriptionId=ANOTHER)),
        post(channel, item()),
    ):
        assert (other.status_code, other.content) == (forged.status_code, forged.content)
        assert {**other.headers, "X-Request-Id": ""} == {**forged.headers, "X-Request-Id": ""}


# What is said about the subscription itself


@pytest.mark.parametrize("event", ["reauthorizationRequired", "subscriptionRemoved"])
def test_a_channel_that_will_not_last_is_looked_after(
    channel: NotificationChannel, quiet: ExternalCalendar, event: str
) -> None:
    assert post(channel, lifecycle(event)).status_code == 202
    assert dirty(quiet) == 1  # nobody has told what changed meanwhile
    assert quiet.next_watch_at is not None
    assert quiet.next_watch_at <= timezone.now()
    channel.refresh_from_db()
    assert channels._is_due(channel, timezone.now())


def test_missed_messages_are_a_change(
    channel: NotificationChannel, quiet: ExternalCalendar
) -> None:
    post(channel, lifecycle("missed"))
    assert dirty(quiet) == 1
    assert quiet.next_watch_at is not None
    assert quiet.next_watch_at > timezone.now()


@pytest.mark.parametrize(
    "message", [lifecycle("unheardOf"), lifecycle("subscriptionRemoved", clientState="forged")]
)
def test_what_nobody_knows_or_proves_changes_nothing(
    channel: NotificationChannel, quiet: ExternalCalendar, message: dict[str, Any]
) -> None:
    assert post(channel, message).status_code == 202
    assert dirty(quiet) == 0
    assert quiet.next_watch_at is not None
    assert quiet.next_watch_at > timezone.now()


def test_a_message_that_comes_before_the_subscription_s_answer(quiet: ExternalCalendar) -> None:
    channel = make_channel(quiet, resource_id="", expires_at=None)
    assert post(channel, item()).status_code == 202
    channel.refresh_from_db()
    assert channel.resource_id == SUBSCRIPTION
    assert dirty(quiet) == 1


# The address


@pytest.mark.parametrize(
    "token",
    ["Validation: Testing client application reachability 1+1=2 %", "<script>alert(1)</script>",
     "ü & \n", "x" * 4096],
)  # fmt: skip
def test_a_provider_makes_sure_of_the_address(token: str, journal: Journal) -> None:
    path = f"/push/microsoft/{NotificationChannel().pk}?validationToken={quote(token)}"
    response = Client().post(path, b"", content_type="text/plain")
    assert (response.status_code, response.content.decode()) == (200, token)
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in response["Content-Security-Policy"]
    assert token not in "\n".join(journal.redacted)


@pytest.mark.parametrize("query", ["", "validationToken=", "validationToken=" + "x" * 4097])
def test_challenges_that_are_none(query: str) -> None:
    response = Client().post(f"/push/microsoft/{NotificationChannel().pk}?{query}")
    assert (response.status_code, response.content) == (202, b"")


def test_only_those_who_want_it_get_it_back() -> None:
    path = f"{NotificationChannel().pk}?validationToken=echo"
    for kind in ("google", "pigeon"):
        response = Client().post(f"/push/{kind}/{path}")
        assert (response.status_code, response.content) == (404, b"")
    assert Client().get(f"/push/microsoft/{path}").status_code == 405
