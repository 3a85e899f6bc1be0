from typing import Any

from django.core.management.base import CommandParser

from providers.management.configuration import represent
from providers.models import ProviderConfiguration
from talkover.environments.management.base import OperatorCommand, find_environment, table


class Command(OperatorCommand):
    help = "List the providers that an environment has configured: never a secret."

    def add_own_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("environment", metavar="ENV", help="id or name")

    def handle(self, *_args: Any, **options: Any) -> None:
        environment = find_environment(options["environment"])
        configurations = list(ProviderConfiguration.objects.filter(environment=environment))
        providers = [represent(configuration) for configuration in configurations]
        rows = [("IDENTIFIER", "KIND", "STATE", "SECRET", "CALLBACK")]
        rows += [
            (
                provider["identifier"],
                provider["kind"],
                _state(configuration),
                "yes" if provider["has_client_secret"] else "no",
                provider["callback_url"],
            )
            for configuration, provider in zip(configurations, providers, strict=True)
        ]
        self.report(
            options,
            {"environment_id": environment.pk, "providers": providers},
            table(rows) if providers else f"{environment.name} has no providers; see add_provider.",
        )


def _state(configuration: ProviderConfiguration) -> str:
    if not configuration.is_active:
        return "inactive"
    if configuration.paused_at:
        return "paused"
    return "down" if configuration.outage_since else "active"
