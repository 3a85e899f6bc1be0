"""What the control API can switch at run time, in the memory of the one serving process."""

import threading
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar


@dataclass(frozen=True, kw_only=True)
class Switches:
    """What is switched for everybody. `_seconds` and `_milliseconds` are whole numbers.

    `access_token_seconds`: the life time of access tokens.
    `rotate_refresh_tokens`: each refresh gives a new refresh token, and using an old one again ends
    the whole family (RFC 9700 section 4.14.2). Google itself does not rotate.
    `omit_refresh_token`: a code exchange never gives a refresh token.
    `page_size`: the most entries of a page of a listing; 0 for as many as Google gives.
    `channel_seconds`: the longest life of a watch channel or subscription.
    `push_times`: how often each message is posted; 2 doubles it, 0 loses it.
    `push_late_milliseconds`: how long a message waits before it is posted.
    `push_pause_milliseconds`: the pause before a message is repeated; it doubles each time.
    `push_sync_first`: events.watch answers after its `sync` message was answered.
    `empty_pages`: before each page of a Graph delta round comes an empty one.
    `mailbox_requests`: how many Graph requests of one mailbox are served at the same time.
    `mailbox_subscriptions`: the most Graph subscriptions of one mailbox.
    """

    access_token_seconds: int = 3600
    rotate_refresh_tokens: bool = False
    omit_refresh_token: bool = False
    page_size: int = 0
    channel_seconds: int = 604_800
    push_times: int = 1
    push_late_milliseconds: int = 0
    push_pause_milliseconds: int = 200
    push_sync_first: bool = False
    empty_pages: bool = False
    mailbox_requests: int = 4
    mailbox_subscriptions: int = 1000


@dataclass(frozen=True, kw_only=True)
class AccountSwitches:
    """What is switched for one account.

    `empty`: all listings of its calendars, read as this account, are suddenly empty.
    `refuse_watching`: events.watch answers 400 pushNotSupportedForRequestedResource, and Graph's
    subscriptions 403.
    `meet_milliseconds`: how long the requests for Meet links in its calendars are pending at least.
    `meet_fails`: no Meet link can be made in its calendars.
    `admin_consent_required`: Microsoft's sign-in ends with AADSTS90094, until an administrator
    consents.
    `rotate_refresh_tokens`: as in Switches, for the tokens of this account.
    """

    empty: bool = False
    refuse_watching: bool = False
    meet_milliseconds: int = 0
    meet_fails: bool = False
    admin_consent_required: bool = False
    rotate_refresh_tokens: bool = False


AnySwitches = TypeVar("AnySwitches", Switches, AccountSwitches)


@dataclass
class _State:
    switches: Switches = field(default_factory=Switches)
    accounts: dict[str, AccountSwitches] = field(default_factory=dict)
    emptied: frozenset[str] = frozenset()
    lock: threading.Lock = field(default_factory=threading.Lock)


_state = _State()


def current() -> Switches:
    """The switches as they stand now."""
    return _state.switches


def of_account(email: str) -> AccountSwitches:
    """The switches of this account as they stand now."""
    return _state.accounts.get(email, AccountSwitches())


def change(changes: dict[str, Any]) -> Switches:
    """Set some of the switches. Raises ValueError: unknown name, wrong type, below zero."""
    with _state.lock:
        _state.switches = _changed(_state.switches, changes)
        return _state.switches


def change_account(email: str, changes: dict[str, Any]) -> AccountSwitches:
    """Set some of the switches of one account. Raises ValueError."""
    with _state.lock:
        changed = _changed(of_account(email), changes)
        _state.accounts[email] = changed
        return changed


def reset() -> Switches:
    """All switches of everybody back to normal; no calendar is emptied."""
    with _state.lock:
        _state.switches, _state.emptied = Switches(), frozenset()
        _state.accounts.clear()
        return _state.switches


def rotates_refresh_tokens(email: str) -> bool:
    """Whether a refresh by this account gives a new refresh token."""
    return _state.switches.rotate_refresh_tokens or of_account(email).rotate_refresh_tokens


def page_size(asked: int, most: int) -> int:
    """The size of a page, of which so many entries were asked for and `most` are allowed."""
    return min(asked, most, _state.switches.page_size or most)


def access_token_seconds(_request: object) -> int:
    """The life time of the access token that is being made (oauthlib calls this)."""
    return _state.switches.access_token_seconds


def set_emptied(calendar_id: str, on: bool) -> None:
    """Let the listing of this calendar be suddenly empty, or normal again."""
    with _state.lock:
        _state.emptied = _state.emptied | {calendar_id} if on else _state.emptied - {calendar_id}


def is_emptied(calendar_id: str, email: str | None = None) -> bool:
    """Whether this calendar's listing is switched to empty, for all or for this account."""
    return calendar_id in _state.emptied or (email is not None and of_account(email).empty)


def _changed(switches: AnySwitches, changes: dict[str, Any]) -> AnySwitches:
    known = asdict(switches)
    for name, value in changes.items():
        if name not in known:
            raise ValueError(f"Unknown setting {name!r}. Known: {', '.join(known)}.")
        if type(value) is not type(known[name]):
            raise ValueError(f"{name} must be of type {type(known[name]).__name__}.")
        if value < 0:
            raise ValueError(f"{name} must be a whole number from 0.")
    return replace(switches, **changes)
