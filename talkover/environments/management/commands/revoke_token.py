from typing import Any

from django.core.management.base import CommandError, CommandParser

from talkover.environments.management.base import OperatorCommand, parse_id
from talkover.environments.models import EnvironmentToken


class Command(OperatorCommand):
    help = "Revoke a token, found by its id or by how it begins."

    def add_own_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("token_id", nargs="?", metavar="TOKEN_ID", help="see list_tokens")
        which.add_argument("--hint", help="how the token begins, such as talq_AbCd")

    def handle(self, *_args: Any, **options: Any) -> None:
        token = _find(options["token_id"], options["hint"])
        token.revoke()
        self.report(
            options,
            {"id": token.pk, "hint": token.hint, "revoked_at": token.revoked_at},
            f"Revoked {token}.",
        )


def _find(token_id: str | None, hint: str | None) -> EnvironmentToken:
    if token_id is not None:
        pk = parse_id(token_id)
        if pk is None:
            raise CommandError("TOKEN_ID must be an id as list_tokens shows it, not a token.")
        found = list(EnvironmentToken.objects.filter(pk=pk))
    else:
        found = list(EnvironmentToken.objects.filter(hint=hint, revoked_at__isnull=True))
    if not found:
        raise CommandError("There is no such token. See list_tokens.")
    if len(found) > 1:
        ids = ", ".join(str(token.pk) for token in found)
        raise CommandError(f"Several tokens begin like this. Name one by its id: {ids}")
    return found[0]
