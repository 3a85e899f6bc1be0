"""CalDAV servers for tests: Radicale and Xandikos, each a process with files of its own.

Both are GPL and none of our processes imports them. A `CalDavServer` is reached by plain http at a
host that the door has to be told of; `open_radicale()` and `open_xandikos()` start and end one.
"""

from __future__ import annotations

import base64
import http.client
import json
import shutil
import signal
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import escape

from tests.services import Server, free_port, running, temporary_folder

PASSWORD = "app-password-canary"


@dataclass
class Reply:
    status: int
    headers: Mapping[str, str]
    body: str


@dataclass
class CalDavServer:
    """A running server with one account; `hands` are the requests of another client of its."""

    name: str
    process: Server
    port: int
    user: str
    principal: str  # paths
    home: str
    password: str = field(default=PASSWORD, repr=False)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def request(
        self,
        method: str,
        path: str,
        body: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """As another program of the same person."""
        proof = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request(
                method,
                path,
                body.encode(),
                {"Authorization": f"Basic {proof}", **(headers or {})},
            )
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
            return Reply(answer.status, dict(answer.getheaders()), text)

    def make_calendar(self, name: str = "", *, zone: str = "", color: str = "") -> str:
        """A new, empty calendar; its URL."""
        path = f"{self.home}{uuid.uuid4().hex[:12]}/"
        properties = f"<d:displayname>{escape(name or path)}</d:displayname>"
        if color:
            properties += f"<i:calendar-color>{color}</i:calendar-color>"
        if zone:
            lines = ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//tests//EN", "BEGIN:VTIMEZONE")
            text = "\n".join([*lines, f"TZID:{zone}", "END:VTIMEZONE", "END:VCALENDAR"])
            properties += f"<c:calendar-timezone>{text}</c:calendar-timezone>"
        body = (
            '<c:mkcalendar xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"'
            f' xmlns:i="http://apple.com/ns/ical/"><d:set><d:prop>{properties}</d:prop></d:set>'
            "</c:mkcalendar>"
        )
        made = self.request("MKCALENDAR", path, body, {"Content-Type": "application/xml"})
        assert made.status == 201, made
        return f"{self.url}{path}"

    def put(self, calendar_url: str, text: str, name: str = "") -> str:
        """Store an object, or replace the one of this name; its path."""
        path = f"{calendar_url.removeprefix(self.url)}{name or f'{uuid.uuid4().hex}.ics'}"
        stored = self.request("PUT", path, text, {"Content-Type": "text/calendar; charset=utf-8"})
        assert stored.status in {200, 201, 204}, stored
        return path

    def get(self, path: str) -> str:
        got = self.request("GET", path)
        assert got.status == 200, got
        return got.body

    def delete(self, path: str) -> None:
        assert self.request("DELETE", path).status in {200, 204}


@contextmanager
def open_radicale(user: str = "anna", *others: str) -> Iterator[CalDavServer]:
    """Radicale: Basic, a password from a file, sync-collection; hrefs below `/<user>/`. `others`
    have accounts there, too.
    """
    with temporary_folder("radicale") as folder:
        port = free_port()
        names = (user, "guest", *others)
        (folder / "users").write_text("".join(f"{name}:{PASSWORD}\n" for name in names))
        (folder / "config").write_text(
            f"[server]\nhosts = 127.0.0.1:{port}\n"
            f"[auth]\ntype = htpasswd\nhtpasswd_filename = {folder}/users\n"
            "htpasswd_encryption = plain\ndelay = 0\n"
            f"[rights]\ntype = from_file\nfile = {folder}/rights\n"
            f"[storage]\nfilesystem_folder = {folder}/data\n"
            "[web]\ntype = none\n"
        )
        (folder / "rights").write_text(_RIGHTS)
        command = [sys.executable, "-m", "radicale", "--config", str(folder / "config")]
        with _opened(folder, port, command) as process:
            home = f"/{quote(user)}/"
            yield CalDavServer("radicale", process, port, user, home, home)


@contextmanager
def open_xandikos(user: str = "anna") -> Iterator[CalDavServer]:
    """Xandikos: a home below the principal, sync-collection over git. It asks for no password: it
    wants a certificate of its own for that, which nobody would trust.
    """
    with temporary_folder("xandikos") as folder:
        port = free_port()
        command = [
            *(sys.executable, "-m", "xandikos", "serve", "--directory", str(folder / "data")),
            *("--listen-address", "127.0.0.1", "--port", str(port), "--defaults"),
            *("--current-user-principal", f"/{user}/", "--no-detect-systemd"),
            *("--state-dir", str(folder / "state")),
        ]
        with _opened(folder, port, command) as process:
            principal = f"/{user}/"  # it does not escape `@` in its hrefs, Radicale does
            yield CalDavServer("xandikos", process, port, user, principal, f"{principal}calendars/")


def read_only_copy(radicale: CalDavServer, calendar_url: str) -> str:
    """The URL of a copy of a calendar at Radicale that its owner may only read."""
    root = radicale.process.folder / "data" / "collection-root" / radicale.user
    shutil.rmtree(root / "read-only", ignore_errors=True)
    shutil.copytree(root / calendar_url.rstrip("/").rpartition("/")[2], root / "read-only")
    return f"{radicale.url}{radicale.home}read-only/"


def many_calendars(radicale: CalDavServer, count: int) -> CalDavServer:
    """The same server as `guest` sees it, who has so many calendars."""
    home = radicale.process.folder / "data" / "collection-root" / "guest"
    for number in range(count):
        folder = home / f"{number:04}"
        folder.mkdir(parents=True)
        properties = {"tag": "VCALENDAR", "D:displayname": f"Calendar {number}"}
        (folder / ".Radicale.props").write_text(json.dumps(properties))
    return replace(radicale, user="guest", principal="/guest/", home="/guest/")


# Everybody owns what is below their name; what is called `read-only` they may only read.
_RIGHTS = """
[root]
user: .+
collection:
permissions: R
[principal]
user: .+
collection: {user}
permissions: RW
[frozen]
user: .+
collection: {user}/read-only
permissions: r
[own]
user: .+
collection: {user}/[^/]+
permissions: rw
"""


@contextmanager
def _opened(folder: Path, port: int, command: list[str]) -> Iterator[Server]:
    (folder / "data").mkdir()
    server = Server(
        url=f"http://127.0.0.1:{port}",
        folder=folder,
        command=command,
        answers=lambda _pid: _answers(port),
        ends_with=signal.SIGTERM,
    )
    with running(server):
        yield server


def _answers(port: int) -> bool:
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("OPTIONS", "/")
            return connection.getresponse().status < 500
    except OSError:
        return False
