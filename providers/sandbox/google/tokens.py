"""Page tokens and sync tokens: opaque, signed, bound to one calendar.

A sync token is the number of the calendar's last change when the first page of the listing was
read. The page tokens carry that number along, so changes made while somebody pages are covered by
the token at the end.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson
from django.utils.crypto import constant_time_compare, salted_hmac

from providers.sandbox.google.errors import full_sync_required, invalid


@dataclass(frozen=True, kw_only=True)
class Page:
    """Where a listing goes on: its change number, the last key, a digest of its parameters."""

    seq: int
    after: tuple[int, ...]
    shape: str


def sync_token(scope: str, seq: int) -> str:
    """A sync token; `scope` names the list it belongs to."""
    return _pack("sync", [scope, seq])


def read_sync_token(token: str, scope: str, last_seq: int) -> int:
    """The change number of the token. Raises 410 for any token that is not of this list."""
    content = _unpack("sync", token)
    if content is None or content[0] != scope or content[1] > last_seq:
        raise full_sync_required()
    return int(content[1])


def page_token(scope: str, page: Page) -> str:
    """A page token."""
    return _pack("page", [scope, page.seq, page.after, page.shape])


def read_page_token(token: str, scope: str, shape: str) -> Page:
    """The page. Raises 400 for a damaged token, another list, or changed parameters."""
    content = _unpack("page", token)
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


def _pack(kind: str, content: list[Any]) -> str:
    text = orjson.dumps(content)
    return base64.urlsafe_b64encode(_seal(kind, text) + text).decode().rstrip("=")


def _unpack(kind: str, token: str) -> list[Any] | None:
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return None
    if not constant_time_compare(raw[:12], _seal(kind, raw[12:])):
        return None
    content: list[Any] = orjson.loads(raw[12:])
    return content


def _seal(kind: str, text: bytes) -> bytes:
    return salted_hmac(f"sandbox.{kind}", text, algorithm="sha256").digest()[:12]
