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
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict

Real = Callable[[HttpRequest], HttpResponseBase]

_MARK = "again."
_RANDOM = 16


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a listing is paged: where its entries begin, and what its tokens are called.

    `parameter` carries a page token, `following` leads to the next page, `end` stands on the last.
    """

    entries: bytes
    parameter: str
    following: str
    end: str


GOOGLE = Dialect(
    entries=b',"items":[', parameter="pageToken", following="nextPageToken", end="nextSyncToken"
)
MICROSOFT = Dialect(
    entries=b',"value":[',
    parameter="$skiptoken",
    following="@odata.nextLink",
    end="@odata.deltaLink",
)


def dialect_of(request: HttpRequest) -> Dialect:
    """The dialect that is spoken at this address."""
    return MICROSOFT if request.path.startswith("/microsoft/") else GOOGLE


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
    dialect = dialect_of(request)
    token = request.GET.get(dialect.parameter, "")
    if token.startswith(_MARK):
        _ask(request, dialect.parameter, token[len(_MARK) + _RANDOM :])


def endless(request: HttpRequest, real: Real) -> HttpResponseBase:
    """The page; the last one leads to itself under a new token, for ever."""
    following = dialect_of(request).following
    return _changed(request, real, lambda page: None if following in page.head else _new(request))


def same_token(request: HttpRequest, real: Real) -> HttpResponseBase:
    """The page, which names the token it was asked for with. The first page is as it should be."""
    token = request.GET.get(dialect_of(request).parameter)
    return _changed(request, real, lambda _page: token and _leads_to(request, token))


def repeated(request: HttpRequest, real: Real) -> HttpResponseBase:
    """The page, which leads to itself under a new token."""
    return _changed(request, real, lambda _page: _new(request))


def entry_twice(request: HttpRequest, real: Real) -> HttpResponseBase:
    """The page, which leads to its own last entry: the token of a page that is one shorter."""

    following = dialect_of(request).following

    def token(page: Page) -> str | None:
        if following not in page.head or (count := page.count()) < 2:
            return None
        _ask(request, "maxResults", str(count - 1))  # so Google is asked, and so Microsoft
        request.META["sandbox.page_size"] = str(count - 1)
        shorter = _page_of(request, real(request))
        found: str | None = shorter.head[following] if shorter else None
        return found

    return _changed(request, real, token)


def _changed(
    request: HttpRequest, real: Real, token: Callable[[Page], str | None]
) -> HttpResponseBase:
    dialect, response = dialect_of(request), real(request)
    page = _page_of(request, response)
    following = token(page) if page else None
    if page is None or following is None:
        return response
    page.head.pop(dialect.end, None)
    page.head[dialect.following] = following
    content = orjson.dumps(page.head)[:-1] + dialect.entries + page.rest
    return HttpResponse(content, content_type=response["Content-Type"])


def _page_of(request: HttpRequest, response: HttpResponseBase) -> Page | None:
    """The listing, or None when the answer is none."""
    if not isinstance(response, HttpResponse) or response.status_code != 200:
        return None
    head, found, rest = response.content.partition(dialect_of(request).entries)
    return Page(head=orjson.loads(head + b"}"), rest=rest) if found else None


def _new(request: HttpRequest) -> str:
    own = request.GET.get(dialect_of(request).parameter, "")
    return _leads_to(request, _MARK + secrets.token_hex(_RANDOM // 2) + own)


def _leads_to(request: HttpRequest, token: str) -> str:
    """What leads to the page of this token: with Google the token, with Microsoft an address."""
    dialect = dialect_of(request)
    if dialect is GOOGLE:
        return token
    query = request.GET.copy()
    query[dialect.parameter] = token
    return f"{settings.SANDBOX.public_url}{request.path}?{query.urlencode(safe='$')}"


def _ask(request: HttpRequest, name: str, value: str) -> None:
    query = request.GET.copy()
    query.pop(name, None)
    if value:
        query[name] = value
    request.GET = QueryDict(query.urlencode())
