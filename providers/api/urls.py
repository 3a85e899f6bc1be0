"""Routes below /api/v1 that concern providers. No trailing slash anywhere."""

from django.urls import path

from providers.api.external_calendars import ExternalCalendarViewSet
from providers.api.sync import SyncViewSet
from providers.api.timeline import TimelineViewSet
from providers.api.views import ConnectionViewSet

_below_calendar = "calendars/<id:calendar_id>/providers"

urlpatterns = [
    path("calendars/sync", SyncViewSet.as_view({"post": "create"})),
    path("calendars/sync-status", SyncViewSet.as_view({"get": "list"})),
    path(_below_calendar, ConnectionViewSet.as_view({"get": "list", "post": "create"})),
    path(
        f"{_below_calendar}/<id:provider_id>",
        ConnectionViewSet.as_view({"get": "retrieve", "delete": "destroy"}),
    ),
    path(
        f"{_below_calendar}/<id:provider_id>/reconnect",
        ConnectionViewSet.as_view({"post": "reconnect"}),
    ),
    path(
        f"{_below_calendar}/<id:provider_id>/complete",
        ConnectionViewSet.as_view({"post": "complete"}),
    ),
    path(
        f"{_below_calendar}/<id:provider_id>/confirm",
        ConnectionViewSet.as_view({"post": "confirm"}),
    ),
    path(
        f"{_below_calendar}/<id:provider_id>/external-calendars",
        ExternalCalendarViewSet.as_view(
            {"get": "retrieve", "put": "update", "patch": "partial_update"}
        ),
    ),
    path(f"{_below_calendar}/<id:provider_id>/sync", ConnectionViewSet.as_view({"post": "sync"})),
    path(f"{_below_calendar}/<id:provider_id>/timeline", TimelineViewSet.as_view({"get": "list"})),
]
