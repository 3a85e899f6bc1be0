"""Addresses and hrefs: resolved, compared, and which host may be given a password.

An href is kept as the server spells it, since a few servers hold `@` and `%40` for two paths; for
comparing, spellings of one path are one. What is no address at all raises InvalidResponse.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit, urlunsplit

from providers.addresses import escaped
from providers.errors import InvalidResponse

# Services whose accounts live on numbered hosts beside the one that people know.
_PARTITIONED = ("icloud.com", "calendar.yahoo.com")


def resolve(base: str, href: str) -> str:
    """`href` as an absolute URL that can be requested: without a fragment, in ASCII."""
    parts = _joined(base, href)
    plain = urlunsplit((parts.scheme, parts.netloc, parts.path, parts.query, ""))
    # As the door sends it: the Digest of a request covers its target to the letter.
    return re.sub(r"%[0-9a-fA-F]{2}", lambda escape: escape[0].upper(), escaped(plain))


def path_of(base: str, href: str) -> str:
    """The path that `href` stands for, in the server's spelling: an object's id."""
    parts = _joined(base, href)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def comparable(path: str) -> str:
    """The same text for all spellings of one path; not to be sent."""
    return quote(unquote(_joined("", path).path), safe="/").rstrip("/")


def is_same(url: str, other: str) -> bool:
    """Whether two URLs or paths are spellings of one path."""
    return comparable(url) == comparable(other)


def origin_of(url: str) -> tuple[str, str]:
    """Scheme and authority, for keeping a server's challenge."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def host_of(url: str) -> str:
    return (urlsplit(url).hostname or "").rstrip(".").lower()


def may_know_password(home: str, url: str) -> bool:
    """Whether the server at `url` may be given the password that was meant for `home`'s: the same
    host, one below it, or another of a service that is known to spread accounts over hosts.
    """
    own, other = host_of(home), host_of(url)
    if other == own or other.endswith(f".{own}"):
        return True
    return any(_is_within(own, name) and _is_within(other, name) for name in _PARTITIONED)


def _joined(base: str, href: str) -> SplitResult:
    try:
        return urlsplit(urljoin(base, href.strip()))
    except ValueError:  # such as brackets around what is no IPv6 address
        raise InvalidResponse("The server names an address that is none.") from None


def _is_within(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")
