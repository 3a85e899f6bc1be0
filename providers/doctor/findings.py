"""What a check of the doctor finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """SKIPPED: nobody could look, which is neither good nor bad."""

    OK = "ok"
    SKIPPED = "skipped"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` is one sentence; `remedy` says what to do, and is empty when there is nothing."""

    check: str
    level: Level
    what: str
    remedy: str = ""
