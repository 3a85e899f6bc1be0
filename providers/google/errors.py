"""Google's refusals as typed errors.

`errors[0].reason` decides, never the message. Statuses and reasons:
https://developers.google.com/workspace/calendar/api/guides/errors
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from providers.base import Response
from providers.errors import (
    AccessTokenRejected,
    AccountUnsuitable,
    CalendarForbidden,
    CalendarNotFound,
    CalendarReadOnly,
    CursorExpired,
    EventChanged,
    EventNotFound,
    InvalidResponse,
    Misconfigured,
    ProviderError,
    ProviderUnavailable,
    QuotaExceeded,
    RateLimited,
    RequestRefused,
    ScopeMissing,
    WatchRefused,
)
from providers.http import clean_text, retry_after_seconds

_REASONS: dict[str, type[ProviderError]] = {
    "authError": AccessTokenRejected,
    "userRateLimitExceeded": RateLimited,
    "rateLimitExceeded": RateLimited,
    "RATE_LIMIT_EXCEEDED": RateLimited,
    "quotaExceeded": QuotaExceeded,
    "dailyLimitExceeded": QuotaExceeded,
    "insufficientPermissions": ScopeMissing,
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": ScopeMissing,
    "insufficient_scope": ScopeMissing,
    "accessNotConfigured": Misconfigured,
    "SERVICE_DISABLED": Misconfigured,
    "forbidden": CalendarForbidden,
    "requiredAccessLevel": CalendarForbidden,
    "notACalendarUser": AccountUnsuitable,
    "notFound": CalendarNotFound,
    "fullSyncRequired": CursorExpired,
    "updatedMinTooLongAgo": CursorExpired,
}
# What they mean for a request that writes. 409 is a conflict with another request of this moment.
_WRITING: dict[tuple[int, str], type[ProviderError]] = {
    (403, "forbidden"): CalendarReadOnly,
    (403, "requiredAccessLevel"): CalendarReadOnly,
    (404, "notFound"): EventNotFound,
    (409, "conflict"): ProviderUnavailable,
    (410, "deleted"): EventNotFound,
    (412, "conditionNotMet"): EventChanged,
}
_SHOWN_CODES: dict[type[ProviderError], str] = {AccountUnsuitable: "calendar_service_off"}
WRITING_SCOPE = "https://www.googleapis.com/auth/calendar.events"
# These decide before the status does: an address that Google does not post to is refused with 401,
# https://developers.google.com/workspace/calendar/api/guides/push
_WATCH_REASONS = frozenset(
    {"pushNotSupportedForRequestedResource", "webhookUrlNotHttps", "webhookUrlUnauthorized"}
)


def failure(response: Response, *, resuming: bool = False) -> ProviderError:
    """The error that an answer other than 200 is.

    `resuming`: the request carried a sync token or a page token, which is what is wrong when Google
    answers 400 or 410. An answer without Google's error body (HTML of a gateway, nothing) never
    says anything about a calendar or a grant.
    """
    body = _error(response.body)
    reason = _reason(body)
    kind = _kind(response.status, reason, known=body is not None, resuming=resuming)
    return _made(kind, response, reason)


def write_failure(response: Response) -> ProviderError:
    """The same of a request that writes. QuotaExceeded is here also the limit on how many events,
    invitations and calendars somebody makes, which takes hours to pass:
    https://developers.google.com/workspace/calendar/api/guides/quota
    """
    reason = reason_of(response)
    if response.status == 412:  # said of nothing but our If-Match, even with an empty body
        return _made(EventChanged, response, reason)
    kind = _WRITING.get((response.status, reason))
    error = failure(response) if kind is None else _made(kind, response, reason)
    if isinstance(error, ScopeMissing):
        error.missing = (WRITING_SCOPE,)
    return error


def reason_of(response: Response) -> str:
    """Google's reason for a refusal; empty when the answer gives none."""
    return _reason(_error(response.body))


def _made(kind: type[ProviderError], response: Response, reason: str) -> ProviderError:
    said = f"Google answered HTTP {response.status} {clean_text(reason, 60)}".rstrip()
    error = kind(f"{said}.")
    error.code = _SHOWN_CODES.get(kind, error.code)
    error.retry_after = retry_after_seconds(response.headers, datetime.now(UTC))
    return error


def _kind(status: int, reason: str, *, known: bool, resuming: bool) -> type[ProviderError]:
    by_reason = _REASONS.get(reason)
    if status in {400, 401, 403} and reason.removeprefix("push.") in _WATCH_REASONS:
        return WatchRefused
    if status >= 500:
        return ProviderUnavailable
    if status == 401:
        return AccessTokenRejected
    if status == 429:
        return QuotaExceeded if by_reason is QuotaExceeded else RateLimited
    if status in {400, 410} and resuming:
        return CursorExpired
    if status < 400 or not known:
        return InvalidResponse
    if status in {403, 404, 410} and by_reason is not None:
        return by_reason
    return CalendarNotFound if status == 404 else RequestRefused


def _error(body: bytes) -> dict[str, Any] | None:
    try:
        error = json.loads(body)["error"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    if error == "insufficient_scope":  # userinfo speaks RFC 6750 (section 3.1) instead
        return {"errors": [{"reason": error}]}
    return error if isinstance(error, dict) else None


def _reason(error: dict[str, Any] | None) -> str:
    """`errors[0].reason`; where that list is missing, the reason among the `details`."""
    for name in ("errors", "details"):
        entries = (error or {}).get(name)
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and isinstance(reason := entry.get("reason"), str):
                return reason
    return ""
