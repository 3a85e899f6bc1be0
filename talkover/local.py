"""What a run on one's own machine needs: secrets made once, free ports, one run at a time."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from talkover.encryption import generate_key

# What a local run needs and production's operator gives. The settings read the first two.
_GENERATED: dict[str, Callable[[], str]] = {
    "SECRET_KEY": lambda: secrets.token_urlsafe(48),
    "CREDENTIAL_KEYS": generate_key,
    "SANDBOX_CLIENT_SECRET": lambda: secrets.token_urlsafe(24),
    "DEMO_CALDAV_PASSWORD": lambda: secrets.token_urlsafe(12),
}
# Requests to ourselves must not go through a proxy.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class LocalRunError(Exception):
    """It cannot run here; the text is one line that says why, and what to do."""


def ensure_local_env(path: Path) -> dict[str, str]:
    """Add what is missing to the env file at `path`; returns what it holds. Raises OSError."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    missing = {name: make() for name, make in _GENERATED.items() if not values.get(name)}
    if missing:
        kept = [line for line in text.splitlines() if line.partition("=")[0] not in missing]
        added = [f"{name}={value}" for name, value in missing.items()]
        write_private(path, "\n".join([*kept, *added]) + "\n")
    return values | missing


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all. Raises OSError."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Make the folder and hold its lock: two runs would share a database and a broker unawares.

    Raises LocalRunError.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (folder / "run.lock").open("w")
    except OSError as error:
        raise unwritable(folder, error) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalRunError(
                f"Another run already uses {folder}. Stop that one first, or set VAR_DIR."
            ) from None
        yield


def unwritable(folder: Path, error: OSError) -> LocalRunError:
    return LocalRunError(
        f"{folder} cannot be written to ({error.strerror}). Set VAR_DIR to a folder that can."
    )


def read_port(name: str, default: int) -> int:
    """The port that an environment variable names. Raises LocalRunError."""
    text = os.environ.get(name) or str(default)
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 65536):
        raise LocalRunError(f"{name} must be a port number from 1 to 65535, not {text!r}.")
    return int(text)


def check_port(name: str, port: int) -> None:
    """Raise LocalRunError unless the port of 127.0.0.1 can be listened on now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            other = port + 1 if 1024 <= port < 65535 else port % 10_000 + 10_000
            raise LocalRunError(
                f"Port {port} cannot be used ({error.strerror})."
                f" Choose another: make run {name}={other}"
            ) from None


def answers(url: str) -> bool:
    """Whether a GET of `url` gives 200."""
    try:
        with _direct.open(url, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:  # URLError and its HTTPError are such
        return False
