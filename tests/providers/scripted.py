"""An `Http` without a network, for tests of what is asked and of how an answer is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from providers.base import Response


@dataclass(frozen=True)
class Request:
    method: str
    url: str
    headers: dict[str, str]
    form: dict[str, list[str]]
    body: bytes = b""

    @property
    def path(self) -> str:
        """The URL without its query."""
        return urlsplit(self.url)._replace(query="").geturl()

    @property
    def query(self) -> dict[str, str]:
        values = parse_qs(urlsplit(self.url).query, keep_blank_values=True, strict_parsing=True)
        return {name: value for name, [value] in values.items()}

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


@dataclass
class Scripted:
    """Gives `answers` in turn, the last one for ever, and remembers the requests."""

    answers: list[Response]
    requests: list[Request] = field(default_factory=list)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_bytes: int | None = None,
    ) -> Response:
        assert max_bytes is None or max_bytes > 0
        form = parse_qs((body or b"").decode(), keep_blank_values=True) if body else {}
        self.requests.append(Request(method, url, dict(headers or {}), form, body or b""))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def reply(status: int, body: Any = b"", headers: Mapping[str, str] | None = None) -> Response:
    """A response; `body` is sent as it is when bytes, as JSON otherwise."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, headers or {}, raw)
