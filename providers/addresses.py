"""What people enter as an address, as a URL that can be requested."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from providers.errors import NotACalendar

# Characters of a URI (RFC 3986), and the sign of an escape.
_SAFE = "/?#[]@!$&'()*+,;=:%~"
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,252}[a-z0-9_.])?")


class Entered(NamedTuple):
    """A URL in ASCII, without a fragment, and the user name and password that stood in it."""

    url: str
    user: str
    password: str

    def __repr__(self) -> str:
        return "Entered(…)"


def read_address(text: str, schemes: Mapping[str, str]) -> Entered:
    """The URL that somebody means: with https where they name no scheme, else with what `schemes`
    makes of theirs; a host with letters of any language by its ASCII name.

    Raises NotACalendar when that is no address.
    """
    text = text.strip()
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        scheme, host = schemes[parts.scheme.lower()], _host(parts.hostname or "")
        port = f":{parts.port}" if parts.port is not None else ""
    except (ValueError, LookupError):
        raise NotACalendar("What was entered is no address.") from None
    return Entered(
        urlunsplit((scheme, f"{host}{port}", escaped(parts.path), escaped(parts.query), "")),
        unquote(parts.username or ""),
        unquote(parts.password or ""),
    )


def escaped(text: str) -> str:
    """A URL, or a part of one, in ASCII; what is escaped already stays as it is."""
    return quote(text, safe=_SAFE)


def _host(name: str) -> str:
    """Raises ValueError."""
    if ":" in name and "%" not in name:  # a zone of an interface means nothing to others
        return f"[{ipaddress.IPv6Address(name)}]"
    ascii_name = name.encode("idna").decode().lower()
    if not _HOST.fullmatch(ascii_name):
        raise ValueError(name)
    return ascii_name
