"""Sessions of signed-in people, found by a digest: who reads the database can use none of them."""

from __future__ import annotations

import hashlib
from typing import Any

from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.utils import timezone


class SessionStore(DatabaseStore):
    """Django's store, which keeps the cookie's value as it is, with a digest in its place.

    The row's key is the first 160 bits of SHA-256: as many as its column holds. For requests that
    are served without asyncio, as all of ours are.
    """

    def exists(self, session_key: str) -> bool:
        return super().exists(digest(session_key))

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        row = super().create_model_instance(data)
        row.session_key = digest(row.session_key)
        return row

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key is not None:
            super().delete(digest(key))

    def _get_session_from_db(self) -> Any:
        found = self.model.objects.filter(
            session_key=digest(self.session_key or ""), expire_date__gt=timezone.now()
        ).first()
        if found is None:
            # An id that nobody was given is not taken over: the next save makes a new one.
            self._session_key = None
        return found


def digest(session_key: str) -> str:
    """What is kept of a session's id, which has 165 random bits and needs no salt."""
    return hashlib.sha256(session_key.encode()).hexdigest()[:40]
