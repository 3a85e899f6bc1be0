from typing import Any

from django.core.management.base import CommandParser

from providers import registry
from providers.management import configuration as settings
from providers.models import ProviderConfiguration
from talkover.environments.management.base import OperatorCommand, find_environment


class Command(OperatorCommand):
    help = "Configure a provider for an environment. Prints the redirect URI to register there."

    def add_own_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("environment", metavar="ENV", help="id or name")
        parser.add_argument("identifier", metavar="IDENTIFIER", help="what the API calls it")
        parser.add_argument("--kind", required=True, choices=registry.kinds())
        parser.add_argument("--client-id", help="what the provider gave; not for CalDAV and feeds")
        parser.add_argument("--inactive", action="store_true", help="do not offer it yet")
        settings.add_settings(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        kind = options["kind"]
        configuration = ProviderConfiguration(
            environment=find_environment(options["environment"]),
            identifier=options["identifier"],
            kind=kind,
            display_name=registry.get_provider(kind).name,
            is_active=not options["inactive"],
        )
        settings.apply_settings(configuration, options)
        self.report(
            options, settings.represent(configuration), settings.describe(configuration, "Added")
        )
