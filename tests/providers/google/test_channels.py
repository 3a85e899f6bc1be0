"""Google's notification channels: what is asked, what is made of answers, and what is posted."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils.datastructures import CaseInsensitiveMapping

from providers.errors import (
    AccessTokenRejected,
    CalendarForbidden,
    CalendarNotFound,
    InvalidResponse,
    ProviderError,
    ProviderUnavailable,
    QuotaExceeded,
    RateLimited,
    RequestRefused,
    WatchRefused,
)
from providers.watching import Channel, Notification
from tests.providers.google.calls import ACCESS, GOOGLE
from tests.providers.http_server import Server, answer, client
from tests.providers.scripted import Scripted, reply

API = "https://www.googleapis.com/calendar/v3"
CHANNEL = "01234567-89ab-cdef-0123-456789abcdef"
OPENED = {
    "kind": "api#channel",
    "id": CHANNEL,
    "resourceId": "o3hgv1538sdjfh",
    "resourceUri": f"{API}/calendars/anna%40example.com/events?alt=json",
    "token": "canary-channel",
    "expiration": "1426325213000",
}
POSTED = {
    "Content-Type": "application/json; utf-8",
    "Content-Length": "0",
    "User-Agent": "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)",
    "X-Goog-Channel-ID": CHANNEL,
    "X-Goog-Channel-Token": "canary-channel",
    "X-Goog-Channel-Expiration": "Tue, 19 Nov 2026 01:13:52 GMT",
    "X-Goog-Resource-ID": "o3hgv1538sdjfh",
    "X-Goog-Resource-URI": f"{API}/calendars/anna%40example.com/events?alt=json",
    "X-Goog-Resource-State": "exists",
    "X-Goog-Message-Number": "10",
}


def watch(http: Any, calendar_id: str = "anna@example.com") -> Channel:
    return GOOGLE.watch(
        http,
        ACCESS,
        calendar_id,
        channel_id=CHANNEL,
        channel_token="canary-channel",
        address="https://calendars.example.com/push/google/" + CHANNEL,
        ttl=timedelta(days=7),
    )


def stop(http: Any) -> None:
    GOOGLE.stop(http, ACCESS, channel_id=CHANNEL, resource_id="o3hgv1538sdjfh")


def refusal(status: int, reason: str) -> Any:
    error = {"errors": [{"domain": "global", "reason": reason, "message": "canary"}]}
    return reply(status, {"error": {"code": status, "message": "canary", **error}})


def test_push_is_a_capability() -> None:
    assert "push" in GOOGLE.capabilities


def test_what_is_asked_on_the_wire(server: Server) -> None:
    """The request as Google's guide has it, byte for byte where it counts."""
    server.replies = [answer(json.dumps(OPENED).encode()), answer(b"", "204 No Content")]
    http = client(server)
    redirected = Redirected(http, server)
    assert watch(redirected).resource_id == "o3hgv1538sdjfh"
    stop(redirected)
    asked, stopped = server.requests
    head, _, body = asked.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /calendar/v3/calendars/anna%40example.com/events/watch HTTP/1.1")
    assert b"Content-Type: application/json" in head
    assert b"Authorization: Bearer ya29.canary" in head
    assert json.loads(body) == {
        "id": CHANNEL,
        "token": "canary-channel",
        "type": "web_hook",
        "address": f"https://calendars.example.com/push/google/{CHANNEL}",
        "params": {"ttl": "604800"},
    }
    head, _, body = stopped.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /calendar/v3/channels/stop HTTP/1.1")
    assert json.loads(body) == {"id": CHANNEL, "resourceId": "o3hgv1538sdjfh"}


class Redirected:
    """An `Http` to the test's server instead of Google's."""

    def __init__(self, http: Any, server: Server) -> None:
        self._http = http
        self._server = server

    def request(self, method: str, url: str, **options: Any) -> Any:
        path = url.removeprefix("https://www.googleapis.com")
        return self._http.request(method, self._server.url(path), **options)


@pytest.mark.parametrize("expiration", ["1426325213000", 1426325213000])
def test_when_a_channel_ends(expiration: object) -> None:
    """Text by the discovery document, a number in the guide's example."""
    got = watch(Scripted([reply(200, OPENED | {"expiration": expiration})]))
    assert got == Channel("o3hgv1538sdjfh", datetime(2015, 3, 14, 9, 26, 53, tzinfo=UTC))


@pytest.mark.parametrize(
    "wrong",
    [
        {"expiration": "soon"},
        {"expiration": "9" * 30},
        {"expiration": None},
        {"resourceId": ""},
        {"resourceId": "x" * 256},
        {"resourceId": 5},
    ],
)
def test_answers_that_open_nothing(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidResponse):
        watch(Scripted([reply(200, OPENED | wrong)]))


def test_calendar_ids_that_are_none() -> None:
    http = Scripted([reply(200, OPENED)])
    with pytest.raises(CalendarNotFound):
        watch(http, "..")
    assert http.requests == []


@pytest.mark.parametrize(
    ("status", "reason", "error"),
    [
        (400, "pushNotSupportedForRequestedResource", WatchRefused),
        (400, "push.webhookUrlNotHttps", WatchRefused),
        (400, "webhookUrlNotHttps", WatchRefused),
        # Not to be taken for an access token that was refused.
        (401, "push.webhookUrlUnauthorized", WatchRefused),
        (401, "authError", AccessTokenRejected),
        (400, "channelIdNotUnique", RequestRefused),
        (403, "forbidden", CalendarForbidden),
        (403, "rateLimitExceeded", RateLimited),
        (403, "quotaExceeded", QuotaExceeded),
        (404, "notFound", CalendarNotFound),
        (500, "backendError", ProviderUnavailable),
        (503, "pushNotSupportedForRequestedResource", ProviderUnavailable),
    ],
)
def test_refused_watches(status: int, reason: str, error: type[ProviderError]) -> None:
    with pytest.raises(ProviderError) as raised:
        watch(Scripted([refusal(status, reason)]))
    assert type(raised.value) is error
    assert "canary" not in raised.value.detail


@pytest.mark.parametrize("got", [reply(204), reply(200, b"{}"), refusal(404, "notFound")])
def test_stopping_also_what_has_ended(got: Any) -> None:
    stop(Scripted([got]))


@pytest.mark.parametrize(
    ("got", "error"),
    [
        (reply(404, b"<html>"), InvalidResponse),  # a gateway's
        (refusal(401, "authError"), AccessTokenRejected),
        (refusal(400, "required"), RequestRefused),
        (reply(502), ProviderUnavailable),
    ],
)
def test_stops_that_fail(got: Any, error: type[ProviderError]) -> None:
    with pytest.raises(error):
        stop(Scripted([got]))


def read(**changes: str | None) -> Notification | None:
    headers = POSTED | {name.replace("_", "-"): value for name, value in changes.items()}
    given = {name.lower(): value for name, value in headers.items() if value is not None}
    read = GOOGLE.read_notifications(CaseInsensitiveMapping(given), b"")
    return read[0] if read else None


def test_what_is_posted() -> None:
    assert read() == Notification(CHANNEL, "canary-channel", "o3hgv1538sdjfh", 10, opens=False)
    opening = read(**{"X-Goog-Resource-State": "sync", "X-Goog-Message-Number": "1"})
    assert opening == Notification(CHANNEL, "canary-channel", "o3hgv1538sdjfh", 1, opens=True)
    gone = read(**{"X-Goog-Resource-State": "not_exists"})
    assert gone is not None
    assert not gone.opens
    assert "canary" not in repr(gone)


@pytest.mark.parametrize(
    "name", ["Channel-Token", "Resource-ID", "Resource-State", "Message-Number"]
)
@pytest.mark.parametrize("value", [None, ""])
def test_posts_without_what_counts(name: str, value: str | None) -> None:
    assert read(**{f"X-Goog-{name}": value}) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Message-Number", "-1"),
        ("Message-Number", "1.5"),
        ("Message-Number", "²"),
        ("Message-Number", "٣"),
        ("Message-Number", "9" * 19),
        ("Channel-Token", "x" * 257),
        ("Resource-ID", "x" * 256),
        ("Resource-ID", "a\x00b"),
    ],
)
def test_posts_that_are_damaged(name: str, value: str) -> None:
    assert read(**{f"X-Goog-{name}": value}) is None
