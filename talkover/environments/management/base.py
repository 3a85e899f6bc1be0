"""What the operator's commands have in common: text for people, or one JSON object with --json."""

from __future__ import annotations

import argparse
import json
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, ProgrammingError
from django.db.models import Q

from talkover.environments.models import Environment


class OperatorCommand(BaseCommand):
    """Subclasses add arguments in `add_own_arguments` and answer with `report`."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except (OperationalError, ProgrammingError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise CommandError(
                f"The database does not answer, or is not migrated (manage.py migrate): {reason}"
            ) from error

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        self.add_own_arguments(parser)

    def add_own_arguments(self, parser: CommandParser) -> None:
        """What this command takes, beside --json."""

    def report(self, options: Mapping[str, Any], data: Mapping[str, Any], text: str) -> None:
        """Print `data` with --json, else `text`."""
        if options["json"]:
            text = json.dumps(data, default=_as_json, ensure_ascii=False)
        self.stdout.write(text)


def find_environment(id_or_name: str) -> Environment:
    """By id or by name. Raises CommandError that says which there are."""
    condition = Q(name=id_or_name)
    if (as_id := parse_id(id_or_name)) is not None:
        condition |= Q(pk=as_id)
    found = Environment.objects.filter(condition).first()
    if found is None:
        names = list(Environment.objects.values_list("name", flat=True)[:20])
        known = ", ".join(repr(name) for name in names) or "none; make one with create_environment"
        raise CommandError(f"There is no environment {id_or_name!r}. Known: {known}")
    return found


def parse_id(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def refuse(error: ValidationError) -> CommandError:
    """A model's refusal as one line that names the fields."""
    if hasattr(error, "error_dict"):
        parts = [f"{name}: {' '.join(texts)}" for name, texts in error.message_dict.items()]
    else:
        parts = list(error.messages)
    return CommandError(" ".join(part.removeprefix("__all__: ") for part in parts))


def positive(text: str) -> int:
    """An argument that must be a whole number from 1."""
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def table(rows: Iterable[tuple[str, ...]]) -> str:
    """Columns of even width."""
    listed = list(rows)
    widths = [max(map(len, column)) for column in zip(*listed, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in listed
    )


def _as_json(value: Any) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value)
