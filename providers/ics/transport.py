"""Fetching a feed: conditional requests (RFC 9110 section 13), redirects by hand, bounded sizes."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urljoin, urlsplit

from providers.addresses import read_address
from providers.base import HoldsSecrets, Http, Response
from providers.errors import (
    AnswerTooLarge,
    AuthorizationRevoked,
    CalendarForbidden,
    CalendarNotFound,
    FeedTooLarge,
    InvalidResponse,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)
from providers.http import retry_after_seconds

# Of a feed, as sent and again as unpacked. Twenty thousand events are about 3 MB.
MAX_BYTES = 25 * 1024 * 1024
MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SCHEMES = {"webcal": "https", "webcals": "https", "https": "https", "http": "http"}
_ACCEPT = "text/calendar, */*;q=0.1"
_MAX_AGE = re.compile(r"\bmax-age=(\d{1,9})\b")


@dataclass(frozen=True, slots=True)
class Validators:
    """What a server said of the version that it sent, byte for byte."""

    etag: str = ""
    modified: str = ""


@dataclass(frozen=True, slots=True)
class Fetched(HoldsSecrets):
    """A feed; `body` is None when it has not changed. `max_age` is the server's own hint."""

    body: bytes | None = field(repr=False)
    validators: Validators
    max_age: timedelta | None


def address_of(entered: str) -> str:
    """The URL of what a person entered: `webcal:` is https (no registered scheme, but wide-spread).
    A user name and a password may stand in it.

    Raises NotACalendar when it is no URL.
    """
    address = read_address(entered, _SCHEMES)
    if not address.user and not address.password:
        return address.url
    proof = f"{quote(address.user, safe='')}:{quote(address.password, safe='')}"
    return address.url.replace("://", f"://{proof}@", 1)


def fetch(http: Http, url: str, validators: Validators | None = None) -> Fetched:
    """The feed at `url`, unless it is what `validators` say.

    Raises CalendarNotFound, CalendarForbidden, AuthorizationRevoked (the address works no more),
    RateLimited, FeedTooLarge and the other errors of `providers.http`.
    """
    headers = {"Accept": _ACCEPT}
    if validators and validators.etag:
        headers["If-None-Match"] = validators.etag
    if validators and validators.modified:
        headers["If-Modified-Since"] = validators.modified
    response = _follow(http, url, headers)
    if response.status == 304 and validators:
        return Fetched(None, validators, _max_age(response))
    if response.status != 200:
        raise _failure(response)
    fresh = Validators(
        response.headers.get("ETag", "")[:1024], response.headers.get("Last-Modified", "")[:100]
    )
    return Fetched(response.body, fresh, _max_age(response))


def _follow(http: Http, address: str, headers: dict[str, str]) -> Response:
    url, proof = _proof_of(address)
    home = urlsplit(url)[:2]
    for _ in range(MOST_REDIRECTS + 1):
        # Another server learns nothing of the password.
        sent = {**headers, **proof} if urlsplit(url)[:2] == home else headers
        try:
            response = http.request("GET", url, headers=sent, max_bytes=MAX_BYTES)
        except AnswerTooLarge as error:
            raise FeedTooLarge(str(error)) from None
        target = response.headers.get("Location", "").strip()
        if response.status not in _REDIRECTS or not target:
            return response
        following = urljoin(url, target)
        if url.startswith("https:") and not following.startswith("https:"):
            raise InvalidResponse("The feed redirects from https to http.")
        url = following
    raise InvalidResponse("The feed redirects without end.")


def _proof_of(address: str) -> tuple[str, dict[str, str]]:
    """The URL without user name and password, and the header with them (RFC 7617)."""
    entered = read_address(address, _SCHEMES)
    if not entered.user and not entered.password:
        return entered.url, {}
    proof = base64.b64encode(f"{entered.user}:{entered.password}".encode()).decode()
    return entered.url, {"Authorization": f"Basic {proof}"}


def _failure(response: Response) -> ProviderError:
    detail = f"The feed answered HTTP {response.status}."
    match response.status:
        case 401 | 403:
            return CalendarForbidden(detail)
        case 404:
            return CalendarNotFound(detail)
        case 410:
            return AuthorizationRevoked(detail)
        case 429:
            return RateLimited(detail, retry_after=_wait(response))
        case status if status >= 500:
            return ProviderUnavailable(detail, retry_after=_wait(response))
        case _:
            return InvalidResponse(detail)


def _wait(response: Response) -> float | None:
    return retry_after_seconds(response.headers, datetime.now(UTC))


def _max_age(response: Response) -> timedelta | None:
    found = _MAX_AGE.search(response.headers.get("Cache-Control", ""))
    return timedelta(seconds=int(found[1])) if found else None
