"""A web server whose answers can be spoiled: in front of a CalDAV server, and as that of feeds."""

from __future__ import annotations

import gzip
import socket
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_PAGE = b"<!DOCTYPE html><html><body>Down for maintenance.</body></html>"
_HTML = {"Content-Type": "text/html"}


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@cache
def _bomb() -> bytes:
    return gzip.compress(bytes(200_000_000), 9)


# What is answered instead of the right thing.
REPLIES: dict[str, Callable[[], Reply]] = {
    "server_error": lambda: Reply(503),
    "rate_limited": lambda: Reply(503, {"Retry-After": "1"}),
    "too_many_requests": lambda: Reply(429, {"Retry-After": "1"}),
    "bad_gateway": lambda: Reply(502, _HTML, _PAGE),
    "html": lambda: Reply(200, _HTML, _PAGE),
    "nothing": lambda: Reply(200),
    "redirect": lambda: Reply(302, {"Location": "http://127.0.0.1:1/"}),
    "unauthorized": lambda: Reply(401, {"WWW-Authenticate": 'Basic realm="storm"'}),
    "forbidden": lambda: Reply(403),
    "not_found": lambda: Reply(404),
    "gone": lambda: Reply(410),
    "gzip_bomb": lambda: Reply(200, {"Content-Encoding": "gzip"}, _bomb()),
}
_DRIP_SECONDS, _DRIP_PIECES = 0.02, 100


@dataclass(eq=False)
class Order:
    """One trouble of one account: `after` so many requests, so many `times` (None: until calm).

    `before` is done when a request meets it; `strikes` says which requests do.
    """

    account: str
    kind: str
    times: int | None = 1
    after: int = 0
    seconds: float = 0.0
    before: Callable[[], object] = lambda: None
    strikes: Callable[[BaseHTTPRequestHandler], bool] = lambda _request: True


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of those who have hung up, as killed workers do."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class HostileServer(ABC):
    """Serves on a port of its own until it is closed. Each request is one account's."""

    def __init__(self) -> None:
        self._orders: list[Order] = []
        self._changed = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def _serve(self) -> None:
                with suppress(OSError):  # who asked has gone, or was killed
                    outer._serve(self)

            def __getattr__(self, name: str) -> Callable[[], None]:
                if name.startswith("do_"):  # whatever the method
                    return self._serve
                raise AttributeError(name)

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def order(self, order: Order) -> Callable[[], None]:
        """Add a trouble; what is returned ends it."""

        def end() -> None:
            with self._changed:
                if order in self._orders:
                    self._orders.remove(order)

        with self._changed:
            self._orders.append(order)
        return end

    def calm(self) -> None:
        """End all troubles; what hangs goes on at once."""
        with self._changed:
            self._orders.clear()
            self._changed.notify_all()

    def close(self) -> None:
        self.calm()
        self._server.shutdown()
        self._server.server_close()

    @abstractmethod
    def account_of(self, request: BaseHTTPRequestHandler) -> str:
        """Whose request it is; empty when nobody knows."""

    @abstractmethod
    def answer(self, request: BaseHTTPRequestHandler, body: bytes, kind: str) -> Reply:
        """The right answer. `kind` is a trouble that only this server knows, or empty."""

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        met = self._met(request)
        kind = met.kind if met else ""
        if met is not None:
            met.before()
            if kind in {"hang", "latency"}:
                self._pause(met.seconds)
        spoiled = REPLIES.get(kind)
        reply = spoiled() if spoiled else self.answer(request, body, kind)
        self._write(request, reply, kind)

    def _met(self, request: BaseHTTPRequestHandler) -> Order | None:
        account = self.account_of(request)
        with self._changed:
            for order in self._orders:
                if order.account != account or not order.strikes(request):
                    continue
                if order.after:
                    order.after -= 1
                    continue
                if order.times is not None:
                    order.times -= 1
                    if not order.times:
                        self._orders.remove(order)
                return order
        return None

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait(seconds)

    def _write(self, request: BaseHTTPRequestHandler, reply: Reply, kind: str) -> None:
        body = reply.body
        request.send_response(reply.status)
        bodiless = reply.status in {204, 304} or request.command == "HEAD"
        own: dict[str, Any] = {} if bodiless else {"Content-Length": str(len(body))}
        for name, value in {**reply.headers, **own}.items():
            request.send_header(name, value)
        request.end_headers()
        if bodiless:
            return
        if kind in {"cut_off", "broken_off"}:
            request.wfile.write(body[: len(body) * 2 // 3])
            request.close_connection = True
            if kind == "broken_off":  # with a reset instead of an end
                request.connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, bytes((1, 0, 0, 0, 0, 0, 0, 0))
                )
                request.connection.close()
        elif kind == "drip":
            size = max(1, len(body) // _DRIP_PIECES)
            for start in range(0, len(body), size):
                request.wfile.write(body[start : start + size])
                time.sleep(_DRIP_SECONDS)
        else:
            request.wfile.write(body)
