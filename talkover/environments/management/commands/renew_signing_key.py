from typing import Any

from django.core.management.base import CommandParser

from talkover.environments.management.base import OperatorCommand, find_environment


class Command(OperatorCommand):
    help = "Give an environment a new signing key, and show it, once. The old one ends at once."

    def add_own_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("environment", metavar="ENV", help="id or name")

    def handle(self, *_args: Any, **options: Any) -> None:
        environment = find_environment(options["environment"])
        signing_key = environment.renew_signing_key()
        environment.save(update_fields=["signing_key", "updated_at"])
        self.report(
            options,
            {"id": environment.pk, "name": environment.name, "signing_key": signing_key},
            f"New signing key of {environment.name}, shown this once: {signing_key}",
        )
