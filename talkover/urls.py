"""All routes. The only module that knows every app."""

from typing import Any

from django.contrib import admin
from django.urls import include, path, re_path, register_converter

from providers.api.calendars import ConnectedCalendarViewSet
from providers.api.environment import EnvironmentViewSet
from talkover.api.converters import IdConverter
from talkover.api.description import DocumentationView, OpenAPIView
from talkover.api.health import HealthView, ReadyView
from talkover.api.views import UnknownPathView

register_converter(IdConverter, "id")

_calendar: dict[str, Any] = {
    "get": "retrieve",
    "put": "update",
    "patch": "partial_update",
    "delete": "destroy",
}

api: list[Any] = [
    path("health", HealthView.as_view()),
    path("openapi.json", OpenAPIView.as_view(), name="openapi"),
    path("docs", DocumentationView.as_view(), name="api-docs"),
    path("environment", EnvironmentViewSet.as_view({"get": "retrieve"})),
    path("", include("talkover.environments.api.urls")),
    path("", include("providers.api.urls")),
    path("calendars/<id:calendar_id>", ConnectedCalendarViewSet.as_view(_calendar)),
    path("", include("calendars.api.urls")),
]

handler500 = "talkover.api.failures.answer_failure"

urlpatterns = [
    path("health", HealthView.as_view(schema=None)),
    path("ready", ReadyView.as_view()),
    path("api/v1/", include(api)),
    # Also with a trailing slash, a line break or nothing behind: 404, and never a redirect.
    re_path(r"^api(?:/[\s\S]*)?\Z", UnknownPathView.as_view()),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("", include("providers.urls")),
]
