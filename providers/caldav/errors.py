"""A CalDAV server's refusals as typed errors: by status, and by the precondition it names."""

from __future__ import annotations

from datetime import UTC, datetime

from providers.base import Response
from providers.caldav.multistatus import preconditions
from providers.errors import (
    CalendarForbidden,
    CalendarNotFound,
    CalendarReadOnly,
    EventChanged,
    EventNotFound,
    InvalidResponse,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RequestRefused,
    UnsupportedRecurrence,
)
from providers.http import clean_text, retry_after_seconds

# RFC 4791 section 5.3.2.1: what a server may not be able to repeat.
_RECURRENCE = frozenset({"max-instances", "min-date-time", "max-date-time"})


def failure(response: Response) -> ProviderError:
    """The error that an answer is which was not hoped for; of reading a calendar."""
    status = response.status
    kind: type[ProviderError]
    if status == 403:
        kind = CalendarForbidden
    elif status in {404, 410}:
        kind = CalendarNotFound
    else:
        kind = _by_status(status, response)
    return _made(kind, response)


def write_failure(response: Response) -> ProviderError:
    """The same of a PUT or DELETE. 409 is taken for 412: servers mix them up."""
    status, named = response.status, preconditions(response.body)
    kind: type[ProviderError]
    if status in {403, 409, 413, 415, 422} and named & _RECURRENCE:
        kind = UnsupportedRecurrence
    elif status in {409, 412} and not named - {"no-uid-conflict"}:
        kind = EventChanged
    elif status in {404, 410}:
        kind = EventNotFound
    elif status in {403, 405} and (not named or "need-privileges" in named):
        kind = CalendarReadOnly
    else:
        kind = RequestRefused if named and status < 500 else _by_status(status, response)
    return _made(kind, response)


def _by_status(status: int, response: Response) -> type[ProviderError]:
    if status == 429 or (status == 503 and _pause(response) is not None):
        return RateLimited
    if status >= 500:
        return ProviderUnavailable
    return RequestRefused if status >= 400 else InvalidResponse


def _made(kind: type[ProviderError], response: Response) -> ProviderError:
    named = " ".join(sorted(preconditions(response.body)))
    text = f"The server answered HTTP {response.status} {clean_text(named, 100)}".rstrip()
    error = kind(f"{text}.")
    error.retry_after = _pause(response)
    return error


def _pause(response: Response) -> float | None:
    return retry_after_seconds(response.headers, datetime.now(UTC))
