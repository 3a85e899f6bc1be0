"""Graph's refusals as typed errors.

The code decides, never the message; the innermost code that is known counts:
https://learn.microsoft.com/graph/errors
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from providers.base import Response
from providers.errors import (
    AccessTokenRejected,
    AccountUnsuitable,
    AuthorizationRevoked,
    CalendarForbidden,
    CalendarNotFound,
    CursorExpired,
    EventChanged,
    EventNotFound,
    InvalidResponse,
    ProviderError,
    ProviderUnavailable,
    QuotaExceeded,
    RateLimited,
    RequestRefused,
)
from providers.http import clean_text, retry_after_seconds

# Compared in lower case: the same code is spelt differently by different services behind Graph.
_CODES: dict[str, type[ProviderError]] = {
    "invalidauthenticationtoken": AccessTokenRejected,
    "unauthenticated": AccessTokenRejected,
    "insufficient_claims": AuthorizationRevoked,
    "erroraccessdenied": CalendarForbidden,
    "accessdenied": CalendarForbidden,
    "authorization_requestdenied": CalendarForbidden,
    "mailboxnotenabledforrestapi": AccountUnsuitable,
    "mailboxnotsupportedforrestapi": AccountUnsuitable,
    "extensionerror": AccountUnsuitable,
    "erroritemnotfound": CalendarNotFound,
    "errorinvalididmalformed": CalendarNotFound,
    "errorinvalidid": CalendarNotFound,
    "errorfoldernotfound": CalendarNotFound,
    "itemnotfound": CalendarNotFound,
    "resourcenotfound": CalendarNotFound,
    "syncstatenotfound": CursorExpired,
    "syncstateinvalid": CursorExpired,
    "resyncrequired": CursorExpired,
    "applicationthrottled": RateLimited,
    "activitylimitreached": RateLimited,
    "toomanyrequests": RateLimited,
    "errorserverbusy": RateLimited,
    "errorexceededmessagelimit": QuotaExceeded,
    "errorirresolvableconflict": EventChanged,
    "resourcemodified": EventChanged,
    "entitytagdoesnotmatch": EventChanged,
}
# Codes that say something whatever the status is.
_ALWAYS = (CursorExpired, AuthorizationRevoked, EventChanged)
_SHOWN_CODES = {
    AccountUnsuitable: "mailbox_missing",
    AuthorizationRevoked: "interaction_required",
}
_RETRIED = frozenset({408, 423, 509})
_DEEPEST = 8


def failure(response: Response, *, resuming: bool = False, event: bool = False) -> ProviderError:
    """The error that a refusal is.

    `resuming`: a link of an earlier answer was followed, which is what is wrong when Graph answers
    400 or 410. `event`: one event was asked for, so that what is not found is that. An answer
    without Graph's error body (HTML of a gateway, nothing) never says anything about a calendar, a
    mailbox or a grant.
    """
    codes = _codes(response)
    code = next((code for code in reversed(codes) if code.lower() in _CODES), "")
    kind = _kind(response.status, _CODES.get(code.lower()), known=bool(codes), resuming=resuming)
    if event and kind is CalendarNotFound:
        kind = EventNotFound
    said = clean_text(code or (codes[-1] if codes else ""), 60)
    error = kind(f"Graph answered HTTP {response.status} {said}".rstrip() + ".")
    error.code = _SHOWN_CODES.get(kind, error.code)
    error.retry_after = retry_after_seconds(response.headers, datetime.now(UTC))
    return error


def _kind(
    status: int, by_code: type[ProviderError] | None, *, known: bool, resuming: bool
) -> type[ProviderError]:
    if by_code in _ALWAYS and 400 <= status < 500:
        return by_code
    if status == 429 or (by_code is not None and issubclass(by_code, RateLimited)):
        return by_code if by_code is QuotaExceeded else RateLimited
    if status == 507:  # the mailbox is full, until its owner makes room
        return QuotaExceeded
    if status >= 500 or status in _RETRIED:
        return ProviderUnavailable
    if status == 401:
        return AccessTokenRejected
    if status in {400, 410} and resuming:
        return CursorExpired
    if status < 400 or not known:
        return InvalidResponse
    if status == 412:
        return EventChanged
    # `extensionError` says anything else with other statuses.
    no_mailbox = by_code is AccountUnsuitable and status not in {403, 404}
    if by_code is not None and by_code is not AccessTokenRejected and not no_mailbox:
        return by_code
    return {404: CalendarNotFound, 410: CalendarNotFound}.get(status, RequestRefused)


def _codes(response: Response) -> list[str]:
    """The error's codes, the outermost first. A challenge in the header is one, too: continuous
    access evaluation puts it there (https://learn.microsoft.com/entra/identity/conditional-access/
    concept-continuous-access-evaluation).
    """
    codes = list(_nested(response.body))
    if response.status in {401, 403}:
        challenge = response.headers.get("WWW-Authenticate", "")
        if "insufficient_claims" in challenge[:4096]:
            codes.append("insufficient_claims")
    return codes


def _nested(body: bytes) -> Iterator[str]:
    try:
        error: Any = json.loads(body)["error"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return
    for _ in range(_DEEPEST):
        if not isinstance(error, dict):
            return
        if isinstance(code := error.get("code"), str) and code:
            yield code
        error = error.get("innerError") or error.get("innererror")
