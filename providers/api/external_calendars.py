"""`…/providers/{provider_id}/external-calendars`: an account's calendars, and which are synced."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

from django.conf import settings
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from calendars.models import Calendar
from providers import external_calendars, selection
from providers.api.actors import caller
from providers.causes import explain
from providers.external_calendars import Freshness
from providers.models import ExternalCalendar, ProviderConnection
from talkover.api.exceptions import ApiError, Invalid
from talkover.api.fields import TextField
from talkover.api.schema import error_response
from talkover.api.views import ApiViewSet

FIELD = "external_calendar_ids"


class ChoiceSerializer(serializers.Serializer[Any]):
    """The calendars to sync: these, and no others."""

    external_calendar_ids = serializers.ListField(
        child=TextField(max_length=1024, trim_whitespace=False),
        allow_empty=False,
        help_text=(
            "`external_id`s of the account's list, from one to `most_selected`. The first becomes"
            " the connection's `external_calendar_id`."
        ),
        error_messages={
            "required": 'Give a list of ids, like ["ada@example.com"].',
            "null": 'Give a list of ids, like ["ada@example.com"].',
            "not_a_list": 'Give a list of ids, like ["ada@example.com"], not a {input_type}.',
            "empty": (
                "Name at least one calendar. To sync none of the account, remove the connection."
            ),
        },
    )


CHOICE = ChoiceSerializer()


class CodeInWordsSerializer(serializers.Serializer[Any]):
    """A code of docs/errors.md, in words."""

    code = serializers.CharField()
    cause = serializers.CharField()
    remedy = serializers.CharField()


class ExternalCalendarSerializer(serializers.Serializer[Any]):
    """A calendar of the account."""

    id = serializers.UUIDField()
    external_id = serializers.CharField(help_text="The provider's id: what PUT takes.")
    name = serializers.CharField()
    color = serializers.CharField(allow_null=True, help_text="Such as #9fe1e7.")
    timezone = serializers.CharField(allow_null=True, help_text="IANA name.")
    access_role = serializers.CharField(
        allow_null=True, help_text="As the provider calls it, such as owner, writer or reader."
    )
    is_primary = serializers.BooleanField(help_text="The account's main calendar.")
    is_selected = serializers.BooleanField(help_text="Whether it is synced.")
    status = serializers.ChoiceField(
        choices=ExternalCalendar.State.values,
        help_text="`vanished`: selected, and not there any more at the provider.",
    )
    last_sync_at = serializers.DateTimeField(allow_null=True)
    events_synced = serializers.IntegerField()
    last_error = CodeInWordsSerializer(allow_null=True)


class ExternalCalendarsSerializer(serializers.Serializer[Any]):
    """The account's calendars, the main one first, then by name."""

    external_calendars = ExternalCalendarSerializer(many=True)
    most_selected = serializers.IntegerField(help_text="How many may be selected.")
    listed_at = serializers.DateTimeField(
        allow_null=True, help_text="When the provider was asked last, and answered."
    )
    stale = serializers.BooleanField(
        help_text="The provider could not be asked just now: the list is that of `listed_at`."
    )
    stale_because = CodeInWordsSerializer(allow_null=True)


_CALENDAR = {
    "id": "5b0c1f0e-6f57-4c0b-8d5e-0c8f4c1d9a70",
    "external_id": "ada@example.com",
    "name": "Ada",
    "color": "#9fe1e7",
    "timezone": "Europe/London",
    "access_role": "owner",
    "is_primary": True,
    "is_selected": True,
    "status": "available",
    "last_sync_at": "2026-03-02T09:15:00Z",
    "events_synced": 312,
    "last_error": None,
}
_LIST = OpenApiExample(
    "One of two is synced",
    value={
        "external_calendars": [
            _CALENDAR,
            _CALENDAR
            | {
                "id": "0f4b7a56-62c9-4c5c-9d0e-9d3b7d0b1c22",
                "external_id": "team@group.example.com",
                "name": "Team",
                "color": "#fad165",
                "access_role": "reader",
                "is_primary": False,
                "is_selected": False,
                "last_sync_at": None,
                "events_synced": 0,
            },
        ],
        "most_selected": 20,
        "listed_at": "2026-03-02T09:20:00Z",
        "stale": False,
        "stale_because": None,
    },
    response_only=True,
)


# PUT and PATCH are the same call.
_choosing = partial(
    extend_schema,
    description=(
        "Replaces the choice as a whole, or not at all. What is chosen is synced at once; the"
        " events of what is not chosen any more are removed."
    ),
    request=ChoiceSerializer,
    responses={
        200: ExternalCalendarsSerializer,
        409: error_response("Nobody has authorised, or not any more.", "CONNECTION_NOT_ACTIVE"),
    },
    examples=[
        OpenApiExample(
            "Both",
            value={FIELD: ["ada@example.com", "team@group.example.com"]},
            request_only=True,
        ),
        _LIST,
    ],
    tags=["Provider connections"],
)


class ExternalCalendarViewSet(ApiViewSet):
    """The calendars of a connection's account."""

    @extend_schema(
        operation_id="list_external_calendars",
        summary="List the calendars of a connection's account",
        description=(
            "All calendars of the account, in one answer. The provider is asked when the list is"
            " older than a minute; when it does not answer, the last list comes, as `stale`."
        ),
        parameters=[
            OpenApiParameter(
                "refresh", bool, description="Ask the provider even if the list is young."
            )
        ],
        responses={200: OpenApiResponse(ExternalCalendarsSerializer)},
        examples=[_LIST],
        tags=["Provider connections"],
    )
    def retrieve(
        self, request: Request, calendar_id: uuid.UUID, provider_id: uuid.UUID
    ) -> Response:
        connection = self._connection(calendar_id, provider_id)
        freshness = external_calendars.refresh(connection, insist=_is_insisted(request))
        return self._answer(connection, freshness)

    @_choosing(
        operation_id="choose_external_calendars", summary="Choose which calendars are synced"
    )
    def update(self, request: Request, calendar_id: uuid.UUID, provider_id: uuid.UUID) -> Response:
        connection = self._connection(calendar_id, provider_id)
        wanted = CHOICE.run_validation(request.data)[FIELD]
        try:
            selection.choose(
                connection_id=connection.pk, external_ids=wanted, actor=caller(request)
            )
        except selection.NotChoosable as refusal:
            raise Invalid({FIELD: refusal.problems}) from None
        except selection.NotConnected:
            raise ApiError(
                409,
                "CONNECTION_NOT_ACTIVE",
                f"The connection is {connection.current_status}, so no calendars can be chosen."
                " Let the person authorise it first.",
            ) from None
        return self._answer(connection, external_calendars.freshness_of(connection))

    @_choosing(
        operation_id="patch_external_calendars",
        summary="Choose which calendars are synced (the same as PUT)",
    )
    def partial_update(
        self, request: Request, calendar_id: uuid.UUID, provider_id: uuid.UUID
    ) -> Response:
        return self.update(request, calendar_id, provider_id)

    def _connection(self, calendar_id: uuid.UUID, provider_id: uuid.UUID) -> ProviderConnection:
        calendars = Calendar.objects.for_environment(self.environment)
        self.find(calendars, "calendar", pk=calendar_id)
        connections = ProviderConnection.objects.for_environment(self.environment).present()
        mine = connections.filter(calendar=calendar_id).select_related("configuration")
        found: ProviderConnection = self.find(mine, "provider connection", pk=provider_id)
        return found

    def _answer(self, connection: ProviderConnection, freshness: Freshness) -> Response:
        connection.refresh_from_db(fields=["calendars_listed_at"])
        rows = external_calendars.in_order(connection)
        return self.success(
            {
                "external_calendars": [represent(row) for row in rows],
                "most_selected": settings.SELECTED_CALENDARS_PER_CONNECTION,
                "listed_at": connection.calendars_listed_at,
                "stale": freshness.stale,
                "stale_because": _in_words(freshness.code),
            }
        )


def represent(row: ExternalCalendar) -> dict[str, Any]:
    """A calendar of the account, as the API gives it."""
    return {
        "id": row.pk,
        "external_id": row.external_id,
        "name": str(row),
        "color": row.color or None,
        "timezone": row.time_zone or None,
        "access_role": row.access_role or None,
        "is_primary": row.is_primary,
        "is_selected": row.is_selected,
        "status": row.state,
        "last_sync_at": row.last_sync_at,
        "events_synced": row.events_synced,
        "last_error": _in_words(row.last_error_code),
    }


def _in_words(code: str) -> dict[str, str] | None:
    if not code:
        return None
    words = explain(code)
    return {"code": code, "cause": words.cause, "remedy": words.remedy}


def _is_insisted(request: Request) -> bool:
    given = request.query_params.get("refresh", "false")
    if given not in {"true", "false"}:
        raise Invalid({"refresh": ["Give true or false, or leave it out."]})
    return given == "true"
