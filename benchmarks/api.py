"""The API's arms: eight kept connections to two gunicorn workers, as production serves, answered by
our views or by the bare one beside them (`benchmarks.bare`).
"""

from __future__ import annotations

import json
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

from calendars.models import Calendar
from providers.models import ExternalCalendar
from talkover.environments.models import EnvironmentToken
from talkover.processes import end_with_parent
from tests.services import free_port

CONNECTIONS, WORKERS = 8, 2
# Ours and the bare view take turns, so that what else the machine does falls on both.
TURNS, REQUESTS = 20, 250
WARM_TURNS = 3
PER_CALENDAR = 5
START_SECONDS = 30.0
REPOSITORY = Path(__file__).resolve().parent.parent
_ANSWER = re.compile(rb"HTTP/1\.1 20[01] .*\r\nContent-Length: (\d+)\r\n.*?\r\n\r\n", re.DOTALL)

Result = dict[str, float]


def get_providers(source: ExternalCalendar) -> Result:
    """The list of a calendar with one connection."""
    return _measure(source, "GET", [f"/api/v1/calendars/{source.connection.calendar_id}/providers"])


def post_providers(source: ExternalCalendar) -> Result:
    """New calendars, some attempts each: none may have more than ten open ones."""
    template = source.connection.calendar
    calendars = Calendar.objects.bulk_create(
        Calendar(
            environment_id=template.environment_id,
            owner_id=template.owner_id,
            name="Benchmark",
            timezone="UTC",
        )
        for _ in range((WARM_TURNS + TURNS) * REQUESTS // PER_CALENDAR)
    )
    return _measure(source, "POST", [f"/api/v1/calendars/{row.pk}/providers" for row in calendars])


def _measure(source: ExternalCalendar, method: str, paths: list[str]) -> Result:
    """Also `bare_seconds`: what as many requests to the bare view took, between ours."""
    environment = source.connection.environment
    environment.rate_limit_per_minute = 1_000_000
    environment.save()
    _, token = EnvironmentToken.issue(environment=environment, name="benchmark")
    body = _body(source) if method == "POST" else b""
    ours = cycle([_request(token, method, path, body) for path in paths])
    bare = cycle([_request(token, method, "/api/v1/bare", body)])
    seconds = {id(ours): 0.0, id(bare): 0.0}
    with _gunicorn() as port:
        for turn in range(WARM_TURNS + TURNS):
            for requests in random.sample([ours, bare], 2):
                begin = time.perf_counter()
                _send(port, list(islice(requests, REQUESTS)))
                if turn >= WARM_TURNS:
                    seconds[id(requests)] += time.perf_counter() - begin
    return {
        "seconds": seconds[id(ours)],
        "bare_seconds": seconds[id(bare)],
        "events": TURNS * REQUESTS,
    }


@contextmanager
def _gunicorn() -> Iterator[int]:
    """The Procfile's `web` with the bare view, its lines thrown away; yields its port."""
    port = free_port()
    options = {
        "--config": "gunicorn.conf.py",
        "--access-logfile": "/dev/null",
        "--log-level": "warning",
        "--workers": str(WORKERS),
        "--max-requests": "0",  # no worker is renewed while we measure
        "--bind": f"127.0.0.1:{port}",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "benchmarks.bare", *sum(options.items(), ())],
        cwd=REPOSITORY,
        preexec_fn=end_with_parent(signal.SIGTERM),  # noqa: PLW1509  one prctl call
    )
    try:
        _wait(process, port)
        yield port
    finally:
        process.terminate()
        process.wait()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return _send_each(port, iter([b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"]))
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _send(port: int, requests: list[bytes]) -> None:
    """All requests over the connections, each connection sending when its last was answered."""
    queue = iter(requests)
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        list(threads.map(lambda _: _send_each(port, queue), range(CONNECTIONS)))


def _send_each(port: int, queue: Iterator[bytes]) -> None:
    """Plain sockets: a client library would take the processor's time from the server."""
    with socket.create_connection(("127.0.0.1", port), timeout=START_SECONDS) as connection:
        for request in queue:
            connection.sendall(request)
            answer = b""
            while not _is_complete(answer):
                received = connection.recv(65_536)
                assert received, answer
                answer += received


def _is_complete(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    found = _ANSWER.fullmatch(head + end)
    assert found, answer
    return len(body) == int(found[1])


def _request(token: str, method: str, path: str, body: bytes) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token}"]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _body(source: ExternalCalendar) -> bytes:
    return json.dumps(
        {
            "provider": source.connection.configuration.identifier,
            "redirect_uri": "https://application.example/connected",
            "state": "a state of the application's own",
        }
    ).encode()
