"""Posting messages from background threads, with repetitions.

Google repeats after 500, 502, 503, 504 and when nobody answers, with a pause that doubles; any
other answer is final (https://developers.google.com/workspace/calendar/api/guides/push). Microsoft
repeats whatever was not answered with 2xx. Messages wait in memory: those on their way when the
sandbox ends are lost, as Google loses some.
"""

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from ipaddress import ip_address
from urllib.parse import urlsplit

NO_ANSWER = 0
REPEATED_BY_GOOGLE = frozenset({NO_ANSWER, 500, 502, 503, 504})
_ATTEMPTS = 4
TIMEOUT_SECONDS = 10
_THREADS = 4
_MOST = 8192


@dataclass(frozen=True, kw_only=True)
class Message:
    """A POST. `answered` gets the status of each attempt, or `NO_ANSWER`.

    `answered` says whether the message is still wanted, `is_repeated` whether it comes again after
    this status. `pause` (seconds) comes before the first repetition and doubles.
    """

    address: str
    headers: Mapping[str, str]
    answered: Callable[[int], bool]
    pause: float
    body: bytes = b""
    is_repeated: Callable[[int], bool] = REPEATED_BY_GOOGLE.__contains__
    seconds: float = TIMEOUT_SECONDS
    attempt: int = 1


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What came back: `status` (`NO_ANSWER` for nothing), the content type, the first 8 KB."""

    status: int
    kind: str = ""
    body: bytes = b""


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
    status = post(message.address, message.headers, message.body, message.seconds).status
    wanted = message.answered(status)
    if wanted and message.is_repeated(status) and message.attempt < _ATTEMPTS:
        again = replace(message, pause=message.pause * 2, attempt=message.attempt + 1)
        send(again, in_seconds=message.pause)


def post(address: str, headers: Mapping[str, str], body: bytes, seconds: float) -> Reply:
    """POST now and wait for the answer, so long."""
    parts = urlsplit(address)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=seconds)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", path, body=body, headers=dict(headers))
        response = connection.getresponse()
        return Reply(
            status=response.status,
            kind=response.headers.get("Content-Type", ""),
            body=_beginning(response),
        )
    except (OSError, HTTPException):
        return Reply(status=NO_ANSWER)
    finally:
        connection.close()


def _beginning(response: HTTPResponse) -> bytes:
    try:
        return response.read(_MOST)
    except (OSError, HTTPException):
        return b""  # the status counts all the same


def is_reachable(address: str) -> bool:
    """An https address; unlike the providers also a plain one on this machine."""
    try:
        parts = urlsplit(address)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if parts.scheme == "https":
        return bool(host)
    if parts.scheme != "http":
        return False
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
