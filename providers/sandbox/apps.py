"""The sandbox as a Django app."""

from django.apps import AppConfig


class SandboxConfig(AppConfig):
    """App label `sandbox`: its tables never meet the product's."""

    name = "providers.sandbox"
    label = "sandbox"
    verbose_name = "Sandbox calendar"
