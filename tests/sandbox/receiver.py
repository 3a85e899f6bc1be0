"""A web server on loopback that takes notifications as a product would."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import parse_qs, urlsplit

import orjson

T = TypeVar("T")
# Status, content type, body.
Answer = tuple[int, str, bytes]


@dataclass(frozen=True)
class Received:
    """One POST as it came; header names in lower case. `path` has the query."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def challenge(self) -> str:
        """What Graph makes sure of the address with; empty in a message."""
        return parse_qs(urlsplit(self.path).query).get("validationToken", [""])[0]

    @property
    def state(self) -> str:
        """Google's: `sync`, `exists` or `not_exists`."""
        return self.headers["x-goog-resource-state"]

    @property
    def number(self) -> int:
        """Google's message number."""
        return int(self.headers["x-goog-message-number"])

    @property
    def items(self) -> list[dict[str, Any]]:
        """Graph's notifications, of which a POST can hold several."""
        items: list[dict[str, Any]] = orjson.loads(self.body)["value"]
        return items


class Receiver:
    """Answers each POST as `answer` says. Without it a challenge is answered as Graph wants it, and
    a message with the next of `statuses`, or 204 when none is left.

    `url` is its address; `challenged` and `received` hold what came and was answered, oldest first.
    """

    def __init__(self, *statuses: int, answer: Callable[[Received], Answer] | None = None) -> None:
        self.statuses = list(statuses)
        self.challenged: list[Received] = []
        self.received: list[Received] = []
        self._answer = answer or self._accept
        self._came = threading.Condition()
        receiver = self

        class _Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                got = Received(self.path, headers, self.rfile.read(length))
                status, kind, content = receiver._take(got)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: object) -> None:
                """Keep the output of the tests clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.root = f"http://127.0.0.1:{self._server.server_port}"
        self.url = f"{self.root}/hook"

    def wait_for(
        self, count: int, seconds: float = 30, *, like: Callable[[Received], bool] | None = None
    ) -> list[Received]:
        """Wait until so many (of those `like` accepts) have come. Raises AssertionError."""

        def fitting() -> list[Received]:
            return [each for each in self.received if like is None or like(each)]

        return self._wait(fitting, count, seconds)

    def items(self, count: int, seconds: float = 30) -> list[dict[str, Any]]:
        """Wait until so many of Graph's notifications have come, of however many POSTs. Raises
        AssertionError.
        """
        return self._wait(
            lambda: [item for each in self.received for item in each.items], count, seconds
        )

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _wait(self, found: Callable[[], list[T]], count: int, seconds: float) -> list[T]:
        with self._came:
            came = self._came.wait_for(lambda: len(found()) >= count, seconds)
            assert came, f"{len(found())} of {count} came: {self.received}"
            return found()

    def _take(self, got: Received) -> Answer:
        answer = self._answer(got)
        with self._came:
            (self.challenged if got.challenge else self.received).append(got)
            self._came.notify_all()
        return answer

    def _accept(self, got: Received) -> Answer:
        if got.challenge:
            return 200, "text/plain", got.challenge.encode()
        with self._came:
            return (self.statuses.pop(0) if self.statuses else 204), "text/plain", b""
