from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from providers.management import configuration as settings
from talkover.environments.management.base import OperatorCommand, find_environment


class Command(OperatorCommand):
    help = (
        "Change what is given of a configured provider; all else stays. Ends a pause; a provider"
        " that is down is asked at once."
    )

    def add_own_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("environment", metavar="ENV", help="id or name")
        parser.add_argument("identifier", metavar="IDENTIFIER", help="see list_providers")
        parser.add_argument("--client-id")
        offered = parser.add_mutually_exclusive_group()
        offered.add_argument("--active", action="store_true", help="offer it")
        offered.add_argument("--inactive", action="store_true", help="do not offer it any more")
        settings.add_settings(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        environment = find_environment(options["environment"])
        configuration = settings.find_configuration(environment, options["identifier"])
        if options["active"] or options["inactive"]:
            configuration.is_active = options["active"]
        # Whoever changes it believes it right now; if it is not, the provider will say so again.
        configuration.paused_at = None
        configuration.paused_reason = ""
        if configuration.outage_until is not None:
            configuration.outage_until = timezone.now()  # asked at once whether it is there again
        settings.apply_settings(configuration, options)
        self.report(
            options, settings.represent(configuration), settings.describe(configuration, "Changed")
        )
