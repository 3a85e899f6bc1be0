"""What the calendar endpoints read and write."""

from __future__ import annotations

from typing import Any

import orjson
from django.core.exceptions import ValidationError as DjangoValidationError
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from calendars.models import Calendar, Event
from talkover.api.fields import TextField
from talkover.environments.models import Membership, validate_time_zone

MAX_METADATA_BYTES = 16_384


class TimeZoneField(TextField):
    """An IANA time zone name."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=64, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        value: str = super().to_internal_value(data)
        try:
            validate_time_zone(value)
        except DjangoValidationError as error:
            raise serializers.ValidationError(error.messages) from None
        return value


@extend_schema_field(OpenApiTypes.OBJECT)
class MetadataField(serializers.JSONField):
    """The application's own data about a calendar: a JSON object, kept as it is."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError('Give a JSON object, like {"team": "sales"}.')
        size = len(orjson.dumps(data))
        if size > MAX_METADATA_BYTES:
            raise serializers.ValidationError(
                f"The object has {size} bytes; at most {MAX_METADATA_BYTES} are kept."
            )
        return data


class CalendarChangesSerializer(serializers.Serializer[Any]):
    """The body of PUT and PATCH: what is not named stays."""

    name = TextField(max_length=255, required=False)
    timezone = TimeZoneField(
        required=False, help_text="IANA name, such as Europe/Berlin. Default: the environment's."
    )
    metadata = MetadataField(
        required=False,
        help_text=f"Your own data, at most {MAX_METADATA_BYTES} bytes. Replaced as a whole.",
    )


class NewCalendarSerializer(CalendarChangesSerializer):
    """The body of `POST /calendars`. The context has the `environment`."""

    name = TextField(max_length=255)
    owner_id = serializers.UUIDField(help_text="The `id` of a person, from /users.")

    def validate_owner_id(self, value: Any) -> Any:
        if not Membership.objects.filter(
            environment=self.context["environment"], user_id=value
        ).exists():
            raise serializers.ValidationError(
                "Nobody in this environment has this id. Add the person with POST /users and use"
                " the id it answers."
            )
        return value


class CalendarSerializer(serializers.Serializer[Any]):
    """A calendar in lists and on creation: the published five fields."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    timezone = serializers.CharField()
    owner_id = serializers.UUIDField()
    created_at = serializers.DateTimeField()


class CalendarDetailSerializer(CalendarSerializer):
    """A calendar read by its id."""

    metadata = MetadataField()
    updated_at = serializers.DateTimeField()


class EventSerializer(serializers.Serializer[Any]):
    """An event of a listing."""

    id = serializers.UUIDField()
    calendar_id = serializers.UUIDField()
    title = serializers.CharField(allow_blank=True)
    start_at = serializers.DateTimeField()
    end_at = serializers.DateTimeField(help_text="Exclusive.")
    status = serializers.ChoiceField(choices=Event.Status.values)
    type = serializers.CharField(allow_blank=True)
    all_day = serializers.BooleanField(
        help_text="Then the dates are the truth, and the times their midnights in `time_zone`."
    )
    start_date = serializers.DateField(allow_null=True)
    end_date = serializers.DateField(allow_null=True, help_text="Exclusive.")
    time_zone = serializers.CharField(allow_blank=True)


def represent_calendar(calendar: Calendar) -> dict[str, Any]:
    """As CalendarSerializer describes it."""
    return {
        "id": calendar.pk,
        "name": calendar.name,
        "timezone": calendar.timezone,
        "owner_id": calendar.owner_id,
        "created_at": calendar.created_at,
    }


def represent_calendar_detail(calendar: Calendar) -> dict[str, Any]:
    """As CalendarDetailSerializer describes it."""
    return {
        **represent_calendar(calendar),
        "metadata": calendar.metadata,
        "updated_at": calendar.updated_at,
    }
