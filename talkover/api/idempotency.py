"""`Idempotency-Key`: a POST that is sent again is answered again, and not done again.

The header and its meaning are those of draft-ietf-httpapi-idempotency-key-header and of the APIs
that have it. Where keys are kept is the store's to know: IDEMPOTENCY_STORE names its class, as REST
framework's settings name theirs. A request without the header costs one look at its headers.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
import uuid
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, TypeVar, cast

from django.conf import settings
from django.db import DatabaseError, transaction
from django.http import HttpResponse, UnreadablePostError
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from talkover.api.exceptions import ApiError, Invalid

HEADER = "Idempotency-Key"
META = "HTTP_IDEMPOTENCY_KEY"
REPLAYED = "Idempotency-Replayed"
PATTERN = r"^[\x21-\x7e]{1,255}$"
# How long a request waits for the same one that is still at work. It holds a thread meanwhile.
WAIT_SECONDS = 4.0
POLL_SECONDS = 0.05
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
# Refusals that were decided on what is stored. The others say that nothing was decided yet: the
# same request may well be answered otherwise once it is sent properly, or a little later.
_FINAL_REFUSALS = frozenset({403, 404, 409, 410, 422})

logger = logging.getLogger(__name__)
Handler = TypeVar("Handler", bound=Callable[..., HttpResponseBase])


class LockLost(Exception):
    """The lock ran out meanwhile, and somebody else is at the request."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is kept: the status, and the body as it was sent."""

    status: int
    body: bytes


class Work(Protocol):
    """A key that is ours for the time of the lock."""

    def keep(self, answer: Answer) -> None:
        """Store the answer and end the lock. Raises LockLost."""

    def release(self) -> None:
        """Forget the key: the next request with it is a first one."""


class Store(Protocol):
    """Where keys are kept, each environment's apart."""

    def claim(self, *, environment_id: uuid.UUID, key: str, digest: str) -> Work | Answer | None:
        """The lock on the key, or the answer that is there, or None while another has the lock.

        Raises ApiError 422 when the key stands for another request.
        """


def once(*, in_transaction: bool) -> Callable[[Handler], Handler]:
    """Says of a POST's handler how it runs with an `Idempotency-Key`.

    `in_transaction`: it and the record of its answer are one transaction, so that neither is there
    without the other, whenever the process dies. Not for handlers that call a provider: a network
    call must not hold a transaction open.
    """

    def mark(handler: Handler) -> Handler:
        cast("Any", handler).runs_in_transaction = in_transaction
        return handler

    return mark


def guard(view: Any, handler: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """The handler of `view` for a request that has the header."""
    in_transaction: bool = getattr(handler, "runs_in_transaction", False)

    def guarded(request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        key = _read_key(request)
        claimed = _claim(request, key)
        if isinstance(claimed, Answer):
            return _replay(claimed)
        try:
            with transaction.atomic() if in_transaction else nullcontext():
                response = _run(view, handler, request, *args, **kwargs)
                final = _is_final(response)
                if final:
                    _keep(claimed, request, response, strict=in_transaction)
        except LockLost:
            raise _in_use() from None
        except Exception:
            _release(claimed)
            raise
        if not final:
            _release(claimed)
        return response

    return guarded


def _read_key(request: Request) -> str:
    key: str = request.META[META]
    if not _KEY.fullmatch(key):
        raise Invalid({HEADER: ["Give 1 to 255 visible ASCII characters, such as a UUID."]})
    return key


def _digest(request: Request) -> str:
    """What makes requests the same: path, query and body, to the letter."""
    try:
        body: bytes = request._request.body  # noqa: SLF001  REST framework has it by this name
    except UnreadablePostError:
        raise ApiError(400, "INVALID_JSON", "The body ended before its announced length.") from None
    digest = hashlib.sha256()
    for part in (request.path_info.encode(), request.META.get("QUERY_STRING", "").encode(), body):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _claim(request: Request, key: str) -> Work | Answer:
    token: Any = request.auth
    digest = _digest(request)
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        claimed = _store().claim(environment_id=token.environment_id, key=key, digest=digest)
        if claimed is not None:
            return claimed
        if time.monotonic() >= deadline:
            raise _in_use()
        time.sleep(POLL_SECONDS)


@cache
def _store() -> Store:
    store: Store = import_string(settings.IDEMPOTENCY_STORE)()
    return store


def _run(
    view: Any, handler: Callable[..., HttpResponseBase], request: Request, *args: Any, **kwargs: Any
) -> Response:
    """The handler's answer, a refusal included. Faults go on: they end the transaction."""
    try:
        return cast("Response", handler(request, *args, **kwargs))
    except APIException as refusal:
        if refusal.status_code >= 500:
            raise
        return cast("Response", view.handle_exception(refusal))


def _is_final(response: Response) -> bool:
    if response.status_code < 400:
        return True
    code = response.data.get("code") if isinstance(response.data, dict) else None
    return response.status_code in _FINAL_REFUSALS and code != "VALIDATION_ERROR"


def _keep(work: Work, request: Request, response: Response, *, strict: bool) -> None:
    renderer: Any = request.accepted_renderer
    body = renderer.render(response.data, renderer_context={"response": response})
    try:
        work.keep(Answer(status=response.status_code, body=body))
    except (LockLost, DatabaseError) as problem:
        if strict:
            raise
        # It is done and cannot be undone: that it was, is the answer.
        logger.warning("The answer to a POST could not be kept: %s", problem)


def _release(work: Work) -> None:
    try:
        work.release()
    except DatabaseError as problem:
        logger.warning("An idempotency key is left to its lock: %s", problem)


def _replay(answer: Answer) -> HttpResponse:
    response = HttpResponse(answer.body, status=answer.status, content_type="application/json")
    response[REPLAYED] = "true"
    return response


def _in_use() -> ApiError:
    return ApiError(
        409,
        "IDEMPOTENCY_KEY_IN_USE",
        "The first request with this Idempotency-Key is still at work. Send it again in a moment.",
        headers={"Retry-After": "2"},
    )
