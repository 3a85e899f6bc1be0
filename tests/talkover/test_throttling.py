"""Rate limits: per environment, told on every answer, and never a reason to be down."""

from __future__ import annotations

import math
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
import time_machine
from django.test import Client
from redis import Redis
from rest_framework.test import APIClient

from talkover.api import throttling
from talkover.environments.models import Environment, EnvironmentToken
from tests.conftest import client_of
from tests.providers.test_scheduler import in_threads
from tests.talkover.test_envelope import assert_error

URL = "/api/v1/environment"
START = 1_772_442_000  # a full minute


@pytest.fixture
def limited(environment: Environment) -> Environment:
    environment.rate_limit_per_minute = 3
    environment.save()
    return environment


@pytest.fixture(params=["shared", "own"])
def counting(request: pytest.FixtureRequest, settings: Any) -> None:
    """In Redis, and within one process."""
    if request.param == "own":
        settings.REDIS_URL = ""
    elif not settings.REDIS_URL:
        pytest.skip("there is no Redis")


@pytest.mark.usefixtures("counting")
def test_headers_count_down(api: APIClient, limited: Environment) -> None:
    with time_machine.travel(START + 10.5, tick=False):
        for remaining in (2, 1, 0):
            response = api.get(URL)
            assert response.status_code == 200
            assert response["X-RateLimit-Limit"] == "3"
            assert response["X-RateLimit-Remaining"] == str(remaining)
            assert response["X-RateLimit-Reset"] == str(START + 71)
    with time_machine.travel(START + 30.5, tick=False):
        response = api.get(URL)
        assert_error(response, 429, "RATE_LIMIT_EXCEEDED")
        assert response["X-RateLimit-Remaining"] == "0"
        assert response["X-RateLimit-Reset"] == str(START + 71)
        assert response["Retry-After"] == "41"


@pytest.mark.usefixtures("counting")
def test_what_the_headers_promise_is_so(api: APIClient, limited: Environment) -> None:
    """Until Reset nothing passes; at Reset, and after Retry-After, what was first is forgotten."""
    statuses: dict[float, list[int]] = {}
    for second in (10, 20, 20, 69, 70.9, 71, 71, 80, 81, 81, 81):
        with time_machine.travel(START + second, tick=False):
            response = api.get(URL)
            statuses.setdefault(second, []).append(response.status_code)
            reset = int(response["X-RateLimit-Reset"]) - START
            if response.status_code == 429:
                assert math.ceil(reset - second) == int(response["Retry-After"])
    assert statuses == {
        10: [200],
        20: [200, 200],
        69: [429],
        70.9: [429],
        71: [200, 429],
        80: [429],
        81: [200, 200, 429],
    }


@pytest.mark.usefixtures("counting")
def test_no_minute_sees_more_than_the_limit(api: APIClient, limited: Environment) -> None:
    """However requests are placed about the turn of a minute."""
    accepted: list[float] = []
    for tenth in range(0, 2400, 10):
        with time_machine.travel(START + 50 + tenth / 10, tick=False):
            if api.get(URL).status_code == 200:
                accepted.append(tenth / 10)
    for begin in accepted:
        assert sum(begin <= moment < begin + 60 for moment in accepted) <= 3
    # And who keeps on sending gets what there is: three in a minute and a second.
    assert len(accepted) == 12


@pytest.mark.usefixtures("counting")
def test_a_clock_that_was_ahead_does_not_count_for_ever(
    api: APIClient, limited: Environment
) -> None:
    with time_machine.travel(START + 7200, tick=False):
        assert [api.get(URL).status_code for _ in range(4)] == [200, 200, 200, 429]
    with time_machine.travel(START, tick=False):
        assert api.get(URL)["X-RateLimit-Remaining"] == "2"


@pytest.mark.usefixtures("counting")
def test_threads_count_exactly(limited: Environment) -> None:
    for environment in ("one", "two"):
        name = f"{environment}-{uuid.uuid4()}"

        def send(name: str = name) -> int:
            return sum(throttling._count(name, START, 100)[0] for _ in range(40))

        assert sum(in_threads(8, send)) == 100


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


@pytest.fixture
def silent_server() -> Iterator[tuple[int, list[int]]]:
    """Takes connections and ends them, as a Redis that is starting: its port, and who came."""
    came: list[int] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, address = server.accept()
                    came.append(address[1])
                    connection.close()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1], came
        server.shutdown(socket.SHUT_RDWR)


def test_without_redis_requests_pass(
    api: APIClient,
    limited: Environment,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    silent_server: tuple[int, list[int]],
) -> None:
    port, came = silent_server
    settings.REDIS_URL = f"redis://127.0.0.1:{port}/0"
    monkeypatch.setattr(throttling, "_redis_away_until", 0.0)
    for _ in range(5):
        response = api.get(URL)
        assert response.status_code == 200
        assert response["X-RateLimit-Remaining"] == "3"
    # It is left alone for a while, so that its time-out is not paid by every request.
    assert 1 <= len(came) <= 4


def test_a_redis_that_forgot_the_script(
    api: APIClient, limited: Environment, settings: Any
) -> None:
    if not settings.REDIS_URL:
        pytest.skip("there is no Redis")
    assert api.get(URL)["X-RateLimit-Remaining"] == "2"
    with Redis.from_url(settings.REDIS_URL) as redis:
        redis.script_flush()
    assert api.get(URL)["X-RateLimit-Remaining"] == "1"


def test_one_journey_a_request(api: APIClient, settings: Any) -> None:
    if not settings.REDIS_URL:
        pytest.skip("there is no Redis")
    api.get(URL)
    with Redis.from_url(settings.REDIS_URL) as redis:
        before = redis.info("commandstats")
        api.get(URL)
        after = redis.info("commandstats")
    asked = {
        name
        for name, found in after.items()
        if found["calls"] > before.get(name, {"calls": 0})["calls"]
    }
    # The others run inside the script.
    assert asked - {"cmdstat_info", "cmdstat_hgetall", "cmdstat_hincrby", "cmdstat_expire"} == {
        "cmdstat_evalsha"
    }
