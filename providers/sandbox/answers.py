"""The answers of the ordered troubles."""

import errno
import functools
import zlib
from collections.abc import Callable, Iterator

from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    StreamingHttpResponse,
)

from providers.sandbox import paging
from providers.sandbox.google.access import JSON
from providers.sandbox.google.refusals import REFUSALS
from providers.sandbox.microsoft import refusing
from providers.sandbox.microsoft.refusals import REASONS
from providers.sandbox.paging import Dialect
from providers.sandbox.trouble import Trouble, pause

_MEGABYTES = 200
_PAGE = "<!doctype html><title>Sorry</title><p>Please sign in to the network."
_GZIP = 16 + zlib.MAX_WBITS
Real = Callable[[HttpRequest], HttpResponseBase]


def answer(trouble: Trouble, request: HttpRequest, real: Real) -> HttpResponseBase:
    """The response that this trouble gives instead of the real one, or makes of it."""
    dialect = paging.dialect_of(request)
    if dialect is paging.MICROSOFT and trouble.kind in REASONS:
        return _later(trouble, refusing.refused(trouble.kind, trouble.reason, request))
    if trouble.kind in REFUSALS:
        errors = REFUSALS[trouble.kind]
        usual = next(iter(errors.values()))
        return _later(trouble, errors.get(trouble.reason or "", usual).response())
    if trouble.kind in _ANSWERS:
        return _ANSWERS[trouble.kind](trouble, dialect)
    return _SPOILT[trouble.kind](trouble, request, real)


def _later(trouble: Trouble, response: HttpResponse) -> HttpResponse:
    if trouble.kind == "rate_limited":
        response["Retry-After"] = str(trouble.retry_after)
    return response


def _html(_trouble: Trouble, _dialect: Dialect) -> HttpResponse:
    return HttpResponse(_PAGE)


def _bad_gateway(_trouble: Trouble, _dialect: Dialect) -> HttpResponse:
    return HttpResponse(_PAGE, status=502)


def _nothing(_trouble: Trouble, _dialect: Dialect) -> HttpResponse:
    return HttpResponse(b"", content_type=JSON)


def _redirect(trouble: Trouble, _dialect: Dialect) -> HttpResponse:
    return HttpResponse(status=302, headers={"Location": trouble.location})


def _large(dialect: Dialect) -> Iterator[bytes]:
    """A listing without events whose title goes on and on."""
    yield b'{"kind":"calendar#events","summary":"'
    for _ in range(_MEGABYTES * 16):
        yield b"x" * 65_536
    yield b'"' + dialect.entries + b"]}"


def _too_much(_trouble: Trouble, dialect: Dialect) -> StreamingHttpResponse:
    return StreamingHttpResponse(_large(dialect), content_type=JSON)


def _gzip_bomb(_trouble: Trouble, dialect: Dialect) -> HttpResponse:
    return HttpResponse(_packed(dialect), content_type=JSON, headers={"Content-Encoding": "gzip"})


@functools.cache
def _packed(dialect: Dialect) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, _GZIP)
    return b"".join(packer.compress(piece) for piece in _large(dialect)) + packer.flush()


def _cut_off(_trouble: Trouble, dialect: Dialect) -> StreamingHttpResponse:
    def body() -> Iterator[bytes]:
        yield b'{"kind":"calendar#events"' + dialect.entries
        # The server drops the connection at this error, which is the point.
        raise ConnectionResetError(errno.ECONNRESET, "cut off on purpose")

    response = StreamingHttpResponse(body(), content_type=JSON)
    response["Content-Length"] = "5000"
    return response


def _invalid_client(_trouble: Trouble, _dialect: Dialect) -> HttpResponse:
    return JsonResponse({"error": "invalid_client"}, status=401)


def _invalid_grant(_trouble: Trouble, _dialect: Dialect) -> HttpResponse:
    description = "Token has been expired or revoked."
    return JsonResponse({"error": "invalid_grant", "error_description": description}, status=400)


def _drip(trouble: Trouble, request: HttpRequest, real: Real) -> HttpResponseBase:
    whole = real(request)
    if not isinstance(whole, HttpResponse):
        return whole

    def body() -> Iterator[bytes]:
        content, at, hurried = whole.content, 0, False
        while at < len(content):
            size = len(content) if hurried else trouble.piece
            yield content[at : at + size]
            at += size
            hurried = hurried or pause(trouble.milliseconds)

    response = StreamingHttpResponse(
        body(), status=whole.status_code, content_type=whole.headers.get("Content-Type")
    )
    response["Content-Length"] = str(len(whole.content))
    return response


# Instead of the real answer.
_ANSWERS: dict[str, Callable[[Trouble, Dialect], HttpResponseBase]] = {
    "html": _html,
    "bad_gateway": _bad_gateway,
    "nothing": _nothing,
    "redirect": _redirect,
    "too_much": _too_much,
    "gzip_bomb": _gzip_bomb,
    "cut_off": _cut_off,
    "invalid_client": _invalid_client,
    "invalid_grant": _invalid_grant,
}
# Made of the real answer.
_SPOILT: dict[str, Callable[[Trouble, HttpRequest, Real], HttpResponseBase]] = {
    "drip": _drip,
    "endless_pages": lambda _trouble, request, real: paging.endless(request, real),
    "same_page_token": lambda _trouble, request, real: paging.same_token(request, real),
    "page_repeated": lambda _trouble, request, real: paging.repeated(request, real),
    "event_twice": lambda _trouble, request, real: paging.entry_twice(request, real),
}
