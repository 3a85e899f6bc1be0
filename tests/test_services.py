"""The tests' own servers end with the tests, however these end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.services import postgres_server, redis_server, start_postgres, start_redis
from tests.stack.product import until

START = """
import time
from tests.services import start_postgres, start_redis
with start_postgres() as postgres, start_redis() as redis:
    print(postgres, redis, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def _bring_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_DATABASE_URL", raising=False)
    monkeypatch.delenv("TEST_REDIS_URL", raising=False)


@pytest.mark.usefixtures("_bring_along")
def test_two_runs_do_not_meet() -> None:
    with (
        start_postgres() as first,
        start_postgres() as second,
        start_redis() as a,
        start_redis() as b,
    ):
        assert first != second
        assert a != b
        with psycopg.connect(first) as connection:
            connection.execute("CREATE TABLE mine (x int)")
        with psycopg.connect(second) as connection:
            row = connection.execute("SELECT to_regclass('mine')").fetchone()
            assert row == (None,)
        Redis.from_url(a).set("mine", 1)
        assert Redis.from_url(b).get("mine") is None


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path, for a socket, that PostgreSQL's account may enter."""
    with tempfile.TemporaryDirectory(prefix="talkover-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.usefixtures("_bring_along")
def test_servers_end_when_the_tests_are_killed(folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", START], cwd=Path(__file__).parent.parent, stdout=subprocess.PIPE,
        text=True, env={**os.environ, "TMPDIR": str(folder)},
    )  # fmt: skip
    assert process.stdout is not None
    postgres, redis = process.stdout.readline().split()
    process.kill()
    process.communicate()

    def ended() -> bool:
        try:
            psycopg.connect(postgres).close()
        except psycopg.OperationalError:
            try:
                Redis.from_url(redis, retry=None).ping()
            except RedisConnectionError:
                return True
        return False

    until(ended, "both have ended", seconds=20)


def test_named_servers_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_DATABASE_URL", "postgresql://there/db")
    monkeypatch.setenv("TEST_REDIS_URL", "redis://there")
    with start_postgres() as postgres, start_redis() as redis:
        assert (postgres, redis) == ("postgresql://there/db", "redis://there")


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGINT], ids=["at once", "in order"])
def test_postgres_keeps_what_was_committed(how: signal.Signals) -> None:
    with postgres_server(options={"synchronous_commit": "on"}) as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept (x int)")
            for number in range(50):
                connection.execute("INSERT INTO kept VALUES (%s)", (number,))
            server.stop(how)
            assert not server.is_running
        server.start()
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (50,)


def test_redis_comes_back_empty_at_the_same_address() -> None:
    with redis_server() as server, Redis.from_url(server.url) as redis:
        redis.set("mine", 1)
        server.stop()
        server.start()
        assert redis.get("mine") is None
