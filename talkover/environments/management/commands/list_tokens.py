from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from talkover.environments.management.base import OperatorCommand, find_environment, table
from talkover.environments.models import EnvironmentToken


class Command(OperatorCommand):
    help = "List an environment's tokens: never the tokens themselves."

    def add_own_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("environment", metavar="ENV", help="id or name")

    def handle(self, *_args: Any, **options: Any) -> None:
        environment = find_environment(options["environment"])
        tokens = list(EnvironmentToken.objects.filter(environment=environment))
        now = timezone.now()
        rows = [("ID", "BEGINS", "STATE", "LAST USED", "NAME")]
        rows += [
            (
                str(token.pk),
                token.hint,
                token.state(now),
                _day(token.last_used_at),
                token.name,
            )
            for token in tokens
        ]
        self.report(
            options,
            {
                "environment_id": environment.pk,
                "tokens": [
                    {
                        "id": token.pk,
                        "hint": token.hint,
                        "name": token.name,
                        "state": token.state(now),
                        "created_at": token.created_at,
                        "last_used_at": token.last_used_at,
                        "expires_at": token.expires_at,
                        "revoked_at": token.revoked_at,
                    }
                    for token in tokens
                ],
            },
            table(rows) if tokens else f"{environment.name} has no tokens.",
        )


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else "never"
