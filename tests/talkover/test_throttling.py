"""Rate limits: per environment, told on every answer, and never a reason to be down."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client
from redis.exceptions import ConnectionError as RedisConnectionError
from rest_framework.test import APIClient

from talkover.api import throttling
from talkover.environments.models import Environment, EnvironmentToken
from tests.conftest import client_of
from tests.talkover.test_envelope import assert_error

URL = "/api/v1/environment"
START = 1_772_442_000  # a full minute


@pytest.fixture
def limited(environment: Environment) -> Environment:
    environment.rate_limit_per_minute = 3
    environment.save()
    return environment


def test_headers_count_down(api: APIClient, limited: Environment) -> None:
    with time_machine.travel(START + 10.5, tick=False):
        for remaining in (2, 1, 0):
            response = api.get(URL)
            assert response.status_code == 200
            assert response["X-RateLimit-Limit"] == "3"
            assert response["X-RateLimit-Remaining"] == str(remaining)
            assert response["X-RateLimit-Reset"] == str(START + 60)
        response = api.get(URL)
        assert_error(response, 429, "RATE_LIMIT_EXCEEDED")
        assert response["X-RateLimit-Remaining"] == "0"
        assert response["Retry-After"] == "50"


def test_the_next_minute_begins_anew(api: APIClient, limited: Environment) -> None:
    with time_machine.travel(START + 59.9, tick=False):
        assert [api.get(URL).status_code for _ in range(4)] == [200, 200, 200, 429]
    with time_machine.travel(START + 60, tick=False):
        response = api.get(URL)
        assert response.status_code == 200
        assert response["X-RateLimit-Reset"] == str(START + 120)


def test_all_tokens_of_an_environment_count_together(api: APIClient, limited: Environment) -> None:
    second = client_of(EnvironmentToken.issue(environment=limited, name="second")[1])
    with time_machine.travel(START, tick=False):
        assert [client.get(URL).status_code for client in (api, second, api, second)] == [
            200,
            200,
            200,
            429,
        ]


def test_environments_do_not_share(
    api: APIClient, limited: Environment, other_api: APIClient
) -> None:
    with time_machine.travel(START, tick=False):
        for _ in range(4):
            api.get(URL)
        assert other_api.get(URL)["X-RateLimit-Remaining"] == "999"


def test_errors_tell_limits_too(api: APIClient) -> None:
    for response in (
        api.get("/api/v1/calendars?page=0"),
        api.delete("/api/v1/calendars"),
        api.get("/api/v1/nothing"),
        api.post("/api/v1/users", "x", content_type="text/plain"),
    ):
        assert response.status_code >= 400
        assert response["X-RateLimit-Limit"] == "1000"


def test_health_and_strangers_are_not_counted(client: Client, db: None) -> None:
    for path in ("/health", "/api/v1/health", "/api/v1/environment"):
        assert "X-RateLimit-Limit" not in client.get(path)


@pytest.mark.parametrize("error", [RedisConnectionError("no route"), OSError("broken")])
def test_without_a_cache_requests_pass(
    api: APIClient, limited: Environment, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    calls: list[str] = []

    def fail(key: str, *args: Any) -> int:
        calls.append(key)
        raise error

    monkeypatch.setattr(cache, "incr", fail)
    monkeypatch.setattr(throttling, "_cache_away_until", 0.0)
    for _ in range(5):
        response = api.get(URL)
        assert response.status_code == 200
        assert response["X-RateLimit-Remaining"] == "3"
    # It is left alone for a while, so that its time-out is not paid by every request.
    assert len(calls) == 1


def test_a_counter_that_vanishes_meanwhile(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "add", lambda *_: False)
    monkeypatch.setattr(throttling, "_cache_away_until", 0.0)
    assert api.get(URL).status_code == 200
