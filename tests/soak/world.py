"""The whole installation under the storm: servers, processes, provider, and connected calendars."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from redis import Redis

from tests.caldav_servers import open_radicale
from tests.plugin import base_environment
from tests.sandbox.process import SandboxProcess
from tests.services import Server, free_port, postgres_server, redis_server
from tests.soak.caldav_side import CalDavSide
from tests.soak.google_side import GoogleSide
from tests.soak.ics_side import IcsSide
from tests.soak.microsoft_side import MicrosoftSide
from tests.soak.sides import Link, Side
from tests.stack.product import (
    REDIRECT_URI,
    Client,
    Processes,
    environment_of,
    procfile,
    until,
)

ENVIRONMENT = "Storm"
WORKERS = {"worker": 2, "second": 1}  # with the number of their pool children
# Events of the calendars, in turn. Google's page holds 2,500, Microsoft's 500: the first two have
# more than one.
SIZES = (5200, 2700, 150, 60, 40, 30, 25, 20)
# A test does not wait for minutes; all else is as it comes.
SETTINGS = {
    "WEB_CONCURRENCY": "2",
    "SYNC_DISPATCH_SECONDS": "1",
    "HOUSEKEEPING_SECONDS": "2",
    "SYNC_LEASE_SECONDS": "3",
    "SYNC_INTERVAL_SECONDS": "5",
    "OUTBOUND_READ_TIMEOUT_SECONDS": "3",
    "OUTBOUND_TOTAL_TIMEOUT_SECONDS": "6",
    "AUTHORIZATION_REQUEST_SECONDS": "60",
    "AUTHORIZATION_STARTS_PER_MINUTE": "100000",
}

_NO_CHILDREN = "Could not start worker processes"


@dataclass
class World:
    """`web_trouble_until`: calls begun before that moment (monotonic) may fail on the wire.

    `grave` are accounts whose grant was ended, `silenced` those told to wait for long, `paused`
    configurations whose registration was refused: what only a person or the operator can mend.
    `fallen` are processes that have ended by themselves, `_bereft` those whose child was killed.
    """

    postgres: Server
    redis: Server
    sides: dict[str, Side]
    processes: Processes
    commands: dict[str, str]
    api: Client
    links: list[Link] = field(default_factory=list)
    web_trouble_until: float = 0.0
    web_is_ending: bool = False
    grave: set[str] = field(default_factory=set)
    silenced: set[str] = field(default_factory=set)
    paused: set[str] = field(default_factory=set)
    fallen: list[str] = field(default_factory=list)
    _bereft: set[str] = field(default_factory=set)

    def start(self, name: str) -> None:
        self._bereft.discard(name)
        self.processes.start(name, self.commands[name])

    def kill(self, name: str) -> None:
        """Kill -9 the process with all its children."""
        if name == "web":
            self.web_trouble_until = math.inf
        self.processes.stop(name, signal.SIGKILL)

    def kill_parent(self, name: str) -> None:
        """Kill -9 the process alone; its children are left to find out."""
        os.kill(self.processes.pid(name), signal.SIGKILL)

    def kill_child(self, name: str, which: float) -> bool:
        """Kill -9 one of its children, `which` from 0 to 1 says which; False without any."""
        children = children_of(self.processes.pid(name))
        if not children:
            return False
        with suppress(ProcessLookupError):
            os.kill(children[int(which * len(children))], signal.SIGKILL)
        self._bereft.add(name)
        if name == "web":  # what it had begun; new calls wait for the other child
            self.web_trouble_until = max(self.web_trouble_until, time.monotonic())
        return True

    def await_web(self) -> None:
        """Wait until a web server that was started answers: from then on it has to."""
        if self.web_trouble_until == math.inf:
            until(self.notice_web, "the web server answers", seconds=40)

    def notice_web(self) -> bool:
        """Whether the web server answers. A fault does not wait for it, but looks now and then."""
        if self.web_is_ending:  # it answers still, but not for long
            return False
        if self.web_trouble_until == math.inf and self._web_answers():
            self.web_trouble_until = time.monotonic()
        return self.web_trouble_until != math.inf

    def await_workers(self) -> None:
        """Wait until the workers have their pools. A hint given to a pool that dies is lost."""

        def complete() -> bool:
            return all(
                len(children_of(self.processes.pid(name))) >= count
                for name, count in WORKERS.items()
            )

        until(complete, "the workers have started", seconds=40)

    def ask_to_end(self, name: str) -> None:
        """Let the process finish what it has begun, and end."""
        if name == "web":
            self.web_trouble_until, self.web_is_ending = math.inf, True
        with suppress(ProcessLookupError):
            os.kill(self.processes.pid(name), signal.SIGTERM)

    def renew(self, name: str) -> None:
        """Wait for the end of a process that was asked for it, and start it again."""
        if name == "web":
            self.web_trouble_until, self.web_is_ending = math.inf, False
        self.processes.stop(name)
        self.start(name)

    def make_whole(self) -> None:
        """Start what does not run, and wait until web server and workers have started."""
        for server in (self.postgres, self.redis):
            server.start()
        for name in self.commands:
            if not self.processes.is_known(name):
                self.start(name)
        self.restart_fallen()
        self.await_web()
        self.await_workers()

    def restart_fallen(self) -> None:
        """Restart processes that have ended by themselves, and remember their names."""
        for name in self.commands:
            if self.processes.is_known(name) and not self.processes.is_running(name):
                if not self._gave_up(name):
                    self.fallen.append(name)
                self.processes.stop(name, signal.SIGKILL)
                self.start(name)

    def _gave_up(self, name: str) -> bool:
        """Whether it is a worker that lost its only child while both were starting: Celery ends it
        then, and whoever supervises it starts it again.
        """
        return name in self._bereft and _NO_CHILDREN in self.processes.log(name)[-4000:]

    def is_listing(self, link: Link, *, seconds: float) -> bool:
        """Wait so long until a full listing of it has stored a page and is under way."""
        deadline = time.monotonic() + seconds
        with self.database() as connection:
            connection.autocommit = True
            while time.monotonic() < deadline:
                found = connection.execute(
                    "SELECT 1 FROM providers_syncrun AS run"
                    " JOIN providers_externalcalendar AS source ON source.id = external_calendar_id"
                    " WHERE run.connection_id = %s AND run.kind = 'full' AND status = 'running'"
                    " AND pages > 0 AND run.fence = source.fence AND lease_until > now()",
                    (link.connection_id,),
                )
                if found.fetchone():
                    return True
                time.sleep(0.05)
        return False

    @contextmanager
    def database(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection of the superuser's."""
        with psycopg.connect(self.postgres.url, connect_timeout=5) as connection:
            yield connection

    def flush_redis(self) -> None:
        """Let Redis forget everything: queues, bindings, counters."""
        with Redis.from_url(self.redis.url) as redis:
            redis.flushall()

    @property
    def providers(self) -> list[str]:
        """The identifiers of all configurations."""
        return [name for side in self.sides.values() for name in side.providers]

    def resume(self, provider: str) -> None:
        """As staff do once they have looked at a registration: changing it ends a pause."""
        self.manage("change_provider", ENVIRONMENT, provider, "--active")

    def reconnect(self, link: Link) -> None:
        """As a person does whose connection asks for it."""
        path = f"/calendars/{link.calendar_id}/providers/{link.connection_id}/reconnect"
        answer = self.api("POST", path, {"redirect_uri": REDIRECT_URI})
        assert answer.status == 201, answer
        self._authorize(link.side, answer.data, link.account)

    def link(self, number: int, *, side: str, provider: str, events: int) -> Link:
        """Connect a new calendar with a new account of so many events."""
        account, remote_id = self.sides[side].add_account(number, events)
        person = {"name": f"Storm {number}", "email": f"storm-{number}@example.com"}
        owner = self.api("POST", "/users", person).data
        body = {"name": f"Calendar {number}", "owner_id": owner["id"]}
        calendar_id: str = self.api("POST", "/calendars", body).data["id"]
        created = self.api.create_connection(calendar_id, provider)
        self._authorize(side, created, account)
        return Link(number, calendar_id, created["id"], account, provider, side, remote_id)

    def _authorize(self, side: str, created: Mapping[str, str], account: str) -> None:
        back = self.sides[side].authorize(created["authorization_url"], account)
        assert back["status"] == "connected", back

    def manage(self, *arguments: str, **options: Any) -> Any:
        """Run a management command with --json; returns what it printed."""
        command = [sys.executable, "manage.py", *arguments, "--json"]
        return json.loads(self.processes.run(command, **options))

    def _web_answers(self) -> bool:
        # Not /ready: the database may be away at this moment, on purpose.
        with suppress(OSError):
            return Client(self.api.base_url, "")("GET", "/health").status == 200
        return False


def children_of(pid: int) -> list[int]:
    """Ids of the processes that this one has started, in the order of their ids."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The second field is a name in parentheses, which may hold anything.
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                found.append(int(path.parent.name))
    return sorted(found)


@contextmanager
def build(folder: Path, *, calendars: int) -> Iterator[World]:
    """Everything up and connected; logs go to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    base_url = f"http://127.0.0.1:{port}"
    commands = procfile()
    migrate = commands.pop("release").split(" && ")[0]  # without the static files
    worker = commands["worker"]
    for name, children in WORKERS.items():
        commands[name] = f"{worker} --hostname {name}@%h --concurrency {children}"
    with (
        # What was answered for must be there after a kill.
        postgres_server(options={"synchronous_commit": "on"}) as postgres,
        redis_server() as redis,
        SandboxProcess(data=folder / "sandbox") as sandbox,
        open_radicale(*map(CalDavSide.user, range(calendars))) as radicale,
        closing(CalDavSide(radicale)) as caldav,
        closing(IcsSide()) as ics,
    ):
        sides: list[Side] = [GoogleSide(sandbox), MicrosoftSide(sandbox), caldav, ics]
        settings = {
            **base_environment(folder),
            "DATABASE_URL": postgres.url,
            "REDIS_URL": redis.url,
            "PUBLIC_BASE_URL": base_url,
            "OUTBOUND_ALLOWED_HOSTS": ",".join({host for side in sides for host in side.hosts}),
            "STATIC_ROOT": str(folder / "static"),
            "GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port}",
            **SETTINGS,
        }
        processes = Processes(folder, environment_of(settings))
        bare = Client(base_url, "")
        world = World(
            postgres, redis, {side.name: side for side in sides}, processes, commands, bare
        )
        try:
            processes.run(["/bin/sh", "-c", migrate])
            _set_up(world)
            for name in commands:
                world.start(name)
            world.web_trouble_until = math.inf
            world.await_web()
            world.links = list(_links(world, calendars))
            yield world
        finally:
            processes.stop_all()


def _set_up(world: World) -> None:
    world.manage(
        "create_environment", ENVIRONMENT, "--redirect-uri", REDIRECT_URI, "--rate-limit", "1000000"
    )
    token = world.manage("issue_token", ENVIRONMENT)["token"]
    world.api = Client(world.api.base_url, token)
    for side in world.sides.values():
        side.register(world.manage, ENVIRONMENT)


def _links(world: World, calendars: int) -> Iterator[Link]:
    """One side after the other, and each time round the next configuration of theirs."""
    sides = list(world.sides.values())
    for number in range(calendars):
        turn, which = divmod(number, len(sides))
        side = sides[which]
        provider = side.providers[turn % len(side.providers)]
        yield world.link(
            number, side=side.name, provider=provider, events=SIZES[number % len(SIZES)]
        )
