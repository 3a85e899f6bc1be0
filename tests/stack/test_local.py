"""`manage.py run_local`, which is `make run`: the embedded default, as a newcomer meets it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.services import free_port
from tests.stack.conftest import LocalRun, sandbox_at
from tests.stack.flow import assert_same_events, authorize, sync_again, until_synced
from tests.stack.product import ROOT, Client, environment_of, request, until

pytestmark = pytest.mark.stack
ANNA = "anna.keller@sandbox.example"
KEYS = {
    "base_url", "api_token", "environment_id", "user_id", "calendar_id", "provider", "redirect_uri",
    "connect_url", "admin_url", "admin_username", "admin_password", "sandbox_url",
}  # fmt: skip


def paste(command: str) -> tuple[int, dict[str, str]]:
    """What the printed curl does, without curl."""
    words = shlex.split(command)
    assert words[:3] == ["curl", "-X", "POST"]
    headers = dict(
        words[place + 1].split(": ", 1) for place, word in enumerate(words) if word == "-H"
    )
    answer = request("POST", words[3], json.loads(words[words.index("-d") + 1]), headers)
    assert set(answer.body) == {"success", "data"}
    return answer.status, answer.data


def test_a_newcomer_connects_a_calendar_and_comes_back(local_run: LocalRun, tmp_path: Path) -> None:
    known = local_run.start()
    assert set(known) == KEYS
    for name in ("demo.json", "local.env"):
        assert stat.S_IMODE((local_run.folder / name).stat().st_mode) == 0o600

    status, created = paste(local_run.curl)
    assert status == 201
    assert set(created) == {"id", "provider", "authorization_url", "is_active"}
    back = authorize(created["authorization_url"], ANNA)
    assert (back["connection_id"], back["status"]) == (created["id"], "connected")

    api, calendar_id = Client(known["base_url"], known["api_token"]), known["calendar_id"]
    sandbox = sandbox_at(known["sandbox_url"], tmp_path)
    until_synced(api, calendar_id, seconds=10)
    connection = api.connection(calendar_id, created["id"])
    assert connection["is_active"] is True
    assert connection["account"] == ANNA
    assert_same_events(api, calendar_id, sandbox, ANNA)

    first = sandbox.calendar("GET", ANNA, "events?singleEvents=true")["items"][0]
    sandbox.calendar("PATCH", ANNA, f"events/{first['id']}", {"summary": "Changed meanwhile"})
    sync_again(api, calendar_id, created["id"])
    assert_same_events(api, calendar_id, sandbox, ANNA)

    assert local_run.stop() == 0
    assert not processes_of(local_run)

    # The second run finds all of it, also on other ports.
    local_run.environment |= {"PORT": str(free_port()), "SANDBOX_PORT": str(free_port())}
    again = local_run.start()
    moved = {"base_url", "connect_url", "admin_url", "sandbox_url"}
    assert {name: again[name] for name in KEYS - moved} == {
        name: known[name] for name in KEYS - moved
    }
    assert all(again[name] != known[name] for name in moved)
    api = Client(again["base_url"], again["api_token"])
    sync_again(api, calendar_id, created["id"])
    assert_same_events(api, calendar_id, sandbox_at(again["sandbox_url"], tmp_path), ANNA)
    status, second = paste(local_run.curl)
    assert (status, authorize(second["authorization_url"], "ben.ortiz@")["status"]) == (
        201,
        "connected",
    )


def test_a_new_token_is_issued_when_the_file_is_gone(local_run: LocalRun) -> None:
    if local_run.process is None:
        local_run.start()
    known = local_run.known
    assert local_run.stop(signal.SIGTERM) == 0
    (local_run.folder / "demo.json").unlink()
    again = local_run.start()
    assert again["environment_id"] == known["environment_id"]
    assert again["api_token"] != known["api_token"]
    assert again["admin_password"] != known["admin_password"]
    assert Client(again["base_url"], again["api_token"])("GET", "/environment").status == 200


def test_all_stop_when_one_ends(local_run: LocalRun) -> None:
    if local_run.process is None:
        local_run.start()
    assert local_run.process is not None
    running = processes_of(local_run)
    os.kill(next(pid for pid in running if "providers.sandbox" in running[pid]), signal.SIGKILL)
    rest, _ = local_run.process.communicate(timeout=30)
    assert "sandbox has ended (signal 9): stopping the others." in rest
    assert local_run.process.returncode == 1
    local_run.process = None
    assert not processes_of(local_run)


def test_nothing_is_left_when_it_is_killed(local_run: LocalRun) -> None:
    local_run.start()
    assert len(processes_of(local_run)) > 5
    local_run.stop(signal.SIGKILL)
    until(lambda: not processes_of(local_run), "all processes have ended")


@pytest.mark.parametrize("name", ["PORT", "SANDBOX_PORT"])
def test_a_port_in_use_is_one_line(local_run: LocalRun, name: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, said = refused(local_run.environment | {name: str(port)})
    assert code == 1
    assert said.startswith(f"CommandError: Port {port} cannot be used (Address already in use).")
    assert f"make run {name}={port + 1}" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"PORT": "eighty"}, "PORT must be a port number from 1 to 65535, not 'eighty'."),
        ({"PORT": "9000", "SANDBOX_PORT": "9000"}, "PORT=9000 and SANDBOX_PORT=9000"),
        ({"VAR_DIR": "/proc/var"}, "/proc/var cannot be written to"),
    ],
)
def test_what_cannot_work_is_one_line(
    local_run: LocalRun, change: dict[str, str], line: str
) -> None:
    code, said = refused(local_run.environment | change)
    assert code == 1
    assert line in said
    assert said.count("\n") == 1


def refused(environment: dict[str, str]) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "manage.py", "run_local"],
        cwd=ROOT, env=environment_of(environment), capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def processes_of(run: LocalRun) -> dict[int, str]:
    """The commands of all processes that this run, or an earlier one, has started; by pid."""
    mark = f"VAR_DIR={run.folder}\0".encode()
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # ended meanwhile, or not ours to look at
            if mark in (process / "environ").read_bytes():
                words = (process / "cmdline").read_bytes().split(b"\0")
                found[int(process.name)] = b" ".join(words).decode()
    return found
