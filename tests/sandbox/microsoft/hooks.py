"""A web server on loopback that takes Graph's notifications as a product would."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import orjson

Handshake = Callable[[str], tuple[int, str, bytes]]


def echo(token: str) -> tuple[int, str, bytes]:
    """The right answer to a handshake."""
    return 200, "text/plain", token.encode()


class Hooks:
    """Answers handshakes with `handshake` and notifications with the next of `statuses`, or 202.

    `url` is its address; `handshakes` holds the tokens, `received` the notifications' JSON.
    """

    def __init__(self, *statuses: int, handshake: Handshake = echo) -> None:
        self.statuses = list(statuses)
        self.handshakes: list[str] = []
        self.paths: list[str] = []
        self.kinds: list[str] = []
        self.received: list[dict[str, Any]] = []
        self._came = threading.Condition()
        hooks = self

        class _Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                asked = parse_qs(urlsplit(self.path).query).get("validationToken")
                if asked:
                    hooks.handshakes.append(asked[0])
                    hooks.kinds.append(self.headers.get("Content-Type", ""))
                    self._answer(*handshake(asked[0]))
                else:
                    self._answer(hooks._take(self.path, body), "text/plain", b"")

            def _answer(self, status: int, kind: str, content: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hooks"

    def subscription(self, **changes: Any) -> dict[str, Any]:
        """The body of a subscription on the mailbox, for a day."""
        return {
            "changeType": "created,updated,deleted",
            "notificationUrl": self.url,
            "lifecycleNotificationUrl": f"{self.url}/life",
            "resource": "me/events",
            "expirationDateTime": in_minutes(24 * 60),
            "clientState": "secret",
            **changes,
        }

    def items(self, count: int, seconds: float = 30) -> list[dict[str, Any]]:
        """Wait until so many items have come, of however many POSTs. Raises AssertionError."""

        def found() -> list[dict[str, Any]]:
            return [item for body in self.received for item in body["value"]]

        with self._came:
            came = self._came.wait_for(lambda: len(found()) >= count, seconds)
            assert came, f"{len(found())} of {count} came: {self.received}"
            return found()

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

    def _take(self, path: str, body: bytes) -> int:
        with self._came:
            self.paths.append(path)
            self.received.append(orjson.loads(body))
            self._came.notify_all()
            return self.statuses.pop(0) if self.statuses else 202


def in_minutes(minutes: int) -> str:
    """An expirationDateTime so many minutes from now."""
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()
