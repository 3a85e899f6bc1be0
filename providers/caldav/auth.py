"""How a request says who asks: Basic (RFC 7617) and Digest (RFC 7616), as the server wants it."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote, urlsplit

_PART = re.compile(
    r"""([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?"""
)
# The strongest first. MD5 is what old servers know; the connection is encrypted anyway.
_ALGORITHMS: dict[str, Callable[[bytes], str]] = {
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
}


class Scheme(Protocol):
    """A way to say who asks."""

    def header(self, method: str, url: str) -> str:
        """The value of `Authorization` for this request."""


@dataclass(frozen=True, slots=True)
class Basic:
    user: str = field(repr=False)
    secret: str = field(repr=False)

    def header(self, method: str, url: str) -> str:
        del method, url
        return f"Basic {base64.b64encode(f'{self.user}:{self.secret}'.encode()).decode()}"


@dataclass(slots=True)
class Digest:
    """With `qop=auth`. `challenge` are the server's parameters; each use counts."""

    user: str = field(repr=False)
    secret: str = field(repr=False)
    challenge: dict[str, str] = field(repr=False)
    uses: int = 0

    def header(self, method: str, url: str) -> str:
        self.uses += 1
        said = self.challenge
        algorithm = said.get("algorithm", "MD5").upper()
        digest = _ALGORITHMS[algorithm.removesuffix("-SESS")]
        uri, count, own = _target(url), f"{self.uses:08x}", secrets.token_hex(16)
        realm, nonce = said.get("realm", ""), said.get("nonce", "")
        first = digest(f"{self.user}:{realm}:{self.secret}".encode())
        if algorithm.endswith("-SESS"):
            first = digest(f"{first}:{nonce}:{own}".encode())
        second = digest(f"{method}:{uri}".encode())
        quoted = {
            "realm": realm,
            "nonce": nonce,
            "uri": uri,
            "response": digest(f"{first}:{nonce}:{count}:{own}:auth:{second}".encode()),
            "cnonce": own,
            **({"opaque": said["opaque"]} if "opaque" in said else {}),
        }
        who = (
            f"username={_quoted(self.user)}"
            if self.user.isascii()
            else f"username*=UTF-8''{quote(self.user, safe='')}"
        )
        rest = ", ".join(f"{name}={_quoted(value)}" for name, value in quoted.items())
        return f"Digest {who}, {rest}, qop=auth, nc={count}, algorithm={algorithm}"


def choose(header: str, *, user: str, secret: str, used: Scheme | None) -> Scheme | None:
    """The scheme that answers a 401 with this `WWW-Authenticate`; None when there is no other than
    was used already, which means that the credentials are wrong.

    Digest goes before Basic (RFC 9110 section 11.6.1: the strongest that is understood). A 401 that
    names no scheme at all, as Yahoo's, is answered with Basic.
    """
    offers = _challenges(header)
    if best := _best_digest(offers):
        fresh = best.get("stale", "").lower() == "true"
        if not isinstance(used, Digest) or (fresh and used.challenge != best):
            return Digest(user, secret, best)
        return None
    if isinstance(used, Basic) or (offers and not any(name == "basic" for name, _ in offers)):
        return None
    return Basic(user, secret)


def _best_digest(offers: list[tuple[str, dict[str, str]]]) -> dict[str, str] | None:
    for algorithm in _ALGORITHMS:
        for name, said in offers:
            ways = {way.strip().lower() for way in said.get("qop", "").split(",")}
            named = said.get("algorithm", "MD5").upper().removesuffix("-SESS")
            if name == "digest" and named == algorithm and "auth" in ways and said.get("nonce"):
                return said
    return None


def _challenges(header: str) -> list[tuple[str, dict[str, str]]]:
    """Schemes in lower case with their parameters, of one or several headers joined by commas."""
    found: list[tuple[str, dict[str, str]]] = []
    for part in _PART.finditer(header):
        name, quoted, plain = part.groups()
        if quoted is None and plain is None:
            found.append((name.lower(), {}))
        elif found:
            value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
            found[-1][1][name.lower()] = value
    return found


def _target(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
