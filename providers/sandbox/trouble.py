"""Troubles somebody ordered (for tests and for the curious), and the log of requests. In memory."""

import threading
from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import Any

from providers.sandbox.kinds import KINDS, TARGETS

_LOG_LENGTH = 10_000


@dataclass
class Trouble:
    """One ordered trouble. `times` None: until cleared. `after`: so many requests pass first.

    `account`: only requests of this one. The other fields are for some kinds: `reason` one of the
    kind's, `retry_after` seconds, `milliseconds`, `location` an address, `piece` bytes.
    """

    kind: str
    target: str
    times: int | None = 1
    account: str | None = None
    retry_after: int = 30
    milliseconds: int = 1000
    after: int = 0
    reason: str | None = None
    location: str = ""
    piece: int = 1
    number: int = 0

    def check(self) -> None:
        """Raise ValueError when the order makes no sense."""
        if self.kind not in KINDS:
            raise ValueError(f"Unknown kind {self.kind!r}. Known: {', '.join(KINDS)}.")
        if self.target not in TARGETS:
            raise ValueError(f"Unknown target {self.target!r}. Known: {', '.join(TARGETS)}.")
        kind = KINDS[self.kind]
        if self.target not in kind.targets:
            raise ValueError(f"{self.kind} can strike at {', '.join(kind.targets)} only.")
        if self.reason is not None and self.reason not in kind.reasons:
            known = ", ".join(kind.reasons) or "none"
            raise ValueError(f"Unknown reason {self.reason!r} of {self.kind}. Known: {known}.")
        for name in kind.needs:
            if not getattr(self, name):
                raise ValueError(f"{self.kind} needs {name}.")
        for name, least in (("retry_after", 0), ("milliseconds", 0), ("after", 0), ("piece", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be a whole number from {least}.")
        if self.times is not None and self.times < 1:
            raise ValueError("times must be a whole number from 1, or null for 'until cleared'.")


class _Desk:
    """The orders and the log, behind one lock."""

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self.troubles: list[Trouble] = []
        self.log: deque[dict[str, Any]] = deque(maxlen=_LOG_LENGTH)
        self.counts: Counter[str] = Counter()
        self.ordered = 0


_desk = _Desk()


def order(trouble: Trouble) -> Trouble:
    """Add a trouble. Raises ValueError."""
    trouble.check()
    with _desk.lock:
        _desk.ordered += 1
        trouble.number = _desk.ordered
        _desk.troubles.append(trouble)
    return trouble


def clear() -> None:
    """Remove all troubles; requests that hang go on at once."""
    with _desk.lock:
        _desk.troubles.clear()
        _desk.lock.notify_all()


def listed() -> list[dict[str, Any]]:
    """The troubles that wait for a request, as plain dicts."""
    with _desk.lock:
        return [asdict(trouble) for trouble in _desk.troubles]


def needs_account(target: str) -> bool:
    """Whether some trouble for this target is meant for one account only."""
    return any(t.account and t.target == target for t in list(_desk.troubles))


def take(target: str, account: str | None) -> tuple[int, Trouble | None]:
    """What this request meets: milliseconds to wait, and at most one other trouble."""
    wait, met = 0, None
    with _desk.lock:
        for trouble in list(_desk.troubles):
            if trouble.target != target or (trouble.account and trouble.account != account):
                continue
            if met is not None and not KINDS[trouble.kind].waits:
                continue
            if trouble.after > 0:
                trouble.after -= 1
                continue
            if KINDS[trouble.kind].waits:
                wait += trouble.milliseconds
            else:
                met = trouble
            _use_up(trouble)
    return wait, met


def pause(milliseconds: int) -> bool:
    """Wait, but no longer than until all troubles are cleared; returns whether they were."""
    with _desk.lock:
        return _desk.lock.wait(milliseconds / 1000)


def record(entry: dict[str, Any], *counted: str) -> None:
    """Write one request into the log and count it under these names."""
    with _desk.lock:
        _desk.log.append(entry)
        _desk.counts.update(counted)


def requests() -> dict[str, Any]:
    """The last 10,000 requests, and the counts since the log was cleared."""
    with _desk.lock:
        return {"requests": list(_desk.log), "counts": dict(_desk.counts)}


def forget_requests() -> None:
    """Clear the log and the counts."""
    with _desk.lock:
        _desk.log.clear()
        _desk.counts.clear()


def _use_up(trouble: Trouble) -> None:
    if trouble.times is not None:
        trouble.times -= 1
        if trouble.times == 0:
            _desk.troubles.remove(trouble)
