"""The id of the request being served, for logs and error answers."""

from __future__ import annotations

import re
import uuid
from contextvars import ContextVar

NONE = "-"
_SANE = re.compile(r"[A-Za-z0-9._:-]{1,128}")

current: ContextVar[str] = ContextVar("request_id", default=NONE)


def accept(proposed: str | None) -> str:
    """The caller's id when it is harmless in a log line and a header, else a new one."""
    if proposed and _SANE.fullmatch(proposed):
        return proposed
    return uuid.uuid4().hex
