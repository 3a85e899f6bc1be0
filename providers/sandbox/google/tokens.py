"""Page tokens and sync tokens: opaque, signed, bound to one calendar.

A sync token is the number of the calendar's last change when the first page of the listing was
read. The page tokens carry that number along, so changes made while somebody pages are covered by
the token at the end.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from providers.sandbox.google.errors import full_sync_required, invalid
from providers.sandbox.seals import pack, unpack


@dataclass(frozen=True, kw_only=True)
class Page:
    """Where a listing goes on: its change number, the last key, a digest of its parameters."""

    seq: int
    after: tuple[int, ...]
    shape: str


def sync_token(scope: str, seq: int) -> str:
    """A sync token; `scope` names the list it belongs to."""
    return pack("sync", [scope, seq])


def read_sync_token(token: str, scope: str, last_seq: int) -> int:
    """The change number of the token. Raises 410 for any token that is not of this list."""
    content = unpack("sync", token)
    if content is None or content[0] != scope or content[1] > last_seq:
        raise full_sync_required()
    return int(content[1])


def page_token(scope: str, page: Page) -> str:
    """A page token."""
    return pack("page", [scope, page.seq, page.after, page.shape])


def read_page_token(token: str, scope: str, shape: str) -> Page:
    """The page. Raises 400 for a damaged token, another list, or changed parameters."""
    content = unpack("page", token)
    if content is None or content[0] != scope:
        raise invalid("Invalid page token value.", "pageToken")
    if content[3] != shape:
        raise invalid("All other parameters must be the same on every page.", "pageToken")
    return Page(seq=content[1], after=tuple(content[2]), shape=shape)


def shape_of(parameters: Iterable[tuple[str, list[str]]]) -> str:
    """A digest of the parameters that must not change from page to page."""
    free = {"pageToken", "maxResults", "alt", "fields", "prettyPrint", "quotaUser", "key"}
    kept = sorted((name, values) for name, values in parameters if name not in free)
    return hashlib.sha256(orjson.dumps(kept)).hexdigest()[:12]
