"""Sealing all stored secrets anew with the current key."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from talkover.batches import in_batches
from talkover.encryption import (
    UnsealError,
    current_key_id,
    key_id_of,
    seal,
    sealed_columns,
    unseal,
)


@dataclass
class Rotation:
    """What a rotation did. `values_by_key` is what is stored afterwards, by key id."""

    resealed: int = 0
    unreadable: int = 0
    first_problem: str = ""
    values_by_key: dict[str, int] = field(default_factory=dict)


def rotate_keys(*, dry_run: bool = False) -> Rotation:
    """Seal what an older key sealed with the current one, value by value.

    Whoever writes at the same time wins: a value is replaced only while it is the one that was
    read. There is nothing to resume: a run that was stopped is simply run again. Raises
    ImproperlyConfigured.
    """
    rotation = Rotation()
    current = current_key_id()
    for model, column in sealed_columns():
        for row in in_batches(model._base_manager.exclude(**{column: ""})):
            _rotate(rotation, row, column, current=current, dry_run=dry_run)
    rotation.values_by_key = count_by_key()
    return rotation


def count_by_key() -> dict[str, int]:
    """How many stored values each key id has; "damaged" for those that name none."""
    counts: Counter[str] = Counter()
    for model, column in sealed_columns():
        for row in in_batches(model._base_manager.exclude(**{column: ""}).only(column)):
            counts[_key_id(getattr(row, column))] += 1
    return dict(counts)


def _rotate(rotation: Rotation, row: Any, column: str, *, current: str, dry_run: bool) -> None:
    old: str = getattr(row, column)
    if _key_id(old) == current:
        return
    try:
        seal(row, column, unseal(row, column))
    except UnsealError as error:
        rotation.unreadable += 1
        rotation.first_problem = rotation.first_problem or str(error)
        return
    if not dry_run:
        unchanged = type(row)._base_manager.filter(pk=row.pk, **{column: old})
        rotation.resealed += unchanged.update(**{column: getattr(row, column)})
    else:
        rotation.resealed += 1


def _key_id(value: str) -> str:
    try:
        return key_id_of(value)
    except UnsealError:
        return "damaged"
