"""The items of a page of JSON, each read for itself: one that is malformed takes no other along."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

import msgspec

from providers.base import InvalidEvent, RemoteEvent
from providers.errors import InvalidResponse
from providers.http import decode_json


class Head(Protocol):
    """What is read of every item: at least its id, empty when it has none."""

    @property
    def id(self) -> str: ...


H = TypeVar("H", bound=Head)
T = TypeVar("T")

# msgspec's errors are ValueErrors; RecursionError is deeper nesting than it follows.
MALFORMED = (ValueError, RecursionError, InvalidResponse)
# Bytes of JSON, once the texts are cut. Providers' own limits keep their events far below.
_LARGEST = 1024 * 1024
_encode = msgspec.json.Encoder().encode


def read_heads(
    items: Iterable[msgspec.Raw],
    *,
    read: Callable[[msgspec.Raw], H],
    rescue: Callable[[msgspec.Raw], H],
) -> tuple[dict[str, tuple[H, msgspec.Raw]], list[InvalidEvent]]:
    """Heads and items by id, and one InvalidEvent for each item without an id. `rescue` reads what
    `read` finds malformed.
    """
    heads: dict[str, tuple[H, msgspec.Raw]] = {}
    nameless = []
    for raw in items:
        try:
            head = read(raw)
        except MALFORMED:
            head = rescue(raw)
        if head.id:
            # The same id may come twice: the last one counts, in the place of the last.
            heads.pop(head.id, None)
            heads[head.id] = head, raw
        else:
            nameless.append(InvalidEvent("", "it has no id"))
    return heads, nameless


def loose_fields(raw: bytes | msgspec.Raw) -> dict[str, Any]:
    """What can be read of a malformed object; empty when nothing can."""
    try:
        loose = decode_json(bytes(raw), object)
    except MALFORMED:
        return {}
    return loose if isinstance(loose, dict) else {}


def text_in(fields: dict[str, Any], name: str) -> str:
    """A field that is a text; empty when it is something else, or not there."""
    return value if isinstance(value := fields.get(name), str) else ""


def mended(raw: bytes | msgspec.Raw, kind: type[T]) -> T:
    """A malformed object that is not beyond repair: null instead of absent, a number as text, a
    damaged character. Raises one of MALFORMED.
    """
    return msgspec.convert(_without_nulls(decode_json(bytes(raw), object)), kind, strict=False)


def is_too_large(raw: msgspec.Raw, event: RemoteEvent) -> bool:
    """Whether an event is too large to be kept, as it was made of this item."""
    return len(raw) > _LARGEST and len(_encode(event)) > _LARGEST


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(v) for name, v in value.items() if v is not None}
    return [_without_nulls(v) for v in value] if isinstance(value, list) else value
