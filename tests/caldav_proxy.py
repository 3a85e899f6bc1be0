"""A hostile proxy in front of a real CalDAV server."""

from __future__ import annotations

import base64
import http.client
from collections.abc import Mapping
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler

from tests.caldav_servers import CalDavServer
from tests.hostile import HostileServer, Reply

_REFUSED_TOKEN = b'<?xml version="1.0"?><d:error xmlns:d="DAV:"><d:valid-sync-token/></d:error>'
_OWN = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "server"})


class Proxy(HostileServer):
    """Hands everything on to a server, and its answers back."""

    def __init__(self, target: CalDavServer) -> None:
        super().__init__()
        self._target = target

    def account_of(self, request: BaseHTTPRequestHandler) -> str:
        """Whose password it is; without one whose calendar."""
        proof = request.headers.get("Authorization", "").removeprefix("Basic ")
        with suppress(ValueError):
            user, found, _ = base64.b64decode(proof).decode().partition(":")
            if found:
                return user
        return request.path.split("/")[1]

    def answer(self, request: BaseHTTPRequestHandler, body: bytes, kind: str) -> Reply:
        headers = {name: value for name, value in request.headers.items() if name != "Host"}
        if kind in {"refused_token", "emptied"} and is_changes(request, body):
            return Reply(403, {"Content-Type": "application/xml"}, _REFUSED_TOKEN)
        if kind == "emptied" and request.command == "PROPFIND":
            headers["Depth"] = "0"  # what is in it is not told
        return self._handed_on(request, body, headers)

    def _handed_on(
        self, request: BaseHTTPRequestHandler, body: bytes, headers: Mapping[str, str]
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self._target.port, timeout=30)
        with closing(connection):
            try:
                connection.request(request.command, request.path, body, dict(headers))
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException):  # it is away
                return Reply(502)
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in _OWN}
        return Reply(answer.status, kept, content)


def is_changes(request: BaseHTTPRequestHandler, body: bytes) -> bool:
    """Whether it asks what changed since a sync token."""
    return request.command == "REPORT" and b"sync-collection" in body
