"""`providers.http` is the only door to the outside: nothing else opens connections."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.test_house import ROOT, product_modules

# What speaks to the network by itself. `urllib.parse` and `http.HTTPStatus` do not.
NETWORK = {
    *("socket", "socketserver", "ssl", "asyncio", "ftplib", "smtplib", "poplib", "imaplib"),
    *("telnetlib", "xmlrpc", "http.client", "http.server", "urllib.request", "urllib3"),
    *("requests", "requests_oauthlib", "httpx", "httpcore", "aiohttp", "pycurl", "websockets"),
    *("google", "googleapiclient", "google_auth_oauthlib", "httplib2", "caldav", "msal"),
    *("authlib.integrations", "authlib.deprecate", "dns", "paramiko", "urllib.robotparser"),
}
# The door itself, the wait for a local run's own processes, and the errors of the mail server that
# Django talks to.
ALLOWED = {
    "providers/doctor/machine.py": {"smtplib"},
    "providers/notices.py": {"smtplib"},
    "providers/http.py": {"http.client", "socket", "ssl", "urllib3"},
    "providers/sockets.py": {"http.client", "socket", "urllib3"},
    "talkover/local.py": {"http.client", "socket", "urllib.request"},
}
# Ways to import that no list of imports shows.
DYNAMIC = {"__import__", "import_module", "import_string", "exec", "eval"}


def modules() -> list[Path]:
    return [path for path in product_modules() if "sandbox" not in path.relative_to(ROOT).parts]


def imported(source: str) -> set[str]:
    """Every module that the source imports, by its full name, wherever the import stands."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def network_of(source: str) -> set[str]:
    """The members of NETWORK that the source imports, whole or in part."""
    return {
        name
        for name in NETWORK
        for module in imported(source)
        if module == name or module.startswith(f"{name}.")
    }


def calls(source: str) -> set[str]:
    """The names of what the source calls, without their modules."""
    functions = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return {
        function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
        for function in functions
    }


def test_only_the_door_uses_the_network() -> None:
    users = {
        str(path.relative_to(ROOT)): used
        for path in modules()
        if (used := network_of(path.read_text()))
    }
    assert {name: used - ALLOWED.get(name, set()) for name, used in users.items()} == {
        name: set() for name in users
    }
    assert {"providers/http.py", "providers/sockets.py"} <= set(users), "the search finds nothing"


def test_nothing_is_imported_by_a_name_made_up_at_run_time() -> None:
    users = {
        str(path.relative_to(ROOT)): used
        for path in modules()
        if (used := calls(path.read_text()) & DYNAMIC)
    }
    # The adapters, from a table of our own; the store that a setting names.
    assert users == {
        "providers/registry.py": {"import_module"},
        "talkover/api/idempotency.py": {"import_string"},
    }


def test_only_the_door_knows_its_sockets() -> None:
    users = {
        str(path.relative_to(ROOT))
        for path in modules()
        if "providers.sockets" in imported(path.read_text())
    }
    assert users == {"providers/http.py"}


def test_only_the_client_of_the_settings_is_made() -> None:
    """Another HttpClient would not know what the operator allows, and share no connections."""
    makers = {
        str(path.relative_to(ROOT)) for path in modules() if "HttpClient" in calls(path.read_text())
    }
    # The doctor asks our own public address, which may well be a private one.
    assert makers == {"providers/outbound.py", "providers/doctor/reach.py"}


@pytest.mark.parametrize(
    "source",
    [
        "import socket",
        "import urllib.request",
        "from urllib import request",
        "from urllib.request import urlopen",
        "import urllib3.util",
        "from http import client",
        "def f():\n    import requests",
        "from authlib.integrations.requests_client import OAuth2Session",
    ],
)
def test_the_search_finds(source: str) -> None:
    assert network_of(source)


@pytest.mark.parametrize(
    "source", ["from urllib.parse import urlsplit", "from http import HTTPStatus", "import sockets"]
)
def test_the_search_lets_pass(source: str) -> None:
    assert not network_of(source)
