"""No access log has a query: a callback's holds an authorization code."""

from __future__ import annotations

import re
import runpy
from datetime import timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from tests.test_house import ROOT

config: Any = import_module("gunicorn.config")
glogging: Any = import_module("gunicorn.glogging")


def test_gunicorns_access_log_has_paths_only() -> None:
    configuration = config.Config()
    settings = runpy.run_path(str(ROOT / "gunicorn.conf.py"))
    configuration.set("access_log_format", settings["access_log_format"])
    path = "/oauth/callback/google/x"
    environ = {
        "REMOTE_ADDR": "192.0.2.1",
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "RAW_URI": f"{path}?code=canary",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "QUERY_STRING": "code=canary",
        "HTTP_REFERER": "https://x/?code=canary",
        "HTTP_AUTHORIZATION": "Bearer canary",
        "HTTP_COOKIE": "sessionid=canary",
    }
    headers = [("REFERER", "https://x/?code=canary"), ("COOKIE", "canary")]
    answer = SimpleNamespace(
        status="303 See Other", sent=0, response_length=0, headers=[("Location", "/?canary")]
    )
    atoms = glogging.Logger(configuration).atoms(
        answer, SimpleNamespace(headers=headers), environ, timedelta(seconds=1)
    )
    assert "canary" in str(atoms), "the format is what keeps it out"
    line = configuration.access_log_format % glogging.SafeAtoms(atoms)
    assert path in line
    assert "canary" not in line


def test_the_proxy_of_the_documentation_logs_paths_only() -> None:
    text = (ROOT / "docs" / "deployment.md").read_text()
    [written] = re.findall(r"log_format talkover (.*?);", text, re.DOTALL)
    variables = set(re.findall(r"\$\w+", written))
    assert "$uri" in variables
    queries = {"$request", "$request_uri", "$args", "$query_string", "$http_referer", "$is_args"}
    assert not variables & queries
    assert not {name for name in variables if name.startswith(("$arg_", "$cookie_", "$http_"))}
    assert all(line.endswith(" talkover;") for line in re.findall(r"access_log .*", text))
    # The error log's format cannot be chosen, and it quotes the request line.
    [callback] = re.findall(r"location /oauth/callback/ \{(.*?)\}", text, re.DOTALL)
    assert "error_log /dev/null" in callback
