"""Two web processes that share a database and Redis: what one counts and keeps, the other knows."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from talkover.local import answers
from tests.plugin import base_environment
from tests.services import free_port, start_redis
from tests.stack.conftest import database
from tests.stack.product import Answer, Processes, environment_of, procfile, request, until

pytestmark = pytest.mark.stack
LIMIT = 300


@dataclass(frozen=True)
class Web:
    """Two processes, by their addresses."""

    processes: Processes
    urls: tuple[str, str]

    def new_token(self, name: str, *options: str) -> str:
        """A token of a new environment."""
        self.manage("create_environment", name, *options)
        token: str = self.manage("issue_token", name)["token"]
        return token

    def manage(self, *arguments: str) -> Any:
        return json.loads(self.processes.run(["python", "manage.py", *arguments, "--json"]))

    def call(
        self, number: int, token: str, method: str, path: str, body: object = None, **more: str
    ) -> Answer:
        """Odd numbers go to the one process, even ones to the other."""
        headers = {"Authorization": f"Bearer {token}", **more}
        return request(method, f"{self.urls[number % 2]}/api/v1{path}", body, headers)


@pytest.fixture(scope="module", params=["postgresql", "sqlite"])
def web(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder: Path = tmp_path_factory.mktemp("web")
    ports = (free_port(), free_port())
    with ExitStack() as services:
        settings = {**base_environment(folder), "PUBLIC_BASE_URL": "http://127.0.0.1"}
        settings["REDIS_URL"] = services.enter_context(start_redis())
        if request.param == "postgresql":
            settings["DATABASE_URL"] = services.enter_context(database(f"web_{os.getpid()}"))
        environment = environment_of(settings)
        if request.param == "sqlite":
            environment.pop("DATABASE_URL", None)
        processes = Processes(folder, environment)
        services.callback(processes.stop_all)
        processes.run(["python", "manage.py", "migrate", "--noinput"])
        for number, port in enumerate(ports):
            bind = f"env GUNICORN_CMD_ARGS='--bind 127.0.0.1:{port}'"
            processes.start(f"web{number}", f"{bind} {procfile()['web']}")
        urls = (f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}")
        until(lambda: all(answers(f"{url}/ready") for url in urls), "both answer")
        yield Web(processes, urls)
        processes.check()


def at_once(threads: int, work: Callable[[int], Any]) -> list[Any]:
    """The results of `work(0)`, `work(1)`, …, begun at the same moment."""
    barrier = threading.Barrier(threads)

    def begin(number: int) -> Any:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(begin, range(threads)))


def test_the_limit_holds_over_both(web: Web) -> None:
    token = web.new_token("Limited", "--rate-limit", str(LIMIT))
    other = web.new_token("Unlimited")
    numbers = count()
    begun = time.monotonic()

    def send(thread: int) -> Counter[int]:
        statuses: Counter[int] = Counter()
        while next(numbers) < 2 * LIMIT:
            statuses[web.call(thread, token, "GET", "/users").status] += 1
        assert web.call(thread, other, "GET", "/users").status == 200
        return statuses

    each = at_once(8, send)
    assert time.monotonic() - begun < 60, "too slow to prove anything"
    total: Counter[int] = sum(each, Counter())
    assert set(total) == {200, 429}
    assert abs(total[200] - LIMIT) <= 0.05 * LIMIT
    # It is more than near: every request is counted by one script.
    assert total[200] == LIMIT
    for process in (0, 1):
        assert sum(each[thread][200] for thread in range(process, 8, 2)) > 0


def test_a_key_sent_to_both_at_once_is_done_once(web: Web) -> None:
    token = web.new_token("Repeating")
    owner = web.call(0, token, "POST", "/users", {"name": "Ada", "email": "ada@example.com"})
    body = {"name": "Once", "owner_id": owner.data["id"]}
    key = {"Idempotency-Key": "4c0b1d4e"}
    for turn in range(10):
        body["name"], key["Idempotency-Key"] = f"Turn {turn}", f"turn-{turn}"
        found = at_once(
            6, lambda number: web.call(number, token, "POST", "/calendars", body, **key)
        )
        assert {answer.status for answer in found} == {201}, found
        assert len({answer.data["id"] for answer in found}) == 1
    calendars = web.call(0, token, "GET", "/calendars?per_page=100").data
    assert sorted(row["name"] for row in calendars) == [f"Turn {turn}" for turn in range(10)]
    other = web.call(1, token, "POST", "/calendars", {**body, "name": "Other"}, **key)
    assert (other.status, other.body["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
