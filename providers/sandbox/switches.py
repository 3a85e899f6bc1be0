"""What the control API can switch at run time, in the memory of the one serving process."""

import threading
from dataclasses import asdict, dataclass, field, replace
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Switches:
    """`access_token_seconds` is a life time; the two others change what the token endpoint gives.

    `rotate_refresh_tokens`: each refresh gives a new refresh token, and using an old one again ends
    the whole family (RFC 9700 section 4.14.2). Google itself does not rotate.
    `omit_refresh_token`: a code exchange never gives a refresh token.
    """

    access_token_seconds: int = 3600
    rotate_refresh_tokens: bool = False
    omit_refresh_token: bool = False


@dataclass
class _State:
    switches: Switches = field(default_factory=Switches)
    emptied: frozenset[str] = frozenset()
    lock: threading.Lock = field(default_factory=threading.Lock)


_state = _State()


def current() -> Switches:
    """The switches as they stand now."""
    return _state.switches


def change(changes: dict[str, Any]) -> Switches:
    """Set some of the switches. Raises ValueError for an unknown name or a wrong type."""
    known = asdict(Switches())
    for name, value in changes.items():
        if name not in known:
            raise ValueError(f"Unknown setting {name!r}. Known: {', '.join(known)}.")
        if type(value) is not type(known[name]):
            raise ValueError(f"{name} must be of type {type(known[name]).__name__}.")
    with _state.lock:
        _state.switches = replace(_state.switches, **changes)
        return _state.switches


def access_token_seconds(_request: object) -> int:
    """The life time of the access token that is being made (oauthlib calls this)."""
    return _state.switches.access_token_seconds


def set_emptied(calendar_id: str, on: bool) -> None:
    """Let the listing of this calendar be suddenly empty, or normal again."""
    with _state.lock:
        _state.emptied = _state.emptied | {calendar_id} if on else _state.emptied - {calendar_id}


def is_emptied(calendar_id: str) -> bool:
    """Whether this calendar's listing is switched to empty."""
    return calendar_id in _state.emptied
