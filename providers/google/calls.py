"""One request to Google's API, and the addresses of calendars and events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec

from providers.base import Access, Http, Response
from providers.errors import CalendarNotFound, EventNotFound
from providers.google.errors import failure
from providers.http import decode_json, path_segment

T = TypeVar("T")


def ask(http: Http, url: str, parameters: Mapping[str, str], token: str) -> Response:
    """The answer to a GET, whatever its status."""
    return http.request("GET", _with(url, parameters), headers=_authorization(token))


def get(http: Http, url: str, parameters: Mapping[str, str], token: str, kind: type[T]) -> T:
    """What a GET finds. Raises Google's refusals as their types, and InvalidResponse."""
    response = ask(http, url, parameters, token)
    if response.status != 200:
        raise failure(response)
    return decode_json(response.body, kind)


def send(
    http: Http,
    method: str,
    url: str,
    parameters: Mapping[str, str],
    token: str,
    body: Mapping[str, Any] | None = None,
    *,
    etag: str = "",
) -> Response:
    """The answer to a request that writes. `etag`: only if the resource still is that."""
    headers = _authorization(token)
    if etag:
        headers["If-Match"] = etag
    content = None
    if body is not None:
        headers["Content-Type"] = "application/json"
        content = msgspec.json.encode(body)
    return http.request(method, _with(url, parameters), headers=headers, body=content)


def events_url(access: Access, calendar_id: str) -> str:
    """The events of a calendar. Raises CalendarNotFound for an id that can be none."""
    return f"{access.address}/calendars/{segment(calendar_id)}/events"


def event_url(access: Access, calendar_id: str, event_id: str) -> str:
    """One event. Raises CalendarNotFound, EventNotFound for ids that can be none."""
    url = events_url(access, calendar_id)
    if not event_id.strip("."):
        raise EventNotFound("This is no event id.")
    return f"{url}/{path_segment(event_id)}"


def entry_url(access: Access, calendar_id: str) -> str:
    """A calendar in the account's list. Raises CalendarNotFound for an id that can be none."""
    return f"{access.address}/users/me/calendarList/{segment(calendar_id)}"


def segment(calendar_id: str) -> str:
    """A calendar's id within a path. Raises CalendarNotFound for one that can be none."""
    if not calendar_id.strip("."):  # servers resolve dots in paths
        raise CalendarNotFound("This is no calendar id.")
    return path_segment(calendar_id)


def _authorization(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _with(url: str, parameters: Mapping[str, str]) -> str:
    return f"{url}?{urlencode(parameters, safe='(),:')}" if parameters else url
