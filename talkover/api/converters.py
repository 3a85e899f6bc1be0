"""Identifiers in paths. What is no UUID matches no route, and so is answered 404."""

from __future__ import annotations

import re
import uuid

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class IdConverter:
    """A UUID in its usual form, in either case (RFC 9562 section 4)."""

    regex = "[^/]+"

    def to_python(self, value: str) -> uuid.UUID:
        if not _UUID.fullmatch(value):
            raise ValueError
        return uuid.UUID(value)

    def to_url(self, value: uuid.UUID | str) -> str:
        return str(value)
