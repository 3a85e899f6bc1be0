"""Graph's subscriptions: what is asked, and what is made of the answers. What is posted:
tests/providers/test_push_items.py.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from providers.errors import (
    AccessTokenRejected,
    AuthorizationRevoked,
    CalendarNotFound,
    InvalidResponse,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    WatchRefused,
)
from providers.watching import Channel
from tests.providers.microsoft.calls import ACCESS, MICROSOFT, refusal
from tests.providers.microsoft.listings import ROOT
from tests.providers.scripted import Scripted, reply

CHANNEL = "01234567-89ab-cdef-0123-456789abcdef"
SUBSCRIPTION = "7f105c7d-2dc5-4530-97cd-4e7ae6534c07"
ADDRESS = f"https://calendars.example.com/push/microsoft/{CHANNEL}"
OPENED = {"id": SUBSCRIPTION, "expirationDateTime": "2026-12-01T10:00:00.0000000Z"}
EXPECTED = Channel(SUBSCRIPTION, datetime(2026, 12, 1, 10, tzinfo=UTC))


def watch(http: Any, calendar_id: str = "AQMk-cal", days: float = 7) -> Channel:
    return MICROSOFT.watch(
        http, ACCESS, calendar_id, channel_id=CHANNEL, channel_token="canary-state",
        address=ADDRESS, ttl=timedelta(days=days),
    )  # fmt: skip


def renew(http: Any) -> Channel | None:
    return MICROSOFT.renew(
        http, ACCESS, channel_id=CHANNEL, resource_id=SUBSCRIPTION, ttl=timedelta(days=7)
    )


def stop(http: Any) -> None:
    MICROSOFT.stop(http, ACCESS, channel_id=CHANNEL, resource_id=SUBSCRIPTION)


def minutes_left(text: str) -> float:
    return (datetime.fromisoformat(text) - datetime.now(UTC)) / timedelta(minutes=1)


def test_what_is_asked() -> None:
    http = Scripted([reply(201, OPENED)])
    assert watch(http, "AQMk-cal=") == EXPECTED
    [asked] = http.requests
    assert (asked.method, asked.url) == ("POST", f"{ROOT}/subscriptions")
    assert 'IdType="ImmutableId"' in asked.headers["Prefer"]
    body = asked.json
    assert 10_060 < minutes_left(body.pop("expirationDateTime")) <= 10_070
    assert body == {
        "changeType": "created,updated,deleted",
        "notificationUrl": ADDRESS,
        "lifecycleNotificationUrl": ADDRESS,
        "resource": "me/calendars/AQMk-cal=/events",
        "clientState": "canary-state",
        "latestSupportedTlsVersion": "v1_2",
    }


def test_a_shorter_life_is_asked_for_where_the_longer_is_refused() -> None:
    http = Scripted([refusal(400, "InvalidRequest"), reply(201, OPENED)])
    assert watch(http) == EXPECTED
    assert 4_220 < minutes_left(http.requests[1].json["expirationDateTime"]) <= 4_230
    http = Scripted([refusal(400, "InvalidRequest"), reply(200, OPENED)])
    assert renew(http) == EXPECTED
    assert 4_220 < minutes_left(http.requests[1].json["expirationDateTime"]) <= 4_230
    http = Scripted([reply(201, OPENED)])
    watch(http, days=1)
    assert minutes_left(http.requests[0].json["expirationDateTime"]) <= 1440


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(400, "InvalidRequest"), WatchRefused),  # the address does not answer, too
        (refusal(409, "Conflict"), WatchRefused),
        (refusal(403, "ExtensionError"), WatchRefused),  # there are too many
        (refusal(401, "InvalidAuthenticationToken"), AccessTokenRejected),
        (refusal(404, "ErrorItemNotFound"), CalendarNotFound),
        (refusal(429, "TooManyRequests"), RateLimited),
        (refusal(503, ""), ProviderUnavailable),
        (reply(400, b"<html>"), InvalidResponse),
        (reply(201, {}), InvalidResponse),
        (reply(201, OPENED | {"id": "../x"}), InvalidResponse),
        (reply(201, OPENED | {"expirationDateTime": "soon"}), InvalidResponse),
    ],
)
def test_subscriptions_that_are_not_opened(answer: Any, error: type[ProviderError]) -> None:
    with pytest.raises(error) as raised:
        watch(Scripted([answer]))
    assert type(raised.value) is error
    assert "canary" not in str(raised.value)


def test_calendar_ids_that_are_none() -> None:
    http = Scripted([reply(201, OPENED)])
    with pytest.raises(CalendarNotFound):
        watch(http, "..")
    assert http.requests == []


def test_prolonging() -> None:
    http = Scripted([reply(200, OPENED)])
    assert renew(http) == EXPECTED
    [asked] = http.requests
    assert (asked.method, asked.url) == ("PATCH", f"{ROOT}/subscriptions/{SUBSCRIPTION}")
    assert asked.json.keys() == {"expirationDateTime"}


def test_a_subscription_that_is_gone_is_to_be_opened_anew() -> None:
    assert renew(Scripted([refusal(404, "ResourceNotFound")])) is None


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (reply(404, b"<html>"), InvalidResponse),  # a gateway's
        (refusal(401, "InvalidAuthenticationToken"), AccessTokenRejected),
        (refusal(403, "x", inner="insufficient_claims"), AuthorizationRevoked),
        (refusal(500, ""), ProviderUnavailable),
    ],
)
def test_calls_that_fail(answer: Any, error: type[ProviderError]) -> None:
    for call in (renew, stop):
        with pytest.raises(error):
            call(Scripted([answer]))


@pytest.mark.parametrize("answer", [reply(204), refusal(404, "ResourceNotFound")])
def test_stopping_also_what_has_ended(answer: Any) -> None:
    http = Scripted([answer])
    stop(http)
    [asked] = http.requests
    assert (asked.method, asked.url) == ("DELETE", f"{ROOT}/subscriptions/{SUBSCRIPTION}")
