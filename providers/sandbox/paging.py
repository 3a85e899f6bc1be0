"""Listings whose pages go wrong: made of the real pages, only the tokens lie.

A made-up page token begins with a mark and holds the real token of the page it leads to, or nothing
for the first page. It is understood also when the trouble is over, so that a reader can finish.
"""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict

Real = Callable[[HttpRequest], HttpResponseBase]

_ITEMS = b',"items":['
_MARK = "again."
_RANDOM = 16


@dataclass(frozen=True, kw_only=True)
class Page:
    """A listing: its fields, and the text from the first entry on, which may hold raw events."""

    head: dict[str, Any]
    rest: bytes

    def count(self) -> int:
        """How many entries there are; 0 when one is nested too deeply to be read."""
        try:
            return len(json.loads(b"[" + self.rest[:-1]))
        except RecursionError:
            return 0


def understand(request: HttpRequest) -> None:
    """Put the real page token in the place of a made-up one."""
    token = request.GET.get("pageToken", "")
    if token.startswith(_MARK):
        _ask(request, pageToken=token[len(_MARK) + _RANDOM :])


def endless(request: HttpRequest, real: Real) -> HttpResponseBase:
    """The page; the last one leads to itself under a new token, for ever."""
    return _changed(
        request, real, lambda page: None if "nextPageToken" in page.head else _new(request)
    )


def same_token(request: HttpRequest, real: Real) -> HttpResponseBase:
    """The page, which names the token it was asked for with. The first page is as it should be."""
    return _changed(request, real, lambda _page: request.GET.get("pageToken"))


def repeated(request: HttpRequest, real: Real) -> HttpResponseBase:
    """The page, which leads to itself under a new token."""
    return _changed(request, real, lambda _page: _new(request))


def entry_twice(request: HttpRequest, real: Real) -> HttpResponseBase:
    """The page, which leads to its own last entry: the token of a page that is one shorter."""

    def token(page: Page) -> str | None:
        if "nextPageToken" not in page.head or (count := page.count()) < 2:
            return None
        _ask(request, maxResults=str(count - 1))
        shorter = _page_of(real(request))
        following: str | None = shorter.head["nextPageToken"] if shorter else None
        return following

    return _changed(request, real, token)


def _changed(
    request: HttpRequest, real: Real, token: Callable[[Page], str | None]
) -> HttpResponseBase:
    response = real(request)
    page = _page_of(response)
    following = token(page) if page else None
    if page is None or following is None:
        return response
    page.head.pop("nextSyncToken", None)
    page.head["nextPageToken"] = following
    content = orjson.dumps(page.head)[:-1] + _ITEMS + page.rest
    return HttpResponse(content, content_type=response["Content-Type"])


def _page_of(response: HttpResponseBase) -> Page | None:
    """The listing, or None when the answer is none."""
    if not isinstance(response, HttpResponse) or response.status_code != 200:
        return None
    head, found, rest = response.content.partition(_ITEMS)
    return Page(head=orjson.loads(head + b"}"), rest=rest) if found else None


def _new(request: HttpRequest) -> str:
    return _MARK + secrets.token_hex(_RANDOM // 2) + request.GET.get("pageToken", "")


def _ask(request: HttpRequest, **parameters: str) -> None:
    query = request.GET.copy()
    for name, value in parameters.items():
        query.pop(name, None)
        if value:
            query[name] = value
    request.GET = QueryDict(query.urlencode())
