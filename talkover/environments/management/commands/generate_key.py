from typing import Any

from talkover.encryption import generate_key
from talkover.environments.management.base import OperatorCommand


class Command(OperatorCommand):
    help = "Make a key for CREDENTIAL_KEYS. Put it in front of those that are there."
    # It is needed exactly when the checks complain that there is none.
    requires_system_checks: list[str] = []

    def handle(self, *_args: Any, **options: Any) -> None:
        key = generate_key()
        self.report(options, {"key_id": key.partition(":")[0], "key": key}, key)
