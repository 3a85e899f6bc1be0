"""What the sandbox reads from the environment, and the two secrets it keeps in its data folder."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

REPOSITORY = Path(__file__).resolve().parents[2]


class BadEnvironment(ValueError):
    """A setting cannot be used; the text names it and the remedy."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The sandbox's settings. `public_url` has no trailing slash; `large_events` is a count."""

    host: str
    port: int
    data: Path
    public_url: str
    client_id: str
    client_secret: str
    redirect_uris: tuple[str, ...]
    large_events: int
    allowed_hosts: tuple[str, ...]
    control_everywhere: bool
    secret_key: str
    signing_key: str

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.data / "sandbox.sqlite3"


def read(environ: Mapping[str, str] = os.environ) -> Environment:
    """Read the settings. Creates nothing. Raises BadEnvironment."""
    host = environ.get("SANDBOX_HOST", "127.0.0.1")
    port = _number(environ, "SANDBOX_PORT", 9000)
    data = Path(environ.get("SANDBOX_DATA") or REPOSITORY / "var" / "sandbox")
    public_url = environ.get("SANDBOX_PUBLIC_URL") or f"http://127.0.0.1:{port}"
    if urlsplit(public_url).scheme not in {"http", "https"} or not urlsplit(public_url).hostname:
        raise BadEnvironment("SANDBOX_PUBLIC_URL must be an http or https address.")
    return Environment(
        host=host,
        port=port,
        data=data,
        public_url=public_url.rstrip("/"),
        client_id=environ.get("SANDBOX_CLIENT_ID", ""),
        client_secret=environ.get("SANDBOX_CLIENT_SECRET", ""),
        redirect_uris=tuple(environ.get("SANDBOX_REDIRECT_URIS", "").split()),
        large_events=_number(environ, "SANDBOX_LARGE_EVENTS", 5000),
        allowed_hosts=tuple(environ.get("SANDBOX_ALLOWED_HOSTS", "").split()),
        control_everywhere=environ.get("SANDBOX_CONTROL", "loopback") == "everywhere",
        secret_key=environ.get("SANDBOX_SECRET_KEY") or _stored(data / "secret_key"),
        signing_key=_stored(data / "signing_key.pem"),
    )


def prepare(environment: Environment) -> None:
    """Create the data folder and, when missing, the secret key and the key that signs ID tokens."""
    environment.data.mkdir(parents=True, exist_ok=True)
    if not environment.secret_key:
        _store(environment.data / "secret_key", secrets.token_urlsafe(48))
    if not environment.signing_key:
        _store(environment.data / "signing_key.pem", _new_signing_key())


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    if not text.isdecimal():
        raise BadEnvironment(f"{name} must be a whole number, not {text!r}.")
    return int(text)


def _stored(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _store(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text + "\n")


def _new_signing_key() -> str:
    # Imported here: settings read this module on every start, the key is made once.
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode("ascii")
