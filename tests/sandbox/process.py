"""The sandbox as a process of its own, for tests and benchmarks.

with SandboxProcess() as sandbox:
    sandbox.control("POST", "accounts", {"email": "someone@sandbox.example", "events": 10})
    connect_to(sandbox.url)
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import orjson
import urllib3

REPOSITORY = Path(__file__).resolve().parents[2]


class ControlError(AssertionError):
    """The control API refused; the text holds the status and the body."""


class SandboxProcess:
    """One sandbox on a free port with a data folder of its own.

    `environment` holds further SANDBOX_ settings, e.g. `SANDBOX_LARGE_EVENTS`. `data` keeps the
    folder beyond this process. What the process prints is in `output` (a path).
    """

    client_id = "test-client"
    client_secret = "test-secret-of-the-sandbox"
    redirect_uri = "http://client.example/callback"

    def __init__(self, *, data: Path | None = None, **environment: str) -> None:
        self._own_data = data is None
        self.data = data or Path(tempfile.mkdtemp(prefix="sandbox-"))
        self.data.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.output = self.data / "output.txt"
        self._http = urllib3.PoolManager(retries=False, timeout=60)
        self._process: subprocess.Popen[bytes] | None = None
        self.environment = {
            "SANDBOX_PORT": str(self.port),
            "SANDBOX_DATA": str(self.data),
            "SANDBOX_PUBLIC_URL": self.url,
            "SANDBOX_CLIENT_ID": self.client_id,
            "SANDBOX_CLIENT_SECRET": self.client_secret,
            "SANDBOX_REDIRECT_URIS": self.redirect_uri,
            **environment,
        }

    def start(self, seconds: float = 60) -> Self:
        """Start, and wait until it answers. Raises RuntimeError with its output."""
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith("SANDBOX_")
        }
        clean.pop("DJANGO_SETTINGS_MODULE", None)
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "providers.sandbox"],
                cwd=REPOSITORY,
                env=clean | self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                if self._http.request("GET", f"{self.url}/control/settings").status == 200:
                    return self
            except urllib3.exceptions.HTTPError:
                time.sleep(0.05)
        printed = self.output.read_text(errors="replace")
        self.stop()
        raise RuntimeError(f"The sandbox did not start:\n{printed}")

    def control(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Call `/control/{path}` and return its JSON. Raises ControlError unless it answers 200."""
        content = None if body is None else orjson.dumps(body)
        return self._control(method, path, content)

    def _raw(self, method: str, calendar_id: str, name: str, content: bytes | None) -> None:
        path = f"calendars/{quote(calendar_id, safe='')}/raw-events/{quote(name, safe='')}"
        self._control(method, path, content)

    def _control(self, method: str, path: str, content: bytes | None) -> dict[str, Any]:
        response = self._http.request(
            method,
            f"{self.url}/control/{path}",
            body=content,
            headers={"Content-Type": "application/json"},
        )
        if response.status != 200:
            raise ControlError(f"{method} {path}: {response.status} {response.data[:500]!r}")
        answer: dict[str, Any] = orjson.loads(response.data)
        return answer

    def calendar(
        self, method: str, calendar_id: str, path: str, body: Any = None
    ) -> dict[str, Any]:
        """Call `/control/calendars/{calendar_id}/{path}`, with the id percent-encoded; without a
        path the calendar's own."""
        below = f"/{path}" if path else ""
        return self.control(method, f"calendars/{quote(calendar_id, safe='')}{below}", body)

    def raw_event(self, calendar_id: str, name: str, content: bytes) -> None:
        """Let the calendar list this JSON to the letter; see tests/sandbox/malformed.py."""
        self._raw("PUT", calendar_id, name, content)

    def remove_raw_event(self, calendar_id: str, name: str) -> None:
        """Delete a raw event; what is left is a cancelled one with the id `name`."""
        self._raw("DELETE", calendar_id, name, None)

    def account(self, email: str, **fields: Any) -> str:
        """Create an account (`events=N`: N plain events); its main calendar has the id `email`."""
        self.control("POST", "accounts", {"email": email, **fields})
        return email

    def trouble(self, kind: str, target: str, times: int | None = 1, **more: Any) -> None:
        """Order a trouble, e.g. `trouble("rate_limited", "events", retry_after=2)`."""
        order = {"kind": kind, "target": target, "times": times, **more}
        self.control("POST", "troubles", order)

    def switch(self, account: str | None = None, **switches: Any) -> None:
        """Set switches, of everybody or of one account, e.g. `switch(push_times=2)`."""
        where = "settings" if account is None else f"accounts/{quote(account)}/settings"
        self.control("POST", where, switches)

    def channels(self) -> list[dict[str, Any]]:
        """All watch channels, each with its `messages` and what they were answered with."""
        found: list[dict[str, Any]] = self.control("GET", "channels")["channels"]
        return found

    def counts(self) -> dict[str, int]:
        """How many came, e.g. `{"token": 2, "token:refresh_token": 1, "events:200": 4}`."""
        counts: dict[str, int] = self.control("GET", "requests")["counts"]
        return counts

    def calm(self) -> None:
        """Back to normal: no troubles, default switches, no channels, an empty request log."""
        self.control("DELETE", "troubles")
        self.control("DELETE", "requests")
        self.control("DELETE", "settings")
        self.control("DELETE", "channels")
        self.control("DELETE", "subscriptions")

    def stop(self) -> None:
        """Stop it and remove its data folder, unless the folder was given."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._http.clear()
        if self._own_data:
            shutil.rmtree(self.data, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def free_port() -> int:
    """A TCP port of the loopback interface that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
