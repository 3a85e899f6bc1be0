"""A gate that asks for a user name and a password, before a server that asks for none.

As operators set one up: Xandikos leaves passwords to the web server before it.
"""

from __future__ import annotations

import base64
import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.caldav_servers import CalDavServer

# What belongs to one connection, or is counted anew.
_OWN = {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"}


class _Gate(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, behind: CalDavServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        proof = f"{behind.user}:{behind.password}".encode()
        self.behind, self.proof = behind, f"Basic {base64.b64encode(proof).decode()}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Gate

    def pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != self.server.proof:
            self._reply(401, {"WWW-Authenticate": 'Basic realm="calendars"'}, b"")
            return
        # With its Host header as it came: URLs that the server makes up lead through the gate.
        headers = {
            name: value for name, value in self.headers.items() if name.lower() not in _OWN
        } | {"Content-Length": str(len(body))}
        port = self.server.behind.port
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            self._reply(answer.status, dict(answer.getheaders()), answer.read())

    def _reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in _OWN:
                self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Every method is passed on: the base class asks for `do_GET`, `do_PROPFIND` and so on."""
        if name.startswith("do_"):
            return self.pass_on
        raise AttributeError(name)

    def log_message(self, *args: object, **more: object) -> None:
        """Nothing: a test says what went wrong."""


@contextmanager
def behind_a_password(server: CalDavServer) -> Iterator[CalDavServer]:
    """The same server, at another port, for its one account with its password only."""
    with _Gate(server) as gate:
        threading.Thread(target=gate.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield replace(server, port=gate.server_port)
        finally:
            gate.shutdown()
