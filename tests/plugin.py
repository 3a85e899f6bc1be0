"""Gives the tests their servers and settings before pytest-django reads the settings.

Loaded by `-p tests.plugin` in pyproject.toml: conftest files would come too late. By default
tests run as production does, on PostgreSQL and Redis; `--embedded` runs them on SQLite and the
broker made of files, as `make run` does. With `-n`, each process has servers of its own.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import signal
import tempfile
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.services import start_postgres, start_redis

# Their assertions explain themselves when they fail, as those of tests do.
pytest.register_assert_rewrite(
    "tests.providers.contract",
    "tests.providers.contract_entered",
    "tests.providers.contract_entering",
    "tests.providers.contract_listing",
    "tests.providers.contract_push",
    "tests.providers.contract_push_world",
    "tests.providers.contract_trouble",
    "tests.providers.contract_world",
    "tests.providers.contract_writing",
    "tests.providers.contract_writing_world",
    "tests.providers.sync_remote",
)

SETTINGS_FILE = Path(__file__).resolve().parent.parent / "talkover" / "settings.py"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--embedded", action="store_true", help="use SQLite and the file broker, as `make run` does"
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    # As Ctrl-C: whoever ends a run (a CI's time limit) gets the servers stopped and files removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    services = ExitStack()
    early_config.add_cleanup(services.close)
    # A developer's own settings are not the tests'.
    for name in settings_variables():
        os.environ.pop(name, None)
    var = services.enter_context(tempfile.TemporaryDirectory(prefix="talkover-test-"))
    os.environ.update(base_environment(Path(var)))
    if not early_config.known_args_namespace.embedded and not _only_hands_out(early_config):
        os.environ["DATABASE_URL"] = services.enter_context(start_postgres())
        os.environ["REDIS_URL"] = _own_database(services.enter_context(start_redis()))
    result = yield
    if early_config.known_args_namespace.embedded:
        # In memory, Django's choice, threads of one process would share a single connection.
        from django.conf import settings  # it reads the environment that was set above

        settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = Path(var) / "test.sqlite3"
    return result


def _only_hands_out(config: pytest.Config) -> bool:
    """Whether this process runs no test itself, but has others (`-n`) run them."""
    return bool(config.known_args_namespace.numprocesses) and not _worker()


def _worker() -> str:
    """The name of this process among those of `-n`; empty without them."""
    return os.environ.get("PYTEST_XDIST_WORKER", "")


def _own_database(redis_url: str) -> str:
    """A Redis that the environment names serves all processes, each with a database of its own."""
    number = _worker().removeprefix("gw")
    return urlsplit(redis_url)._replace(path=f"/{number}").geturl() if number else redis_url


def pytest_report_header(config: pytest.Config) -> str:
    if config.getoption("embedded"):
        return "talkover: on SQLite and the file broker"
    brought = "named by the environment" if os.environ.get("TEST_DATABASE_URL") else "brought along"
    return f"talkover: on PostgreSQL and Redis, {brought}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On SQLite only what uses a database: the rest would be the same test once more."""
    if not config.getoption("embedded"):
        return
    others = [item for item in items if not _uses_database(item)]
    if others:
        items[:] = [item for item in items if _uses_database(item)]
        config.hook.pytest_deselected(items=others)


def _uses_database(item: pytest.Item) -> bool:
    fixtures = {"db", "transactional_db"} & set(getattr(item, "fixturenames", ()))
    return bool(fixtures) or item.get_closest_marker("django_db") is not None


def settings_variables() -> list[str]:
    """Every environment variable that the product's settings read."""
    found = re.findall(r"\benv\.\w+\(\s*\"([A-Z0-9_]+)\"", SETTINGS_FILE.read_text())
    return sorted(set(found))


def base_environment(var: Path) -> dict[str, str]:
    """Settings that any run under test needs, with new secrets; files go below `var`."""
    key = base64.b64encode(os.urandom(32)).decode()
    return {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "CREDENTIAL_KEYS": f"test:{key}",
        "VAR_DIR": str(var),
        "ENV_FILE": str(var / "none.env"),
        "EMAIL_URL": "memorymail://",
    }
