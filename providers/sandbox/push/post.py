"""Posting messages from background threads, with Google's repetitions.

Repeated after 500, 502, 503, 504 and when nobody answers, with a pause that doubles; any other
answer is final (https://developers.google.com/workspace/calendar/api/guides/push). Messages wait in
memory: those on their way when the sandbox ends are lost, as Google loses some.
"""

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

NO_ANSWER = 0
_REPEATED = frozenset({NO_ANSWER, 500, 502, 503, 504})
_ATTEMPTS = 4
_TIMEOUT_SECONDS = 10
_THREADS = 4


@dataclass(frozen=True, kw_only=True)
class Message:
    """A POST without body. `answered` gets the status of each attempt, or `NO_ANSWER`.

    `answered` says whether the message is still wanted. `pause` (seconds) comes before the first
    repetition and doubles.
    """

    address: str
    headers: Mapping[str, str]
    answered: Callable[[int], bool]
    pause: float
    attempt: int = 1


@dataclass
class _Tray:
    """Messages by the monotonic second at which they go out."""

    waiting: list[tuple[float, int, Message]] = field(default_factory=list)
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    threads: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)


_tray = _Tray()


def send(message: Message, *, in_seconds: float = 0) -> None:
    """Post this message from another thread, so many seconds from now."""
    with _tray.changed:
        due = time.monotonic() + in_seconds
        heapq.heappush(_tray.waiting, (due, next(_tray.numbers), message))
        # Started at the first message, because threads do not survive the server's fork.
        while _tray.threads < _THREADS:
            _tray.threads += 1
            threading.Thread(target=_work, name="sandbox-push", daemon=True).start()
        _tray.changed.notify()


def _work() -> None:
    while True:
        _deliver(_next())


def _next() -> Message:
    with _tray.changed:
        while True:
            if not _tray.waiting:
                _tray.changed.wait()
                continue
            early = _tray.waiting[0][0] - time.monotonic()
            if early <= 0:
                return heapq.heappop(_tray.waiting)[2]
            _tray.changed.wait(early)


def _deliver(message: Message) -> None:
    status = _post(message.address, message.headers)
    wanted = message.answered(status)
    if wanted and status in _REPEATED and message.attempt < _ATTEMPTS:
        again = Message(
            address=message.address,
            headers=message.headers,
            answered=message.answered,
            pause=message.pause * 2,
            attempt=message.attempt + 1,
        )
        send(again, in_seconds=message.pause)


def _post(address: str, headers: Mapping[str, str]) -> int:
    parts = urlsplit(address)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_SECONDS)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", path, body=b"", headers=dict(headers))
        return connection.getresponse().status
    except (OSError, HTTPException):
        return NO_ANSWER
    finally:
        connection.close()
