from django.apps import AppConfig


class EnvironmentsConfig(AppConfig):
    name = "talkover.environments"
    label = "environments"
    verbose_name = "Environments"

    def ready(self) -> None:
        # Importing registers the checks, and the API description's name of our authentication.
        from talkover.environments import checks, schema  # noqa: F401
