"""Pages by number: `page` and `per_page`, with a `pagination` object beside `data`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from talkover.api.exceptions import Invalid
from talkover.api.renderers import Envelope

if TYPE_CHECKING:
    from rest_framework.views import APIView

DEFAULT_PER_PAGE = 25
MAX_PER_PAGE = 100
# Below this, an OFFSET fits every database's integer.
MAX_PAGE = 1_000_000_000
_NUMBER = re.compile(r"[0-9]{1,10}")


class PageNumberPagination(BasePagination):
    """A page beyond the last is empty and has the true totals; a number out of range is 422."""

    page: int
    per_page: int
    total: int
    shown: int

    def paginate_queryset(
        self, queryset: QuerySet[Any] | Sequence[Any], request: Request, view: APIView | None = None
    ) -> list[Any]:
        errors: dict[str, list[str]] = {}
        self.page = _read_number(request, "page", 1, MAX_PAGE, errors)
        self.per_page = _read_number(request, "per_page", DEFAULT_PER_PAGE, MAX_PER_PAGE, errors)
        if errors:
            raise Invalid(errors)
        self.total = (
            queryset.order_by().count() if isinstance(queryset, QuerySet) else len(queryset)
        )
        start = (self.page - 1) * self.per_page
        rows = list(queryset[start : start + self.per_page]) if start < self.total else []
        self.shown = len(rows)
        return rows

    def get_paginated_response(self, data: Any) -> Response:
        return Response(Envelope(data=data, pagination=self.as_dict()))

    def as_dict(self) -> dict[str, int | None]:
        first = (self.page - 1) * self.per_page + 1
        return {
            "current_page": self.page,
            "last_page": max(1, -(-self.total // self.per_page)),
            "per_page": self.per_page,
            "total": self.total,
            "from": first if self.shown else None,
            "to": first + self.shown - 1 if self.shown else None,
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "in": "query",
                "required": False,
                "description": description,
                "schema": {"type": "integer", "minimum": 1, "maximum": most, "default": default},
            }
            for name, description, most, default in (
                ("page", "Which page, from 1.", MAX_PAGE, 1),
                ("per_page", "How many items a page.", MAX_PER_PAGE, DEFAULT_PER_PAGE),
            )
        ]

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        # The envelope, with its `pagination`, is talkover.api.schema's.
        return schema


def _read_number(
    request: Request, name: str, default: int, most: int, errors: dict[str, list[str]]
) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if _NUMBER.fullmatch(text) and 1 <= int(text) <= most:
        return int(text)
    errors[name] = [f"Give a whole number from 1 to {most}."]
    return default
