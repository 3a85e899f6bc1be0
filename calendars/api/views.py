"""`/calendars` and the events in them."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from calendars.api import serializers
from calendars.api.moments import parse_moment
from calendars.models import Calendar, Event
from calendars.querysets import CalendarQuerySet, EventQuerySet
from talkover.api.exceptions import Invalid
from talkover.api.idempotency import once
from talkover.api.schema import message_response
from talkover.api.views import ApiViewSet

_CALENDAR = {
    "id": "8d6c1f0e-5b0a-4a52-9d0c-2f2f7f3f8a01",
    "name": "Ada's appointments",
    "timezone": "Europe/London",
    "owner_id": "5f0c7f6e-3f0b-4d7c-9a39-0d7f6f2a9b11",
    "created_at": "2026-03-02T09:15:00Z",
}
_DETAIL = {**_CALENDAR, "metadata": {"team": "sales"}, "updated_at": "2026-03-02T09:15:00Z"}
_EVENT = {
    "id": "b3d5a9f4-8f0d-4a43-8f51-7d1f5b2f4c02",
    "calendar_id": _CALENDAR["id"],
    "title": "Analytical engine, demonstration",
    "start_at": "2026-03-05T14:00:00Z",
    "end_at": "2026-03-05T15:00:00Z",
    "status": "confirmed",
    "type": "default",
    "all_day": False,
    "start_date": None,
    "end_date": None,
    "time_zone": "Europe/London",
}
_EVENT_FIELDS = tuple(_EVENT)


# PUT and PATCH are the same call.
_change = partial(
    extend_schema,
    description="Changes the fields that are sent; all others stay.",
    request=serializers.CalendarChangesSerializer,
    responses=serializers.CalendarDetailSerializer,
    examples=[
        OpenApiExample("A calendar", value=_DETAIL, response_only=True),
        OpenApiExample("A new name", value={"name": _DETAIL["name"]}, request_only=True),
    ],
    tags=["Calendars"],
)


class CalendarViewSet(ApiViewSet):
    """Calendars of the token's environment."""

    def get_queryset(self) -> CalendarQuerySet:
        return Calendar.objects.for_environment(self.environment)

    @extend_schema(
        operation_id="list_calendars",
        summary="List calendars",
        description="The calendars of the environment, in the order they were created.",
        responses=serializers.CalendarSerializer(many=True),
        examples=[OpenApiExample("A calendar", value=_CALENDAR, response_only=True)],
        tags=["Calendars"],
    )
    def list(self, request: Request) -> Response:
        return self.page(
            self.get_queryset(),
            lambda rows: [serializers.represent_calendar(row) for row in rows],
        )

    @once(in_transaction=True)
    @extend_schema(
        operation_id="create_calendar",
        summary="Create a calendar",
        description="Creates an empty calendar for a person. Connect a provider to fill it.",
        request=serializers.NewCalendarSerializer,
        responses={201: OpenApiResponse(serializers.CalendarSerializer, description="Created.")},
        examples=[
            OpenApiExample("A calendar", value=_CALENDAR, response_only=True),
            OpenApiExample(
                "A new calendar",
                value={
                    name: _DETAIL[name] for name in ("name", "owner_id", "timezone", "metadata")
                },
                request_only=True,
            ),
        ],
        tags=["Calendars"],
    )
    def create(self, request: Request) -> Response:
        serializer = serializers.NewCalendarSerializer(
            data=request.data, context={"environment": self.environment}
        )
        serializer.is_valid(raise_exception=True)
        fields = {"timezone": self.environment.timezone, **serializer.validated_data}
        calendar = Calendar.objects.create(environment=self.environment, **fields)
        return self.success(serializers.represent_calendar(calendar), status=201)

    @extend_schema(
        operation_id="get_calendar",
        summary="Read a calendar",
        responses=serializers.CalendarDetailSerializer,
        examples=[OpenApiExample("A calendar", value=_DETAIL, response_only=True)],
        tags=["Calendars"],
    )
    def retrieve(self, request: Request, calendar_id: uuid.UUID) -> Response:
        return self.success(serializers.represent_calendar_detail(self._calendar(calendar_id)))

    @_change(operation_id="change_calendar", summary="Change a calendar")
    def update(self, request: Request, calendar_id: uuid.UUID) -> Response:
        calendar = self._calendar(calendar_id)
        serializer = serializers.CalendarChangesSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        changes: dict[str, Any] = dict(serializer.validated_data)
        for name, value in changes.items():
            setattr(calendar, name, value)
        if changes:
            calendar.save(update_fields=[*changes, "updated_at"])
        return self.success(serializers.represent_calendar_detail(calendar))

    @_change(operation_id="patch_calendar", summary="Change a calendar (the same as PUT)")
    def partial_update(self, request: Request, calendar_id: uuid.UUID) -> Response:
        return self.update(request, calendar_id)

    @extend_schema(
        operation_id="delete_calendar",
        summary="Delete a calendar",
        description=(
            "For good, with its events and provider connections. Access at the providers is given"
            " back."
        ),
        responses={200: message_response("Calendar deleted")},
        tags=["Calendars"],
    )
    def destroy(self, request: Request, calendar_id: uuid.UUID) -> Response:
        self.perform_destroy(self._calendar(calendar_id))
        return self.message("Calendar deleted")

    def perform_destroy(self, calendar: Calendar) -> None:
        """Delete for good. The routed class disconnects first: providers.api.calendars."""
        calendar.delete()

    def _calendar(self, calendar_id: uuid.UUID) -> Calendar:
        calendar: Calendar = self.find(self.get_queryset(), "calendar", pk=calendar_id)
        return calendar


class EventViewSet(ApiViewSet):
    """Events of one calendar."""

    @extend_schema(
        operation_id="list_events",
        summary="List events",
        description=(
            "Events that share time with the range from `from` to `to`, ordered by start. A range"
            " is best given always: calendars hold years. Cancelled events are left out unless"
            " `status` asks for them."
        ),
        parameters=[
            OpenApiParameter(
                "from",
                {"type": "string", "format": "date-time"},
                description=(
                    "Events that end after this moment. ISO 8601 with an offset or Z, or a date:"
                    " its midnight in the calendar's time zone. A + must be sent as %2B."
                ),
            ),
            OpenApiParameter(
                "to",
                {"type": "string", "format": "date-time"},
                description="Events that start before this moment; written like `from`.",
            ),
            OpenApiParameter(
                "status",
                OpenApiTypes.STR,
                enum=Event.Status.values,
                description="Only events of this status.",
            ),
        ],
        responses=serializers.EventSerializer(many=True),
        examples=[OpenApiExample("An event", value=_EVENT, response_only=True)],
        tags=["Events"],
    )
    def list(self, request: Request, calendar_id: uuid.UUID) -> Response:
        calendars = Calendar.objects.for_environment(self.environment)
        calendar = self.find(calendars, "calendar", pk=calendar_id)
        # The calendar is the environment's own, so its events are.
        events = _select(calendar, request)
        return self.page(events.order_by("start_at", "id").values(*_EVENT_FIELDS))


def _select(calendar: Calendar, request: Request) -> EventQuerySet:
    errors: dict[str, list[str]] = {}
    bounds: dict[str, Any] = {"from": None, "to": None}
    for name in bounds:
        if (text := request.query_params.get(name)) is not None:
            try:
                bounds[name] = parse_moment(text, zone=ZoneInfo(calendar.timezone))
            except ValueError as error:
                errors[name] = [str(error)]
    status = request.query_params.get("status")
    if status is not None and status not in Event.Status.values:
        errors["status"] = [f"Give one of {', '.join(Event.Status.values)}."]
    if bounds["from"] and bounds["to"] and bounds["from"] > bounds["to"]:
        errors["from"] = ["`from` is after `to`. Swap them."]
    if errors:
        raise Invalid(errors)
    events = Event.objects.filter(calendar=calendar).overlapping(bounds["from"], bounds["to"])
    return events.filter(status=status) if status else events.exclude(status=Event.Status.CANCELLED)
