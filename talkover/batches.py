"""Many rows, some at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

SIZE = 500

M = TypeVar("M", bound=Model)


def in_batches(rows: QuerySet[M, Any], size: int = SIZE) -> Iterator[M]:
    """All rows, in the order of their keys, `size` at a query.

    Instead of `iterator()`, whose cursor on the server outlives its transaction: a pooler that
    hands out connections by transaction loses it. Rows may be written meanwhile.
    """
    rows = rows.order_by("pk")
    batch = list(rows[:size])
    while batch:
        yield from batch
        batch = list(rows.filter(pk__gt=batch[-1].pk)[:size])
