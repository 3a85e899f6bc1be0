from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from talkover.environments.management.base import OperatorCommand, find_environment, positive
from talkover.environments.models import EnvironmentToken


class Command(OperatorCommand):
    help = "Issue a token of an environment, and show it, once."

    def add_own_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("environment", metavar="ENV", help="id or name")
        parser.add_argument("--name", default="command line", help="what the token is for")
        parser.add_argument("--expires-in", type=positive, metavar="DAYS", help="default: never")

    def handle(self, *_args: Any, **options: Any) -> None:
        environment = find_environment(options["environment"])
        days = options["expires_in"]
        if len(options["name"]) > 255:
            raise CommandError("--name is longer than 255 characters.")
        try:
            expires_at = timezone.now() + timedelta(days=days) if days else None
        except OverflowError:
            raise CommandError(f"--expires-in {days} is too far away.") from None
        row, token = EnvironmentToken.issue(
            environment=environment, name=options["name"], expires_at=expires_at
        )
        until = f"until {expires_at:%Y-%m-%d %H:%M} UTC" if expires_at else "until it is revoked"
        self.report(
            options,
            {
                "id": row.pk,
                "environment_id": environment.pk,
                "name": row.name,
                "token": token,
                "expires_at": expires_at,
            },
            f"Token of {environment.name}, {until}, shown this once: {token}\n"
            f"Its id, for revoke_token: {row.pk}",
        )
