"""`GET /environment`: what the token's environment is, and which providers it can connect."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from providers import registry
from providers.models import ProviderConfiguration
from talkover.api.views import ApiViewSet


class CalendarProviderSerializer(serializers.Serializer[Any]):
    """A provider as the environment has configured it."""

    identifier = serializers.CharField(help_text="What `provider` takes when you connect.")
    name = serializers.CharField(help_text="For people.")
    kind = serializers.CharField()
    capabilities = serializers.ListField(child=serializers.CharField())


class EnvironmentSerializer(serializers.Serializer[Any]):
    """The environment of the token."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    timezone = serializers.CharField(help_text="What calendars have that name none.")
    calendar_providers = CalendarProviderSerializer(many=True)


class EnvironmentViewSet(ApiViewSet):
    """The token's environment."""

    @extend_schema(
        operation_id="get_environment",
        summary="Read the environment",
        description="The token's environment, and the providers that calendars can connect to.",
        responses=EnvironmentSerializer,
        examples=[
            OpenApiExample(
                "An environment",
                value={
                    "id": "1c2d3e4f-5a6b-4c7d-8e9f-0a1b2c3d4e5f",
                    "name": "Acme",
                    "timezone": "Europe/London",
                    "calendar_providers": [
                        {
                            "identifier": "calendar_provider_a",
                            "name": "Google Calendar",
                            "kind": "google",
                            "capabilities": sorted(registry.get_provider("google").capabilities),
                        }
                    ],
                },
                response_only=True,
            )
        ],
        tags=["Environment"],
    )
    def retrieve(self, request: Request) -> Response:
        environment = self.environment
        configurations = ProviderConfiguration.objects.filter(
            environment=environment, is_active=True
        )
        return self.success(
            {
                "id": environment.pk,
                "name": environment.name,
                "timezone": environment.timezone,
                "calendar_providers": [
                    {
                        "identifier": configuration.identifier,
                        "name": configuration.display_name,
                        "kind": configuration.kind,
                        "capabilities": sorted(configuration.provider.capabilities),
                    }
                    for configuration in configurations
                ],
            }
        )
