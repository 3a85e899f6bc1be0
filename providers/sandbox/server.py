"""Preparing the database, and serving with gunicorn: one process, eight threads."""

import os
import signal
import socket
import threading
from types import FrameType
from typing import Any

import django
from gunicorn.app.base import BaseApplication

from providers.sandbox.environment import Environment

_SECONDS_TO_END = 0.7


def prepare_database(settings: Environment) -> None:
    """Migrate, seed when new, and make the configured client exactly as configured."""
    django.setup()
    from django.core.management import call_command
    from django.db import connection, connections

    from providers.sandbox.oauth.grants import put_client
    from providers.sandbox.seed import seed_when_new

    fresh = not connection.introspection.table_names()
    if fresh:
        _create_tables()
    call_command("migrate", fake=fresh, verbosity=0, interactive=False, skip_checks=True)
    seed_when_new()
    if settings.client_id:
        put_client(
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            redirect_uris=settings.redirect_uris,
        )
    connections.close_all()  # the worker is a fork and must open its own


def _create_tables() -> None:
    """Give a new database its tables at once, as the migrations would leave them.

    The toolkit's long history would else take more time than all the rest of the start.
    """
    from django.apps import apps
    from django.db import connection

    with connection.schema_editor() as editor:
        for model in apps.get_models():
            editor.create_model(model)


def serve(listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT; requests that still run then get most of a second."""
    _Server(
        {
            # One process, because switches, troubles and the request log live in its memory.
            "workers": 1,
            "worker_class": "gthread",
            "threads": 8,
            "bind": f"fd://{listener.detach()}",
            "graceful_timeout": 1,
            "keepalive": 30,
            "timeout": 60,
            "accesslog": None,
            "loglevel": "warning",
            "preload_app": True,
            "control_socket_disable": True,
            "post_worker_init": _end_in_time,
            "worker_int": _end_now,
        }
    ).run()


def _end_in_time(_worker: Any) -> None:
    """Let the worker end itself before its master, after `graceful_timeout`, kills it with alarm.

    Ordered hangs and connections kept alive would else hold it up. SQLite is safe in a crash.
    """
    begin_to_end = signal.getsignal(signal.SIGTERM)

    def end(number: int, frame: FrameType | None) -> None:
        last_moment = threading.Timer(_SECONDS_TO_END, os._exit, args=(0,))
        last_moment.daemon = True
        last_moment.start()
        if callable(begin_to_end):
            begin_to_end(number, frame)

    signal.signal(signal.SIGTERM, end)


def _end_now(_worker: Any) -> None:
    """SIGINT: somebody pressed Ctrl-C and wants the terminal back."""
    os._exit(0)


class _Server(BaseApplication):
    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        from django.core.wsgi import get_wsgi_application

        return get_wsgi_application()
