"""Syncing over all of an environment's calendars, over the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Max, Sum
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from providers import tasks
from providers.api import serializers
from providers.models import ExternalCalendar, ProviderConnection
from talkover.api.idempotency import once
from talkover.api.views import ApiViewSet, each

# A calendar synced this recently, with nothing asked for since, counts as up to date.
FRESH = timedelta(seconds=60)


class SyncViewSet(ApiViewSet):
    """Sync over all calendars of the environment."""

    @once(in_transaction=True)
    @extend_schema(
        operation_id="sync_calendars",
        summary="Sync all calendars now",
        description=(
            "Asks for a sync of every calendar with an active connection that was not synced"
            " within the last minute."
        ),
        request=None,
        responses={
            202: OpenApiResponse(serializers.SyncTriggeredSerializer, description="Asked for.")
        },
        tags=["Sync"],
    )
    def create(self, request: Request) -> Response:
        now = timezone.now()
        stale: list[Any] = []
        syncing: dict[Any, None] = {}
        up_to_date: dict[Any, None] = {}
        rows = ExternalCalendar.objects.filter(
            connection__environment=self.environment,
            connection__status=ProviderConnection.Status.ACTIVE,
            is_selected=True,
            vanished_at__isnull=True,
        ).select_related("connection")
        for row in rows.order_by("connection__calendar_id"):
            calendar_id = row.connection.calendar_id
            fresh = row.last_sync_at is not None and now - row.last_sync_at < FRESH
            if fresh and not row.is_syncing:
                up_to_date[calendar_id] = None
                continue
            syncing[calendar_id] = None
            if not row.is_syncing:
                stale.append(row.pk)
        tasks.request_sync(stale)
        data = {
            "syncing": list(syncing),
            "up_to_date": [key for key in up_to_date if key not in syncing],
        }
        return self.success(data, status=202)

    @extend_schema(
        operation_id="get_sync_status",
        summary="How fresh each connected calendar is",
        responses=serializers.SyncStatusSerializer(many=True),
        tags=["Sync"],
    )
    def list(self, request: Request) -> Response:
        connections = (
            ProviderConnection.objects.for_environment(self.environment)
            .present()
            .exclude(activated_at__isnull=True)
            .for_reading()
            .annotate(
                events_synced=Sum("external_calendars__events_synced", default=0),
                lease_until=Max("external_calendars__lease_until"),
                wishes=Sum("external_calendars__dirty", default=0),
                settled=Sum("external_calendars__settled", default=0),
            )
        )
        return self.page(connections, each(_represent_sync_status))


def _represent_sync_status(connection: Any) -> dict[str, Any]:
    leased = connection.lease_until is not None and connection.lease_until > timezone.now()
    waiting = connection.is_active and connection.wishes > connection.settled
    return {
        "calendar_id": connection.calendar_id,
        "provider": connection.configuration.identifier,
        "last_sync_at": connection.last_sync_at,
        "is_syncing": leased or waiting,
        "events_synced": connection.events_synced,
    }
