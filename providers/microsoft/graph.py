"""Requests to Microsoft Graph: what each carries, which links are followed, several at once.

https://learn.microsoft.com/graph/use-the-api
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from providers.base import Access, Http, Response
from providers.errors import CalendarNotFound, EventNotFound, InvalidResponse, RateLimited
from providers.http import decode_json, path_segment
from providers.microsoft.errors import failure

T = TypeVar("T")

# Ids that survive moves between folders, times in UTC, bodies as text. They are preferences: none
# of them is kept in a link, so each request carries them.
# https://learn.microsoft.com/graph/outlook-immutable-id
PREFERENCES = (
    'IdType="ImmutableId"',
    'outlook.timezone="UTC"',
    'outlook.body-content-type="text"',
)
# https://learn.microsoft.com/graph/json-batching
MOST_PARTS = 20
# How much a mailbox does at once for one application; what is throttled is asked again by so many.
# https://learn.microsoft.com/graph/throttling-limits
MOST_AT_ONCE = 4


class _Part(msgspec.Struct):
    id: str
    status: int
    headers: dict[str, Any] | None = None
    body: msgspec.Raw = msgspec.Raw(b"")


class _Batch(msgspec.Struct):
    responses: list[_Part]


def send(
    http: Http,
    access: Access,
    method: str,
    url: str,
    *,
    body: object = None,
    headers: Mapping[str, str] | None = None,
    preferences: Iterable[str] = (),
) -> Response:
    """The answer, whatever its status. `body` is sent as JSON."""
    sent = {
        "Authorization": f"Bearer {access.secret}",
        "Prefer": ", ".join((*PREFERENCES, *preferences)),
        **(headers or {}),
    }
    if body is None:
        return http.request(method, url, headers=sent)
    sent["Content-Type"] = "application/json"
    return http.request(method, url, headers=sent, body=msgspec.json.encode(body))


def get(http: Http, access: Access, url: str, kind: type[T]) -> T:
    """A resource. Raises Graph's refusals as their types."""
    response = send(http, access, "GET", url)
    if response.status != 200:
        raise failure(response)
    return decode_json(response.body, kind)


def get_each(http: Http, access: Access, paths: Mapping[str, str]) -> dict[str, bytes]:
    """What is found at each of `paths` (relative to the API's root), by the same keys; what is gone
    is left out.

    Each part of a batch can fail alone. Those that were throttled are asked once more, as many at a
    time as a mailbox does at once; nothing is waited for here. Raises the first other refusal, and
    RateLimited for as long as the longest says.
    """
    found: dict[str, bytes] = {}
    throttled = _collect(http, access, paths, found, at_once=MOST_PARTS)
    if throttled:
        again = {key: paths[key] for key in throttled}
        throttled = _collect(http, access, again, found, at_once=MOST_AT_ONCE)
    if throttled:
        waits = [error.retry_after for error in throttled.values() if error.retry_after is not None]
        raise RateLimited("Parts of a batch were throttled.", retry_after=max(waits, default=None))
    return found


def _collect(
    http: Http, access: Access, paths: Mapping[str, str], found: dict[str, bytes], *, at_once: int
) -> dict[str, RateLimited]:
    throttled: dict[str, RateLimited] = {}
    keys = list(paths)
    for begin in range(0, len(keys), at_once):
        chunk = keys[begin : begin + at_once]
        for key, response in _batch(http, access, {key: paths[key] for key in chunk}).items():
            if response.status == 200:
                found[key] = response.body
                continue
            # A 404 of a gateway's, or of a mailbox, says nothing of an event.
            error = failure(response, event=response.status == 404)
            if isinstance(error, RateLimited):
                throttled[key] = error
            elif not isinstance(error, EventNotFound):
                raise error
    return throttled


def _batch(http: Http, access: Access, paths: Mapping[str, str]) -> dict[str, Response]:
    """One request for up to twenty. The parts' ids are numbers: a batch compares them without
    regard to case, and Outlook's ids differ in it.
    """
    keys = list(paths)
    requests = [
        {
            "id": str(number),
            "method": "GET",
            "url": paths[key],
            "headers": {"Prefer": ", ".join(PREFERENCES)},
        }
        for number, key in enumerate(keys)
    ]
    response = send(http, access, "POST", f"{access.address}/$batch", body={"requests": requests})
    if response.status != 200:
        raise failure(response)
    parts = {part.id: part for part in decode_json(response.body, _Batch).responses}
    if parts.keys() != {request["id"] for request in requests}:
        raise InvalidResponse("Graph's batch does not answer what was asked.")
    return {key: _response(parts[str(number)]) for number, key in enumerate(keys)}


def _response(part: _Part) -> Response:
    body = bytes(part.body)
    if body.startswith(b'"'):  # what is not JSON comes as base64 text
        try:
            body = base64.b64decode(json.loads(body), validate=True)
        except ValueError:
            body = b""
    headers = {name.title(): str(value) for name, value in (part.headers or {}).items()}
    return Response(part.status, headers, body)


def is_own(access: Access, link: str) -> bool:
    """Whether a link of an answer leads to where the access is for: the token goes nowhere else."""
    if not link.startswith(f"{access.address}/") or not re.fullmatch(r"[!-~]+", link):
        return False
    parts = urlsplit(link)
    return not parts.fragment and not {".", ".."} & set(
        parts.path.lower().replace("%2e", ".").split("/")
    )


def check_link(access: Access, link: str) -> str:
    """A link of Graph's answer, to be followed later. Raises InvalidResponse for a foreign one."""
    if link and not is_own(access, link):
        raise InvalidResponse("Graph's answer names a link that does not lead to Graph.")
    return link


def _is_id(text: str) -> bool:
    """Whether Graph can have such an id. It takes paths apart after decoding them, so what is
    quoted for it is read as several segments, and servers resolve dots.
    """
    return bool(text.strip(".")) and not re.search(r"[/\\?#%\s]", text)


def calendar_path(calendar_id: str) -> str:
    """A calendar, relative to the API's root. Raises CalendarNotFound for what is no id."""
    if calendar_id == "primary":
        return "/me/calendar"
    if not _is_id(calendar_id):
        raise CalendarNotFound("This is no calendar id.")
    return f"/me/calendars/{path_segment(calendar_id)}"


def event_path(calendar_id: str, event_id: str) -> str:
    """An event of a calendar, relative to the API's root. Raises EventNotFound, too."""
    if not _is_id(event_id):
        raise EventNotFound("This is no event id.")
    return f"{calendar_path(calendar_id)}/events/{path_segment(event_id)}"
