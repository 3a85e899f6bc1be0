"""What API views are built on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import APIException
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from talkover.api import idempotency
from talkover.api.exceptions import ApiError, Invalid, NotFound
from talkover.api.renderers import Envelope

M = TypeVar("M", bound=Model)


class ApiViewSet(GenericViewSet[Any]):
    """Base of all API views: the caller's environment, and the envelope's answers.

    Start every queryset at `for_environment(self.environment)`. Say of each POST with
    `idempotency.once` how it runs when it has a key.
    """

    post: Callable[..., Any]  # set by `as_view`, on routes that have one

    @property
    def environment(self) -> Any:
        """The Environment of the token that called."""
        token: Any = self.request.auth
        return token.environment

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower():
            raise ApiError(
                411,
                "LENGTH_REQUIRED",
                "Send the body with a Content-Length header; chunked bodies are not read.",
            )
        refused = {
            name.replace("\x00", "\\u0000"): ["The character NUL is not accepted. Remove it."]
            for name, values in request.query_params.lists()
            if "\x00" in name or any("\x00" in value for value in values)
        }
        if refused:
            raise Invalid(refused)
        if idempotency.META in request.META and request.method == "POST" and hasattr(self, "post"):
            # Here the caller is known, and allowed; REST framework looks the handler up next.
            self.post = idempotency.guard(self, self.post)

    def options(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # type: ignore[override]
        """Only `Allow`, which every answer carries."""
        return Response(status=204)

    def success(self, data: Any, *, status: int = 200, message: str | None = None) -> Response:
        """`{"success": true, "data": …}`, with a `message` if there is one."""
        return Response(Envelope(data=data, message=message), status=status)

    def message(self, text: str) -> Response:
        """`{"success": true, "message": …}`: what deletes answer."""
        return Response(Envelope(message=text))

    def page(
        self,
        queryset: QuerySet[Any] | Sequence[Any],
        serialize: Callable[[list[Any]], Any] | None = None,
    ) -> Response:
        """One page, as `page` and `per_page` ask, of a queryset or of rows already read.

        `serialize` gets the page's rows.
        """
        rows = self.paginate_queryset(queryset)
        return self.get_paginated_response(serialize(list(rows or [])) if serialize else rows)

    def find(self, queryset: QuerySet[M], what: str, **lookup: Any) -> M:
        """The one row, or NotFound that says what was looked for (`what`: "calendar")."""
        found = queryset.filter(**lookup).first()
        if found is None:
            raise NotFound(f"There is no {what} with this id.")
        return found


def each(represent: Callable[[Any], Any]) -> Callable[[list[Any]], list[Any]]:
    """What `page` takes as `serialize`, of a function for one row."""
    return lambda rows: [represent(row) for row in rows]


class UnknownPathView(APIView):
    """What no route matches: 404, in the envelope, with a token or without one."""

    permission_classes = (AllowAny,)
    default_response_headers: dict[str, str] = {}  # no Allow: nothing is allowed here

    def perform_authentication(self, request: Request) -> None:
        # A valid token is counted and told its limits; a bad one changes nothing here.
        with suppress(APIException):
            super().perform_authentication(request)

    @extend_schema(exclude=True)
    def http_method_not_allowed(  # type: ignore[override]
        self, request: Request, *args: Any, **kwargs: Any
    ) -> Response:
        raise NotFound

    options = http_method_not_allowed
