"""The answers of the ordered troubles."""

import errno
from collections.abc import Callable, Iterator

from django.http import HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse

from providers.sandbox.google import errors
from providers.sandbox.trouble import Trouble

_MEGABYTES = 200


def answer(trouble: Trouble) -> HttpResponseBase:
    """The response that this trouble gives instead of the real one."""
    return _ANSWERS[trouble.kind](trouble)


def _unauthorized(_trouble: Trouble) -> HttpResponse:
    return errors.unauthorized().response()


def _gone(_trouble: Trouble) -> HttpResponse:
    return errors.full_sync_required().response()


def _rate_limited(trouble: Trouble) -> HttpResponse:
    error = errors.GoogleError(
        429, "rateLimitExceeded", "Rate Limit Exceeded", domain="usageLimits"
    )
    response = error.response()
    response["Retry-After"] = str(trouble.retry_after)
    return response


def _quota(_trouble: Trouble) -> HttpResponse:
    return errors.GoogleError(
        403, "rateLimitExceeded", "Rate Limit Exceeded", domain="usageLimits"
    ).response()


def _server_error(_trouble: Trouble) -> HttpResponse:
    return errors.GoogleError(503, "backendError", "Backend Error").response()


def _html(_trouble: Trouble) -> HttpResponse:
    return HttpResponse("<!doctype html><title>Sorry</title><p>Please sign in to the network.")


def _nothing(_trouble: Trouble) -> HttpResponse:
    return HttpResponse(b"", content_type="application/json; charset=UTF-8")


def _too_much(_trouble: Trouble) -> StreamingHttpResponse:
    def body() -> Iterator[bytes]:
        yield b'{"kind":"calendar#events","summary":"'
        for _ in range(_MEGABYTES * 16):
            yield b"x" * 65_536
        yield b'","items":[]}'

    return StreamingHttpResponse(body(), content_type="application/json; charset=UTF-8")


def _cut_off(_trouble: Trouble) -> StreamingHttpResponse:
    def body() -> Iterator[bytes]:
        yield b'{"kind":"calendar#events","items":['
        # The server drops the connection at this error, which is the point.
        raise ConnectionResetError(errno.ECONNRESET, "cut off on purpose")

    response = StreamingHttpResponse(body(), content_type="application/json; charset=UTF-8")
    response["Content-Length"] = "5000"
    return response


def _invalid_client(_trouble: Trouble) -> HttpResponse:
    return JsonResponse({"error": "invalid_client"}, status=401)


def _invalid_grant(_trouble: Trouble) -> HttpResponse:
    description = "Token has been expired or revoked."
    return JsonResponse({"error": "invalid_grant", "error_description": description}, status=400)


_ANSWERS: dict[str, Callable[[Trouble], HttpResponseBase]] = {
    "unauthorized": _unauthorized,
    "gone": _gone,
    "rate_limited": _rate_limited,
    "quota": _quota,
    "server_error": _server_error,
    "html": _html,
    "nothing": _nothing,
    "too_much": _too_much,
    "cut_off": _cut_off,
    "invalid_client": _invalid_client,
    "invalid_grant": _invalid_grant,
}
