from typing import Any

from django.core.management.base import CommandError, CommandParser

from talkover.encryption import current_key_id
from talkover.environments.management.base import OperatorCommand
from talkover.environments.rotation import Rotation, rotate_keys


class Command(OperatorCommand):
    help = (
        "Seal all stored secrets with the current key, the first of CREDENTIAL_KEYS. It may run"
        " beside the product, and again after it was stopped. Older keys can go once no value is"
        " left that needs them."
    )
    # The key check would refuse to start what is about to be mended or reported here.
    requires_system_checks: list[str] = ["security"]

    def add_own_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count only, change nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        rotation = rotate_keys(dry_run=options["dry_run"])
        self.report(
            options,
            {
                "current_key": current_key_id(),
                "dry_run": options["dry_run"],
                "resealed": rotation.resealed,
                "unreadable": rotation.unreadable,
                "values_by_key": rotation.values_by_key,
            },
            _describe(rotation, dry_run=options["dry_run"]),
        )
        if rotation.unreadable:
            raise CommandError(
                f"{rotation.unreadable} values could not be read and were left as they are; the"
                f" first: {rotation.first_problem}"
            )


def _describe(rotation: Rotation, *, dry_run: bool) -> str:
    current = current_key_id()
    lines = [f"{rotation.resealed} values {'to be ' if dry_run else ''}sealed anew with {current}."]
    for key_id, count in sorted(rotation.values_by_key.items()):
        role = "the current key" if key_id == current else "still needed"
        lines.append(f"{key_id}: {count} values ({role})")
    if set(rotation.values_by_key) <= {current}:
        lines.append("No other key is needed any more.")
    return "\n".join(lines)
