"""`manage.py run_local`, which is `make run`: the whole product on this machine, until Ctrl-C."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from providers.management import radicale
from talkover.local import (
    LocalRunError,
    answers,
    check_port,
    ensure_local_env,
    only_run,
    read_port,
    unwritable,
)
from talkover.processes import Program, Supervisor

START_SECONDS = 60.0
SANDBOX_CLIENT_ID = "talkover-calendars-demo"


class Command(BaseCommand):
    help = "Run web, worker and sandbox with a demo environment, on PORT and SANDBOX_PORT."
    # On the first run there are no secrets yet; what is started here checks itself.
    requires_system_checks: list[str] = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        try:
            port, sandbox_port = read_port("PORT", 8000), read_port("SANDBOX_PORT", 9000)
            caldav_port = read_port("CALDAV_PORT", sandbox_port + 1)
            ports = {"PORT": port, "SANDBOX_PORT": sandbox_port}
            if radicale.is_installed():
                ports["CALDAV_PORT"] = caldav_port
            if len(set(ports.values())) < len(ports):
                said = " and ".join(f"{name}={number}" for name, number in ports.items())
                raise LocalRunError(f"Two programs cannot share a port: {said}. Choose others.")
            with only_run(settings.VAR_DIR):
                secrets = _prepare_folder()
                for name, number in ports.items():
                    check_port(name, number)
                run = LocalRun(
                    port=port,
                    sandbox_port=sandbox_port,
                    secrets=secrets,
                    caldav=_prepare_caldav(ports.get("CALDAV_PORT"), secrets),
                )
                code = run.run()
        except LocalRunError as error:
            raise CommandError(error) from None
        if code:
            sys.exit(code)


class LocalRun:
    """One run: prepares the demo, then starts the programs and tells where everything is."""

    def __init__(
        self,
        *,
        port: int,
        sandbox_port: int,
        secrets: dict[str, str],
        caldav: radicale.Demo | None,
    ) -> None:
        self._port = port
        self._caldav = caldav
        self._base_url = f"http://127.0.0.1:{port}"
        self._sandbox_url = f"http://127.0.0.1:{sandbox_port}"
        allowed = {*settings.OUTBOUND_ALLOWED_HOSTS, f"127.0.0.1:{sandbox_port}"}
        if caldav is not None:
            allowed.add(urlsplit(caldav.url).netloc)
        self._client_secret = secrets["SANDBOX_CLIENT_SECRET"]
        self._environment = {
            "LOG_LEVEL": "WARNING",
            **os.environ,
            "PUBLIC_BASE_URL": self._base_url,
            "ALLOWED_HOSTS": "127.0.0.1,localhost",
            "OUTBOUND_ALLOWED_HOSTS": ",".join(sorted(allowed)),
            "SANDBOX_PORT": str(sandbox_port),
            "SANDBOX_PUBLIC_URL": self._sandbox_url,
            "SANDBOX_DATA": str(settings.VAR_DIR / "sandbox"),
            "SANDBOX_CLIENT_ID": SANDBOX_CLIENT_ID,
            "SANDBOX_CLIENT_SECRET": self._client_secret,
            # Not what an earlier `collectstatic` gathered: it may be of an older version.
            "STATIC_ROOT": str(settings.VAR_DIR / "static"),
            "WHITENOISE_USE_FINDERS": "true",
            # Celery's advice for production, of no use on one's own machine or in a container.
            "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
            "PYTHONUNBUFFERED": "1",
        }

    def run(self) -> int:
        """Run until Ctrl-C; returns the exit code. Raises LocalRunError."""
        supervisor = Supervisor(folder=settings.BASE_DIR, output=sys.stdout)
        supervisor.say("Preparing the database and the demo environment.")
        try:
            known, callbacks = self._prepare()
        except KeyboardInterrupt:
            return 0
        self._environment["SANDBOX_REDIRECT_URIS"] = " ".join(callbacks)
        supervisor.say("Starting web, worker and sandbox.")
        deadline = time.monotonic() + START_SECONDS

        def is_ready() -> bool:
            if time.monotonic() > deadline:
                raise LocalRunError(f"Not ready after {START_SECONDS:.0f} seconds; see above.")
            return answers(f"{self._base_url}/ready") and answers(self._sandbox_url)

        return supervisor.run(
            self._programs(),
            is_ready=is_ready,
            when_ready=lambda: supervisor.say(welcome(known, self._caldav)),
        )

    def _prepare(self) -> tuple[dict[str, str], list[str]]:
        """What demo.json holds, and the callbacks that the sandbox must know."""
        sandbox = {
            "url": self._sandbox_url,
            "client_id": SANDBOX_CLIENT_ID,
            "client_secret": self._client_secret,
        }
        # A process of its own: settings are read once, and this one read them without all this.
        done = subprocess.run(
            [sys.executable, "manage.py", "prepare_demo"],
            cwd=settings.BASE_DIR,
            env=self._environment,
            input=json.dumps(sandbox),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise LocalRunError(f"The demo could not be prepared:\n{done.stderr[-3000:].strip()}")
        result = json.loads(done.stdout.splitlines()[-1])
        return result["known"], result["callbacks"]

    def _programs(self) -> list[Program]:
        web = f"gunicorn talkover.wsgi --bind 127.0.0.1:{self._port} --workers 1"
        worker = "celery --quiet --app talkover worker --beat --concurrency 2"
        commands = {
            "web": f"{web} --config gunicorn.conf.py --log-level warning",
            "worker": f"{worker} --without-gossip --without-mingle --loglevel WARNING",
            "sandbox": "providers.sandbox",
        }
        if self._caldav is not None:
            commands["caldav"] = shlex.join(self._caldav.command)
        return [
            Program(
                name=name,
                # As modules: a virtual environment's scripts break when the tree is moved.
                command=[sys.executable, "-m", *shlex.split(command)],
                environment=self._environment,
            )
            for name, command in commands.items()
        ]


def _prepare_folder() -> dict[str, str]:
    """Make what is missing below VAR_DIR; returns the secrets of local.env."""
    try:
        # The worker, unlike those who send it messages, does not make its folders.
        for folder in ("static", "broker/queue", "broker/control"):
            (settings.VAR_DIR / folder).mkdir(parents=True, exist_ok=True)
        return ensure_local_env(settings.VAR_DIR / "local.env")
    except OSError as error:
        raise unwritable(settings.VAR_DIR, error) from None


def _prepare_caldav(port: int | None, secrets: dict[str, str]) -> radicale.Demo | None:
    """The CalDAV server's files, when there is such a server. Raises LocalRunError."""
    if port is None:
        return None
    folder = settings.VAR_DIR / "caldav"
    try:
        return radicale.prepare(folder, port=port, password=secrets["DEMO_CALDAV_PASSWORD"])
    except OSError as error:
        raise unwritable(folder, error) from None


def welcome(known: dict[str, str], caldav: radicale.Demo | None) -> str:
    """What is printed when everything runs."""
    password = known["admin_password"] or "(the password you have set)"
    lines = [
        "",
        "Talkover calendars is running. Ctrl-C stops it.",
        "",
        f"  Base URL        {known['base_url']}",
        f"  API token       {known['api_token']}",
        f"  Calendar page   {known['connect_url']}",
        f"  Administration  {known['admin_url']}",
        f"  Sign in with    {known['admin_username']}  {password}",
        f"  Sandbox         {known['sandbox_url']}",
    ]
    if caldav is not None:
        lines.append(f"  CalDAV server   {caldav.url}  {caldav.user}  {caldav.password}")
    if settings.DATABASES["default"]["ENGINE"] != "django.db.backends.sqlite3":
        lines.append("  Database        the one that DATABASE_URL names")
    if settings.REDIS_URL:
        lines.append("  Broker, cache   the Redis that REDIS_URL names")
    lines += [
        "",
        "Connect the demo calendar: paste this, then open the authorization_url of the answer.",
        "",
        create_connection_command(known),
        "",
    ]
    return "\n".join(lines)


def create_connection_command(known: dict[str, str]) -> str:
    """The first API call, for a shell."""
    url = f"{known['base_url']}/api/v1/calendars/{known['calendar_id']}/providers"
    body = {"provider": known["provider"], "redirect_uri": known["redirect_uri"]}
    headers = (f"Authorization: Bearer {known['api_token']}", "Content-Type: application/json")
    arguments = [part for header in headers for part in ("-H", header)]
    return shlex.join(["curl", "-X", "POST", url, *arguments, "-d", json.dumps(body)])
