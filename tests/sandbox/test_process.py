"""Starting, starting again, stopping."""

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import urllib3

from tests.sandbox.client import Client
from tests.sandbox.process import REPOSITORY, SandboxProcess


def test_a_second_start_finds_everything_as_it_was(tmp_path: Path) -> None:
    first = SandboxProcess(data=tmp_path, SANDBOX_LARGE_EVENTS="5").start()
    email = first.account("kept@sandbox.example", events=3)
    client = Client(first).connect(email)
    before, token = client.all_events()
    first.trouble("hang", "events", times=None, milliseconds=60_000)
    http = urllib3.PoolManager(retries=False, timeout=0.2)
    with suppress(urllib3.exceptions.HTTPError):
        http.request(
            "GET", f"{first.url}/calendar/v3/calendars/primary/events", headers=_bearer(client)
        )
    began = time.monotonic()
    first.stop()
    assert time.monotonic() - began < 3, "a request that hangs does not hold up the stop"
    assert first.output.read_text() == f"sandbox: serving {first.url}\n"
    second = SandboxProcess(data=tmp_path, SANDBOX_REDIRECT_URIS="http://moved.example/cb").start()
    try:
        client.sandbox = second
        assert client.all_events()[0] == before
        assert client.all_events(syncToken=token)[0] == []
        assert client.refresh().status == 200
        assert len(second.control("GET", "accounts")["accounts"]) == 9
        url = client.authorization_url(redirect_uri=first.redirect_uri)
        # The client is as configured now.
        assert http.request("GET", url, timeout=20).status == 400
    finally:
        second.stop()


def test_a_new_database_is_what_the_migrations_make(
    sandbox: SandboxProcess, tmp_path: Path
) -> None:
    code = (
        "import django; django.setup(); from django.core.management import call_command as call; "
        "call('migrate', verbosity=0, run_syncdb=True, skip_checks=True); "
        "call('makemigrations', check_changes=True, dry_run=True, skip_checks=True)"
    )
    settings = {
        "DJANGO_SETTINGS_MODULE": "providers.sandbox.settings",
        "SANDBOX_DATA": str(tmp_path),
    }
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY, env=os.environ | settings, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert _tables(sandbox.data / "sandbox.sqlite3") == _tables(tmp_path / "sandbox.sqlite3")


def test_a_port_in_use_is_one_clear_line(sandbox: SandboxProcess, tmp_path: Path) -> None:
    settings = {"SANDBOX_PORT": str(sandbox.port), "SANDBOX_DATA": str(tmp_path / "data")}
    run = subprocess.run(
        [sys.executable, "-m", "providers.sandbox"],
        cwd=REPOSITORY, env=os.environ | settings, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1
    assert f"127.0.0.1:{sandbox.port}" in run.stderr
    assert not (tmp_path / "data").exists()


def test_a_wrong_setting_is_one_clear_line() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "providers.sandbox"],
        cwd=REPOSITORY, env=os.environ | {"SANDBOX_PORT": "high"}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 1
    assert run.stderr == "sandbox: SANDBOX_PORT must be a whole number, not 'high'.\n"


def test_it_imports_nothing_of_the_product() -> None:
    code = (
        "import sys, django; django.setup(); import providers.sandbox.urls; "
        "print([name for name in sys.modules if name.split('.')[0] in ('talkover', 'calendars') "
        "or name.startswith('providers.') and not name.startswith('providers.sandbox')])"
    )
    settings = {"DJANGO_SETTINGS_MODULE": "providers.sandbox.settings"}
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY, env=os.environ | settings, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert run.stdout.strip() == "[]", run.stderr


def _tables(database: Path) -> dict[str, object]:
    """All tables: their columns with types, and what their indexes cover."""
    with closing(sqlite3.connect(database)) as connection:
        ask = connection.execute
        names = [name for (name,) in ask("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: (
                sorted(row[1:4] for row in ask(f"PRAGMA table_info({name})")),
                sorted(
                    (row[2], [part[2] for part in ask(f"PRAGMA index_info({row[1]})")])
                    for row in ask(f"PRAGMA index_list({name})")
                ),
            )
            for name in names
        }


def _bearer(client: Client) -> dict[str, str]:
    return {"Authorization": f"Bearer {client.tokens['access_token']}"}
