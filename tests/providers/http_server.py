"""A server that says what a test pleases, a client that may reach it, and a name server."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from ipaddress import ip_address

import pytest

from providers.http import HttpClient

Reply = bytes | Callable[[socket.socket], None]


class Server:
    """Answers each request with the next of `replies` (the last one for ever): bytes, or a function
    that gets the socket. `requests` are the requests' heads and bodies as they came.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.replies: list[Reply] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, path: str = "/path?secret=canary") -> str:
        return f"http://{self.host}{path}"

    def close(self) -> None:
        self._listener.close()
        for sock in self._sockets:
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            if self._context:
                sock = self._context.wrap_socket(sock, server_side=True)
            self._sockets.append(sock)
            while (request := self._read_request(sock)) is not None:
                self.requests.append(request)
                reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                if callable(reply):
                    reply(sock)
                else:
                    sock.sendall(reply)
                    if b"Connection: close" in reply:
                        break
        except OSError:
            pass
        finally:
            sock.close()

    def _read_request(self, sock: socket.socket) -> bytes | None:
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := sock.recv(65536)):
                return None
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [
            line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
        ]
        wanted = int(lengths[0].split(b":")[1]) if lengths else 0
        while len(body) < wanted:
            body += sock.recv(65536)
        return head + b"\r\n\r\n" + body


def last_words(data: bytes) -> Callable[[socket.socket], None]:
    """Sends `data` and closes the connection."""

    def reply(sock: socket.socket) -> None:
        sock.sendall(data)
        sock.close()

    return reply


def drip(start: bytes, *, every: float = 0.05) -> Callable[[socket.socket], None]:
    def reply(sock: socket.socket) -> None:
        sock.sendall(start)
        while True:
            sock.sendall(b"x")
            time.sleep(every)

    return reply


def answer(body: bytes = b"hello", status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def client(server: Server, **options: float) -> HttpClient:
    allowed = frozenset({server.host})
    return HttpClient(user_agent="tests/1", allowed_hosts=allowed, **options)  # type: ignore[arg-type]


def resolver(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Let the name server give each of `answers` in turn; returns the names it was asked for."""
    asked: list[str] = []
    left = list(answers)

    def getaddrinfo(
        host: str, port: int, *args: object, **kwargs: object
    ) -> list[tuple[object, ...]]:
        asked.append(host)
        return [
            (
                socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port),
            )
            for address in left.pop(0)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def text_chain(error: BaseException) -> str:
    """Everything a traceback or an error collector would show of `error`."""
    texts: list[str] = []
    link: BaseException | None = error
    while link is not None:
        texts += [str(link), repr(link), repr(link.args)]
        link = link.__cause__ or link.__context__
    return "\n".join(texts)
