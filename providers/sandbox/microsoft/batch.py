"""`POST /$batch`: up to 20 requests in one.

Rules: microsoft-graph-docs-contrib, `concepts/json-batching.md`. Each part passes the troubles and
the request log as a request of its own.
"""

import io
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import orjson
from django.core.handlers.wsgi import WSGIRequest
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import resolve

from providers.sandbox.microsoft.door import ROOT, Call, method, not_here
from providers.sandbox.microsoft.errors import GraphError
from providers.sandbox.microsoft.scopes import SCOPES

PART = "sandbox.part"
"""Marks the request of a part, which does not count as one in flight."""
_MOST = 20
_METHODS = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE"})
_order = random.Random(0)

Json = dict[str, Any]


@method(frozenset(SCOPES), mailbox=False)
def batch(call: Call) -> HttpResponse:
    """200 with the answers of the parts in any order, or 400 when the whole makes no sense."""
    parts = _checked(call.body().get("requests"))
    statuses: dict[str, int] = {}
    answers = []
    for part in parts:
        names = [str(each).lower() for each in part.get("dependsOn", [])]
        if any(statuses[name] >= 400 for name in names):
            answer = _failed_dependency(call.request, part)
        else:
            answer = _answered(call.request, part)
        statuses[part["id"].lower()] = answer["status"]
        answers.append(answer)
    _order.shuffle(answers)
    return HttpResponse(orjson.dumps({"responses": answers}), content_type="application/json")


def _checked(parts: Any) -> list[Json]:
    if not isinstance(parts, list) or not parts:
        raise _bad("The batch request body must have requests.")
    if len(parts) > _MOST:
        raise _bad(f"Number of batch request steps exceeds the maximum value of {_MOST}.")
    seen: set[str] = set()
    for part in parts:
        if not isinstance(part, dict) or not isinstance(part.get("id"), str) or not part["id"]:
            raise _bad("Each request needs an id.")
        if part["id"].lower() in seen:
            raise _bad(f"The id '{part['id']}' is not unique.")
        for name in part.get("dependsOn") or []:
            if str(name).lower() not in seen:
                raise _bad(f"dependsOn names '{name}', which does not come before.")
        seen.add(part["id"].lower())
    return parts


def _bad(message: str) -> GraphError:
    return GraphError(400, "BadRequest", message)


def _failed_dependency(request: HttpRequest, part: Json) -> Json:
    error = GraphError(424, "FailedDependency", "A request that this one depends on has failed.")
    return _described(part, error.response(request))


def _answered(request: HttpRequest, part: Json) -> Json:
    url, verb = part.get("url"), str(part.get("method", "")).upper()
    headers = {str(name).lower(): str(value) for name, value in (part.get("headers") or {}).items()}
    problem = None
    if not isinstance(url, str) or not url or "://" in url or verb not in _METHODS:
        problem = _bad("A request needs a relative url and a method.")
    elif url.lstrip("/").startswith("$batch"):
        problem = _bad("A batch cannot be part of a batch.")
    elif part.get("body") is not None and "content-type" not in headers:
        problem = _bad("Content-Type header is required when a body is given.")
    if problem is not None or not isinstance(url, str):
        return _described(part, (problem or _bad("")).response(request))
    return _described(part, _served(_request(request, verb, url, headers, part.get("body"))))


def _request(
    request: HttpRequest, verb: str, url: str, headers: dict[str, str], body: Any
) -> HttpRequest:
    path, _, query = url.lstrip("/").partition("?")
    content = b"" if body is None else orjson.dumps(body)
    kept = ("SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "REMOTE_ADDR", "HTTP_AUTHORIZATION")
    environ: Json = {name: request.META[name] for name in kept if name in request.META}
    environ |= {
        "HTTP_" + name.upper().replace("-", "_"): value
        for name, value in headers.items()
        if name not in {"authorization", "content-type", "content-length", "host"}
    }
    environ |= {
        "HTTP_HOST": request.META.get("HTTP_HOST", ""),
        "REQUEST_METHOD": verb,
        "SCRIPT_NAME": "",
        # As a server hands it over: bytes, one character each (PEP 3333).
        "PATH_INFO": unquote(f"{ROOT}/{path}", "latin-1"),
        "QUERY_STRING": query,
        "CONTENT_TYPE": headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(content)),
        "wsgi.input": io.BytesIO(content),
        "wsgi.url_scheme": request.scheme,
        PART: True,
    }
    return WSGIRequest(environ)


def _served(request: HttpRequest) -> HttpResponseBase:
    # Imported here: the middleware knows the troubles of all dialects, and this is one of them.
    from providers.sandbox.middleware import TroubleAndLog

    return TroubleAndLog(_viewed)(request)


def _viewed(request: HttpRequest) -> HttpResponseBase:
    try:
        match = resolve(request.path_info)
    except Http404:
        return not_here(request)
    request.resolver_match = match
    view: Callable[..., HttpResponseBase] = match.func
    return view(request, *match.args, **match.kwargs)


def _described(part: Json, response: HttpResponseBase) -> Json:
    kept = ("Content-Type", "Retry-After", "Location", "Preference-Applied", "request-id")
    answer: Json = {
        "id": part["id"],
        "status": response.status_code,
        "headers": {name: response.headers[name] for name in kept if name in response.headers},
    }
    content = _content(response)
    kind = response.headers.get("Content-Type", "")
    if content:
        is_json = kind.startswith("application/json")
        answer["body"] = orjson.loads(content) if is_json else content.decode(errors="replace")
    return answer


def _content(response: HttpResponseBase) -> bytes:
    if isinstance(response, HttpResponse):
        return response.content
    try:
        return response.getvalue() if isinstance(response, StreamingHttpResponse) else b""
    except OSError:  # a trouble that cuts it off
        return b""
