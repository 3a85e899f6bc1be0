"""An application that calls the API all through the storm, and what it may be answered.

Reads answer or say 503; writes answer or refuse with 503 and Retry-After; always in the envelope,
never 500. What was answered with success stays true.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.soak.world import World
from tests.stack.product import REDIRECT_URI

PAUSE_SECONDS = (0.02, 0.15)
LONGEST_SECONDS = 20.0
SUCCESS = {"GET": {200}, "POST": {201, 202}, "PATCH": {200}, "DELETE": {200}}
# A write may also be refused for what the storm has done to the calendar itself.
REFUSALS = {"CONNECTION_NOT_ACTIVE", "TOO_MANY_PENDING_CONNECTIONS"}


@dataclass(frozen=True)
class Observed:
    """`status` 0: the web server was down, so there is no answer."""

    status: int
    body: Any = None


class Traffic:
    """Calls the API, in a thread while it is entered; `wrong` are the answers that may not be."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.wrong: list[str] = []
        self.answers: Counter[int] = Counter()
        self._world = world
        self._chance = chance
        self._address = urlsplit(world.api.base_url)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic")
        self._people = 0
        self.kept = 0  # the number of the last write that was acknowledged
        self._tried = 0
        self._owner = world.api.get("/users")[0]["id"]
        body = {"name": "kept 0", "owner_id": self._owner}
        self._own: str = world.api("POST", "/calendars", body).data["id"]

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def call(self, method: str, path: str, body: object = None) -> Observed:
        """One call; an answer that may not be is noted. Safe to use in several threads."""
        began = time.monotonic()
        try:
            status, headers, content = self._send(method, path, body)
        except (OSError, http.client.HTTPException) as error:
            if began > self._world.web_trouble_until:
                self._note(
                    method, path, f"no answer after {time.monotonic() - began:.1f} s: {error!r}"
                )
            self.answers[0] += 1
            return Observed(0)
        self.answers[status] += 1
        took = time.monotonic() - began
        if took > LONGEST_SECONDS:
            self._note(method, path, f"{status} after {took:.0f} s")
        try:
            found = json.loads(content)
        except ValueError:
            found = None
        if path in {"/health", "/ready"}:
            fine = status == 200 or (status == 503 and path == "/ready")
        else:
            fine = is_fine(method, status, headers, found)
        if not fine:
            self._note(method, path, f"{status} {dict(headers)} {content[:300]!r}")
        return Observed(status, found)

    def take_wrong(self) -> list[str]:
        """The answers that may not be, since this was asked last."""
        wrong, self.wrong = self.wrong, []
        if not self._stop.is_set() and not self._thread.is_alive():
            wrong.append("the application that calls the API has ended by itself")
        return wrong

    def lost_writes(self) -> list[str]:
        """Writes that were answered with success and are not there any more."""
        name = self._world.api.get(f"/calendars/{self._own}")["name"]
        number = int(name.removeprefix("kept "))
        if self.kept <= number <= self._tried:
            return []
        return [f"write {self.kept} was acknowledged, {number} is there, {self._tried} was tried"]

    def _run(self) -> None:
        while not self._stop.wait(self._chance.uniform(*PAUSE_SECONDS)):
            act = self._chance.choices(
                (self._read, self._rename, self._connect, self._add_person, self._ask),
                (8, 3, 1, 1, 1),
            )[0]
            act()

    def _read(self) -> None:
        link = self._chance.choice(self._world.links)
        below = f"/calendars/{link.calendar_id}"
        paths = (
            "/health", "/ready", "/calendars", "/users", "/calendars/sync-status", below,
            f"{below}/providers", f"{below}/providers/{link.connection_id}", f"{below}/events",
            f"{below}/events?from=2020-01-01&per_page=100&status=tentative",
        )  # fmt: skip
        self.call("GET", self._chance.choice(paths))

    def _rename(self) -> None:
        self._tried += 1
        answer = self.call("PATCH", f"/calendars/{self._own}", {"name": f"kept {self._tried}"})
        if answer.status == 200:
            self.kept = self._tried

    def _connect(self) -> None:
        body = {
            "provider": self._chance.choice(self._world.providers),
            "redirect_uri": REDIRECT_URI,
        }
        answer = self.call("POST", f"/calendars/{self._own}/providers", body)
        if answer.status == 201:
            self.call("DELETE", f"/calendars/{self._own}/providers/{answer.body['data']['id']}")

    def _add_person(self) -> None:
        self._people += 1
        person = {"name": "Traffic", "email": f"traffic-{self._people}@example.com"}
        self.call("POST", "/users", person)

    def _ask(self) -> None:
        self.call("POST", "/calendars/sync")

    def _send(self, method: str, path: str, body: object) -> tuple[int, Any, bytes]:
        host, port = self._address.hostname or "", self._address.port
        connection = http.client.HTTPConnection(host, port, timeout=30)
        headers = {
            "Authorization": f"Bearer {self._world.api.token}",
            "Content-Type": "application/json",
            "Connection": "close",
        }
        prefix = "" if path in {"/health", "/ready"} else "/api/v1"
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, f"{prefix}{path}", text, headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def _note(self, method: str, path: str, what: str) -> None:
        at = time.strftime("%H:%M:%S")
        self.wrong.append(f"{at} {method} {path}: {what}")


def is_fine(method: str, status: int, headers: Mapping[str, str], body: Any) -> bool:
    """Whether an answer may be given in a storm. `body`: decoded, None when it is not JSON."""
    if not isinstance(body, dict):
        return False
    if status in SUCCESS[method]:
        return body.get("success") is True and ("data" in body or "message" in body)
    complete = body.get("success") is False and {"code", "message", "request_id"} <= body.keys()
    if status == 503:
        return complete and body["code"] == "SERVICE_UNAVAILABLE" and "Retry-After" in headers
    return complete and method != "GET" and status == 409 and body["code"] in REFUSALS
