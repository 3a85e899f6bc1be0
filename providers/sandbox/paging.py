"""Listings whose pages go wrong: made of the real pages, only the tokens lie.

A made-up page token begins with a mark and holds the real token of the page it leads to, or nothing
for the first page. It is understood also when the trouble is over, so that a reader can finish.
"""

import json
import secrets
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict

Real = Callable[[HttpRequest], HttpResponseBase]
Listing = dict[str, Any]

_MARK = "again."
_RANDOM = 16


def understand(request: HttpRequest) -> None:
    """Put the real page token in the place of a made-up one."""
    token = request.GET.get("pageToken", "")
    if token.startswith(_MARK):
        _ask(request, pageToken=token[len(_MARK) + _RANDOM :])


def endless(request: HttpRequest, real: Real) -> HttpResponseBase:
    """The page; the last one leads to itself under a new token, for ever."""
    return _changed(request, real, lambda page: None if "nextPageToken" in page else _new(request))


def same_token(request: HttpRequest, real: Real) -> HttpResponseBase:
    """The page, which names the token it was asked for with. The first page is as it should be."""
    return _changed(request, real, lambda _page: request.GET.get("pageToken"))


def repeated(request: HttpRequest, real: Real) -> HttpResponseBase:
    """The page, which leads to itself under a new token."""
    return _changed(request, real, lambda _page: _new(request))


def entry_twice(request: HttpRequest, real: Real) -> HttpResponseBase:
    """The page, which leads to its own last entry: the token of a page that is one shorter."""

    def token(page: Listing) -> str | None:
        if "nextPageToken" not in page or len(page["items"]) < 2:
            return None
        _ask(request, maxResults=str(len(page["items"]) - 1))
        shorter: str = _page_of(real(request))["nextPageToken"]
        return shorter

    return _changed(request, real, token)


def _changed(
    request: HttpRequest, real: Real, token: Callable[[Listing], str | None]
) -> HttpResponseBase:
    response = real(request)
    page = _page_of(response)
    if "items" not in page:
        return response
    following = token(page)
    if following is None:
        return response
    page.pop("nextSyncToken", None)
    page["nextPageToken"] = following
    # ASCII, because a stored event may hold what UTF-8 cannot.
    return HttpResponse(json.dumps(page), content_type=response["Content-Type"])


def _page_of(response: HttpResponseBase) -> Listing:
    if not isinstance(response, HttpResponse) or response.status_code != 200:
        return {}
    content = json.loads(response.content or b"null")
    return content if isinstance(content, dict) else {}


def _new(request: HttpRequest) -> str:
    return _MARK + secrets.token_hex(_RANDOM // 2) + request.GET.get("pageToken", "")


def _ask(request: HttpRequest, **parameters: str) -> None:
    query = request.GET.copy()
    for name, value in parameters.items():
        query.pop(name, None)
        if value:
            query[name] = value
    request.GET = QueryDict(query.urlencode())
