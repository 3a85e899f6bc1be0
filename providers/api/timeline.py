"""`GET …/providers/{provider_id}/timeline`: what happened to a connection, the newest first."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from providers import audit
from providers.causes import explain
from providers.models import AuditEntry, ProviderConnection
from talkover.api.exceptions import NotFound
from talkover.api.views import ApiViewSet


class TimelineActorSerializer(serializers.Serializer[Any]):
    """Who it was."""

    kind = serializers.ChoiceField(choices=AuditEntry.Actor.values)
    label = serializers.CharField(  # type: ignore[assignment]  # a field, as REST framework reads it
        allow_null=True, help_text="A token's name or a person's address, as it was at the time."
    )


class TimelineErrorSerializer(serializers.Serializer[Any]):
    """What went wrong, in words."""

    code = serializers.CharField()
    cause = serializers.CharField()
    remedy = serializers.CharField()


class TimelineEntrySerializer(serializers.Serializer[Any]):
    """One thing that happened."""

    at = serializers.DateTimeField()
    action = serializers.CharField(help_text="More may come; show the text of those not known.")
    text = serializers.CharField(help_text="The action in words.")
    actor = TimelineActorSerializer()
    address = serializers.CharField(
        allow_null=True, help_text="The IP address that a token or a person came from."
    )
    error = TimelineErrorSerializer(allow_null=True)
    details = serializers.DictField()


class TimelineViewSet(ApiViewSet):
    """The audit log of one connection."""

    @extend_schema(
        operation_id="get_provider_timeline",
        summary="What happened to a provider connection",
        description=(
            "The connection's entries in the audit log, the newest first. They can be read as long"
            " as the token's environment is there, also after the connection or its calendar was"
            " removed."
        ),
        responses=TimelineEntrySerializer(many=True),
        examples=[
            OpenApiExample(
                "An access that ended",
                value={
                    "at": "2026-03-02T09:15:00Z",
                    "action": "reauthorization_required",
                    "text": "The access ended: the account has to be authorised again.",
                    "actor": {"kind": "system", "label": None},
                    "address": None,
                    "error": {
                        "code": "authorization_revoked",
                        "cause": "The account's owner, or the provider, has ended the access.",
                        "remedy": "Reconnect: the person authorises again, and the events stay.",
                    },
                    "details": {"external_calendar_id": "ada@example.com"},
                },
                response_only=True,
            )
        ],
        tags=["Provider connections"],
    )
    def list(self, request: Request, calendar_id: uuid.UUID, provider_id: uuid.UUID) -> Response:
        mine = {"calendar_id": calendar_id, "connection_id": provider_id}
        entries = (
            AuditEntry.objects.filter(environment=self.environment, **mine)
            .exclude(action__in=audit.STAFF_ONLY)
            .order_by("-created_at", "-id")
        )
        if not entries.exists() and not self._is_connection(calendar_id, provider_id):
            raise NotFound("There is no provider connection with this id.")
        return self.page(entries, lambda rows: [represent_entry(row) for row in rows])

    def _is_connection(self, calendar_id: uuid.UUID, provider_id: uuid.UUID) -> bool:
        connections = ProviderConnection.objects.for_environment(self.environment)
        return connections.filter(calendar=calendar_id, pk=provider_id).exists()


def represent_entry(entry: AuditEntry) -> dict[str, Any]:
    """An entry as its environment sees it: who the operator's staff are is none of its business."""
    is_staff = entry.actor == AuditEntry.Actor.STAFF
    error = None
    if entry.code:
        words = explain(entry.code)
        error = {"code": entry.code, "cause": words.cause, "remedy": words.remedy}
    return {
        "at": entry.created_at,
        "action": entry.action,
        "text": audit.say(entry.action),
        "actor": {
            "kind": entry.actor,
            "label": None if is_staff else entry.actor_label or None,
        },
        "address": None if is_staff else entry.address,
        "error": error,
        "details": entry.details,
    }
