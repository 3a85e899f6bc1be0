"""A real web server with a calendar feed that a test can change, and answers it can order."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = "/private-canary/basic.ics"


@dataclass(frozen=True)
class Answer:
    """What is answered instead of the feed."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class FeedServer:
    """Serves `text` at SECRET, with validators if `validates`; `answers` come first, in order.

    `asked` are the headers of the requests.
    """

    def __init__(self) -> None:
        self.text = ""
        self.validates = True
        self.headers: dict[str, str] = {}
        self.answers: list[Answer] = []
        self.asked: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer._answer(self)

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}{SECRET}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked.append(dict(handler.headers))
        if self.answers:
            answer = self.answers.pop(0)
        elif handler.path != SECRET:
            answer = Answer(404)
        else:
            answer = self._feed(handler.headers.get("If-None-Match", ""))
        handler.send_response(answer.status)
        for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(answer.body)

    def _feed(self, known: str) -> Answer:
        body = self.text.encode()
        if not self.validates:
            return Answer(200, self.headers, body)
        etag = f'"{hash(body)}"'
        if known == etag:
            return Answer(304, {"ETag": etag})
        return Answer(200, {"ETag": etag, **self.headers}, body)
