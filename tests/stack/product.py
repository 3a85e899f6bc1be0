"""The product as an operator runs it: the Procfile's processes, and a client that knows HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from talkover.processes import end_with_parent

ROOT = Path(__file__).resolve().parent.parent.parent
WAIT_SECONDS = 60.0
STOP_SECONDS = 30.0
REDIRECT_URI = "https://example.com/oauth/calendar/callback"

T = TypeVar("T")
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def procfile() -> dict[str, str]:
    """The commands of the Procfile by name."""
    lines = (ROOT / "Procfile").read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines)


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any

    @property
    def data(self) -> Any:
        """`data` of a successful envelope."""
        assert self.body["success"] is True, self.body
        return self.body["data"]


def request(
    method: str, url: str, body: object = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """One request with JSON in and out. An error status is an answer, too."""
    data = None if body is None else json.dumps(body).encode()
    prepared = urllib.request.Request(
        url, data, {"Content-Type": "application/json", **(headers or {})}, method=method
    )
    try:
        with _direct.open(prepared, timeout=30) as response:
            return Answer(response.status, json.loads(response.read()))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, json.loads(error.read()))


def until(condition: Callable[[], T], what: str, *, seconds: float = WAIT_SECONDS) -> T:
    """Wait until `condition` gives something true, and return that."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"after {seconds} seconds still not: {what}"
        time.sleep(0.05)
    return result


@dataclass
class Processes:
    """Runs commands of a shell; what they print goes to files of their names."""

    folder: Path
    environment: dict[str, str]
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, command: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {command}"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=end_with_parent(signal.SIGKILL),  # noqa: PLW1509  one prctl call
            )

    def stop(self, name: str, how: signal.Signals = signal.SIGTERM) -> int:
        """End the process; returns its exit code. SIGKILL hits its children, too."""
        process = self._running.pop(name)
        if how == signal.SIGKILL:
            with suppress(ProcessLookupError):  # all of them have ended already
                os.killpg(process.pid, how)
        else:
            process.send_signal(how)
        try:
            return process.wait(STOP_SECONDS)
        finally:
            self._end_group(process)

    def pid(self, name: str) -> int:
        return self._running[name].pid

    def is_known(self, name: str) -> bool:
        """Whether it was started and not stopped by us."""
        return name in self._running

    def is_running(self, name: str) -> bool:
        return name in self._running and self._running[name].poll() is None

    def stop_all(self) -> None:
        for process in self._running.values():
            process.terminate()
        for name in list(self._running):
            self.stop(name, signal.SIGKILL)

    def check(self) -> None:
        """Fail, with the end of its log, when a process has ended by itself."""
        for name, process in self._running.items():
            assert process.poll() is None, f"{name} has ended:\n{self.log(name)[-3000:]}"

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def run(self, command: list[str], **options: Any) -> str:
        """Run a command to its end; returns what it printed."""
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False,
            **options,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-3000:]}"
        printed: str = done.stdout
        return printed

    @staticmethod
    def _end_group(process: subprocess.Popen[bytes]) -> None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        process.wait()


@dataclass(frozen=True)
class Client:
    """The API as an application's backend sees it."""

    base_url: str
    token: str

    def __call__(self, method: str, path: str, body: object = None) -> Answer:
        headers = {"Authorization": f"Bearer {self.token}"}
        return request(method, f"{self.base_url}/api/v1{path}", body, headers)

    def get(self, path: str) -> Any:
        answer = self("GET", path)
        assert answer.status == 200, answer
        return answer.data

    def create_connection(self, calendar_id: str, provider: str, **more: str) -> Any:
        body = {"provider": provider, "redirect_uri": REDIRECT_URI, **more}
        answer = self("POST", f"/calendars/{calendar_id}/providers", body)
        assert answer.status == 201, answer
        return answer.data

    def connection(self, calendar_id: str, connection_id: str) -> Any:
        found = self.get(f"/calendars/{calendar_id}/providers")
        return next(one for one in found if one["id"] == connection_id)

    def events(self, calendar_id: str) -> list[dict[str, Any]]:
        """All events of the calendar, page after page."""
        events: list[dict[str, Any]] = []
        page = 1
        while True:
            path = f"/calendars/{calendar_id}/events?per_page=100&page={page}"
            answer = self("GET", path)
            assert answer.status == 200, answer
            events += answer.data
            if page >= answer.body["pagination"]["last_page"]:
                return events
            page += 1


def environment_of(values: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with `values`, and the virtual environment's programs first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PYTHONUNBUFFERED": "1", "PATH": path, **values}
