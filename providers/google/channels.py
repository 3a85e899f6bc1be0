"""Google's notification channels: opening, stopping, and reading what is posted.

https://developers.google.com/workspace/calendar/api/guides/push
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from providers.base import Http, Response
from providers.errors import CalendarNotFound, InvalidResponse
from providers.google.errors import failure
from providers.google.wire import Wire
from providers.http import decode_json
from providers.watching import Channel, Notification

# Google's channel ids are at most 64 characters long, and tokens 256; a resource id is opaque.
_MAX_TOKEN = 256
_MAX_RESOURCE_ID = 255
_MAX_DIGITS = 18  # what a 64 bit column surely holds


class Parameters(Wire):
    """`ttl`: seconds, as text."""

    ttl: str


class Wanted(Wire):
    """The body of a watch request."""

    id: str
    token: str
    address: str
    params: Parameters
    type: str = "web_hook"


class Stopped(Wire):
    """The body of a stop request."""

    id: str
    resource_id: str


class Opened(Wire):
    """Google's answer. `expiration` is in milliseconds since 1970, as text or as a number."""

    resource_id: str
    expiration: int | str


def watch(http: Http, url: str, token: str, wanted: Wanted) -> Channel:
    """Open a channel. Raises WatchRefused, and Google's other refusals as their types."""
    response = _post(http, url, token, wanted)
    if response.status != 200:
        raise failure(response)
    opened = decode_json(response.body, Opened)
    if not 0 < len(opened.resource_id) <= _MAX_RESOURCE_ID:
        raise InvalidResponse("Google's channel names no resource.")
    try:
        expires_at = datetime.fromtimestamp(int(opened.expiration) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise InvalidResponse("Google's channel has no end that can be read.") from None
    return Channel(resource_id=opened.resource_id, expires_at=expires_at)


def stop(http: Http, url: str, token: str, stopped: Stopped) -> None:
    """Stop a channel. Google's 404 says that there is none any more, which is what is wanted."""
    response = _post(http, url, token, stopped)
    if response.status in {200, 204}:
        return
    refusal = failure(response)
    if not isinstance(refusal, CalendarNotFound):
        raise refusal


def read_notification(headers: Mapping[str, str]) -> Notification | None:
    """A notification from its headers; None when one is missing, too long or not what it should be.

    The body is empty, and nothing says what has changed.
    """
    number = headers.get("X-Goog-Message-Number", "")
    token = headers.get("X-Goog-Channel-Token", "")
    resource_id = headers.get("X-Goog-Resource-ID", "")
    state = headers.get("X-Goog-Resource-State", "")
    if (
        not (number.isascii() and number.isdecimal() and len(number) <= _MAX_DIGITS)
        or not 0 < len(token) <= _MAX_TOKEN
        or not 0 < len(resource_id) <= _MAX_RESOURCE_ID
        or not resource_id.isprintable()
        or not state
    ):
        return None
    return Notification(
        channel_id=headers.get("X-Goog-Channel-ID", ""),
        token=token,
        resource_id=resource_id,
        number=int(number),
        opens=state == "sync",
    )


def _post(http: Http, url: str, token: str, body: Wire) -> Response:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return http.request("POST", url, headers=headers, body=msgspec.json.encode(body))
