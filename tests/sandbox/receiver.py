"""A web server on loopback that takes notifications as a product would."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Received:
    """One POST as it came; header names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def state(self) -> str:
        """`sync`, `exists` or `not_exists`."""
        return self.headers["x-goog-resource-state"]

    @property
    def number(self) -> int:
        """The message number."""
        return int(self.headers["x-goog-message-number"])


class Receiver:
    """Answers each POST with the next of `statuses`, or 204 when none is left.

    `url` is its address; `received` holds what came, oldest first.
    """

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.received: list[Received] = []
        self._came = threading.Condition()
        receiver = self

        class _Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                status = receiver._take(Received(self.path, headers, self.rfile.read(length)))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Keep the output of the tests clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"

    def wait_for(
        self, count: int, seconds: float = 30, *, like: Callable[[Received], bool] | None = None
    ) -> list[Received]:
        """Wait until so many (of those `like` accepts) have come. Raises AssertionError."""

        def fitting() -> list[Received]:
            return [each for each in self.received if like is None or like(each)]

        with self._came:
            came = self._came.wait_for(lambda: len(fitting()) >= count, seconds)
            assert came, f"{len(fitting())} of {count} came: {self.received}"
            return fitting()

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

    def _take(self, received: Received) -> int:
        with self._came:
            self.received.append(received)
            self._came.notify_all()
            return self.statuses.pop(0) if self.statuses else 204
