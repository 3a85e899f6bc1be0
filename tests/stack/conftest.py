"""Installations, by the ways to run: as production on PostgreSQL and Redis, and `run_local`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from talkover.local import answers
from tests.plugin import base_environment
from tests.sandbox.process import SandboxProcess
from tests.services import free_port, start_postgres, start_redis
from tests.stack.flow import register_at_sandbox
from tests.stack.product import (
    REDIRECT_URI,
    ROOT,
    Client,
    Processes,
    environment_of,
    procfile,
    until,
)


@dataclass(frozen=True)
class Installation:
    """A running product with one environment, and the sandbox it is connected to."""

    processes: Processes
    api: Client
    sandbox: SandboxProcess
    provider: str
    signing_key: str

    def new_calendar(self, name: str = "Appointments") -> str:
        """A calendar of a new person; returns its id."""
        person = {"name": "Ada", "email": f"ada-{os.urandom(6).hex()}@example.com"}
        owner = self.api("POST", "/users", person).data
        calendar: str = self.api(
            "POST", "/calendars", {"name": name, "owner_id": owner["id"]}
        ).data["id"]
        return calendar

    def manage(self, *arguments: str, **options: Any) -> Any:
        """Run a management command with --json; returns what it printed."""
        command = [sys.executable, "manage.py", *arguments, "--json"]
        return json.loads(self.processes.run(command, **options))


@contextmanager
def database(name: str) -> Iterator[str]:
    """A new database of the tests' own PostgreSQL server, or of one started for this."""
    with ExitStack() as services:
        server = os.environ.get("DATABASE_URL", "")
        if not server.startswith("postgres"):
            server = services.enter_context(start_postgres())
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
            try:
                yield urlsplit(server)._replace(path=f"/{name}").geturl()
            finally:
                connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@contextmanager
def installed(folder: Path, **changes: str) -> Iterator[Installation]:
    """The Procfile's processes, set up with the commands of docs/deployment.md."""
    port = free_port()
    base_url = f"http://127.0.0.1:{port}"
    commands = procfile()
    with (
        SandboxProcess() as sandbox,
        database(f"stack_{os.getpid()}_{folder.name}") as database_url,
        start_redis() as redis_url,
    ):
        settings = {
            **base_environment(folder),
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "PUBLIC_BASE_URL": base_url,
            "OUTBOUND_ALLOWED_HOSTS": f"127.0.0.1:{sandbox.port}",
            "STATIC_ROOT": str(folder / "static"),
            "GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port}",
            "WEB_CONCURRENCY": "2",
            # A test does not wait for minutes; all else is as it comes.
            "SYNC_DISPATCH_SECONDS": "1",
            "HOUSEKEEPING_SECONDS": "2",
            "SYNC_LEASE_SECONDS": "4",
            **changes,
        }
        processes = Processes(folder, environment_of(settings))
        try:
            processes.run(["/bin/sh", "-c", commands["release"]])
            for name in ("web", "worker", "beat"):
                processes.start(name, commands[name])
            installation = set_up(processes, base_url, sandbox)
            until_ready(processes, base_url)
            yield installation
            processes.check()
        finally:
            processes.stop_all()


@pytest.fixture(scope="session")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Polling only: its tests count what the provider is asked."""
    with installed(tmp_path_factory.mktemp("production"), PUSH_NOTIFICATIONS="off") as product:
        yield product


def set_up(processes: Processes, base_url: str, sandbox: SandboxProcess) -> Installation:
    """An environment, a token and a provider, as an operator makes them."""
    bare = Installation(processes, Client(base_url, ""), sandbox, "calendar_provider_a", "")
    environment = bare.manage(
        "create_environment", "Stack", "--redirect-uri", REDIRECT_URI, "--rate-limit", "1000000"
    )
    token = bare.manage("issue_token", "Stack")["token"]
    register_at_sandbox(
        bare.manage, sandbox, "Stack", bare.provider,
        client_id=sandbox.client_id, client_secret=sandbox.client_secret,
    )  # fmt: skip
    return replace(bare, api=Client(base_url, token), signing_key=environment["signing_key"])


def until_ready(processes: Processes, base_url: str) -> None:
    def ready() -> bool:
        processes.check()
        return answers(f"{base_url}/ready")

    until(ready, "the product answers")


@dataclass
class LocalRun:
    """`manage.py run_local` in a folder of its own; it can be stopped and run again."""

    folder: Path
    environment: dict[str, str]
    process: subprocess.Popen[str] | None = None
    printed: str = ""

    @property
    def curl(self) -> str:
        """The command that was printed to be pasted."""
        return next(line for line in self.printed.splitlines() if line.startswith("curl "))

    def start(self) -> dict[str, str]:
        """Run until it says that it runs; returns what is in demo.json."""
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "run_local"],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.printed = ""
        for line in self.process.stdout:
            self.printed += line
            if line.startswith("curl "):
                break
        else:
            pytest.fail(f"run_local ended ({self.process.wait()}):\n{self.printed}")
        return self.known

    @property
    def known(self) -> dict[str, str]:
        """What is in demo.json."""
        known: dict[str, str] = json.loads((self.folder / "demo.json").read_text())
        return known

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """As Ctrl-C in a terminal, by default; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(how)
        rest, _ = self.process.communicate(timeout=30)
        self.printed += rest
        code = self.process.returncode
        self.process = None
        return code


@contextmanager
def new_local_run(folder: Path) -> Iterator[LocalRun]:
    """A run that has VAR_DIR in `folder`, on free ports; not started yet, ended afterwards."""
    ports = {name: str(free_port()) for name in ("PORT", "SANDBOX_PORT", "CALDAV_PORT")}
    environment = environment_of({"VAR_DIR": str(folder), **ports})
    for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "CREDENTIAL_KEYS", "ENV_FILE"):
        environment.pop(name, None)
    run = LocalRun(folder, environment)
    try:
        yield run
    finally:
        if run.process is not None:
            run.stop(signal.SIGTERM)


@pytest.fixture(scope="session")
def local_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRun]:
    with new_local_run(tmp_path_factory.mktemp("local") / "var") as run:
        yield run


def sandbox_at(url: str, folder: Path) -> SandboxProcess:
    """A handle on a sandbox that somebody else has started; `folder` is for nothing."""
    sandbox = SandboxProcess(data=folder)
    sandbox.url = url
    return sandbox
