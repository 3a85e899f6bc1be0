"""Around every request: its id, the probes, and the promise that the API answers in JSON."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.core.signals import request_finished
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from talkover.api import request_ids
from talkover.api.exceptions import DEFAULTS, error_body
from talkover.api.health import HealthView, ReadyView
from talkover.api.renderers import dump
from talkover.api.throttling import rate_limit_of

HEADER = "X-Request-Id"
_API_PATH = re.compile(r"/api(/|$)")


@receiver(request_finished)
def _forget_request_id(**_signal: Any) -> None:
    request_ids.current.set(request_ids.NONE)


GetResponse = Callable[[HttpRequest], HttpResponseBase]


class HeadMiddleware:
    """Answers to HEAD end with their headers (RFC 9110 section 9.3.2); gunicorn warns of more."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if request.method == "HEAD" and isinstance(response, HttpResponse):
            response.setdefault("Content-Length", str(len(response.content)))
            response.content = b""
        return response


class RequestIdMiddleware:
    """Gives the request an id, the caller's own if it is a sane one, and tells it back."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request_id = request_ids.accept(request.headers.get(HEADER))
        # Set until the answer is sent: Django logs refusals after the last middleware.
        request_ids.current.set(request_id)
        response = self.get_response(request)
        response[HEADER] = request_id
        return response


class ProbeMiddleware:
    """Answers probes before anything looks at Host or TLS: load balancers call by address."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        health = HealthView.as_view()
        self.probes = {"/health": health, "/api/v1/health": health, "/ready": ReadyView.as_view()}

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        probe = self.probes.get(request.path_info)
        if probe is None:
            return self.get_response(request)
        response = probe(request)
        response.render()
        response["Content-Length"] = str(len(response.content))
        return response


class ApiAnswerMiddleware:
    """Errors under /api/ are the envelope, also those that no API view made; adds rate limits.

    Django's own error pages are HTML: a host that is not allowed, a bug in a middleware, DEBUG's
    technical pages. Their tracebacks are in the log.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if not _API_PATH.match(request.path_info):
            return response
        if response.status_code >= 400 and not _is_json(response):
            response = _envelope(response)
        if (rate_limit := rate_limit_of(request)) is not None:
            for name, value in rate_limit.headers().items():
                response[name] = value
        response.setdefault("Cache-Control", "no-store")
        return response


def _is_json(response: HttpResponseBase) -> bool:
    return response.get("Content-Type", "").startswith("application/json")


def _envelope(response: HttpResponseBase) -> HttpResponse:
    status = response.status_code
    code, message = DEFAULTS.get(status) or DEFAULTS[500 if status >= 500 else 400]
    answer = HttpResponse(
        dump(error_body(code, message)), status=status, content_type="application/json"
    )
    answer["Content-Length"] = str(len(answer.content))
    answer["X-Content-Type-Options"] = "nosniff"
    for name in ("Allow", "Retry-After", "WWW-Authenticate"):
        if name in response:
            answer[name] = response[name]
    return answer
