"""Which redirect URIs may be named: absolute https (http on loopback), nothing ambiguous.

The rules follow RFC 6749 section 3.1.2 and RFC 9700 sections 2.1 and 4.11: a URI is compared as it
stands and never decoded, so whatever two parsers could read differently is refused.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

MAX_LENGTH = 2000
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
# What we add to the URI ourselves; `code` and `iss` are what providers add.
RESERVED_PARAMETERS = frozenset(
    {"connection_id", "status", "error", "state", "result_code", "signature", "code", "iss"}
)
_HOST = re.compile(r"^(?=.{1,253}$)([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?)+$")


def check_redirect_uri(uri: str) -> str:
    """Why `uri` cannot be a redirect URI, with the remedy; empty when it can."""
    for problem in (_check_characters(uri), _check_parts(uri)):
        if problem:
            return problem
    return ""


def _check_characters(uri: str) -> str:
    if len(uri) > MAX_LENGTH:
        return f"The URI is longer than {MAX_LENGTH} characters. Pass data in `state` instead."
    if not uri.isascii() or not uri.isprintable() or re.search(r'[\s\\<>"^`{|}]', uri):
        return "The URI has characters that must be percent-encoded (spaces, backslashes, quotes…)."
    if "#" in uri:
        return "The URI must not have a fragment (#…)."
    return ""


def _check_parts(uri: str) -> str:
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "The URI cannot be read. Give an absolute one like https://example.com/callback."
    if not parts.scheme or not parts.netloc or not host:
        return "The URI must be absolute, like https://example.com/callback."
    if "@" in parts.netloc:
        return "The URI must not have user information (…@) in front of the host."
    if parts.netloc.endswith(":") or port == 0:
        return "The URI's port is not valid."
    if host != "::1" and not _HOST.match(host):
        return "The URI's host is not valid. International names must be in their ASCII form."
    if parts.scheme == "http" and host not in LOOPBACK_HOSTS:
        return "The URI must use https (http is accepted on localhost only)."
    if parts.scheme not in {"http", "https"}:
        return "The URI must use https."
    taken = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if taken & RESERVED_PARAMETERS:
        names = ", ".join(sorted(taken & RESERVED_PARAMETERS))
        return f"The URI's query must not use names that are added on return: {names}."
    return ""
