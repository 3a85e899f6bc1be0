"""`/users`: the people whose calendars an application connects."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from talkover.api.idempotency import once
from talkover.api.views import ApiViewSet
from talkover.environments.api.serializers import (
    NewPersonSerializer,
    PersonSerializer,
    represent_person,
)
from talkover.environments.models import Membership
from talkover.environments.people import add_person

_EXAMPLE = OpenApiExample(
    "A person",
    value={
        "id": "5f0c7f6e-3f0b-4d7c-9a39-0d7f6f2a9b11",
        "name": "Ada Lovelace",
        "email": "ada@example.com",
        "external_id": "crm-1843",
        "created_at": "2026-03-02T09:15:00Z",
    },
    response_only=True,
)


class UserViewSet(ApiViewSet):
    """People of the token's environment."""

    @extend_schema(
        operation_id="list_users",
        summary="List people",
        description="The people of the environment, in the order they were added.",
        responses=PersonSerializer(many=True),
        examples=[_EXAMPLE],
        tags=["People"],
    )
    def list(self, request: Request) -> Response:
        memberships = (
            Membership.objects.filter(environment=self.environment)
            .select_related("user")
            .order_by("created_at", "id")
        )
        return self.page(memberships, lambda rows: [represent_person(row) for row in rows])

    @once(in_transaction=True)
    @extend_schema(
        operation_id="add_user",
        summary="Add a person",
        description=(
            "Adds a person to the environment. Whoever has the same e-mail address in it already is"
            " answered as they are, unchanged, with status 200."
        ),
        request=NewPersonSerializer,
        responses={
            201: OpenApiResponse(PersonSerializer, description="Added."),
            200: OpenApiResponse(PersonSerializer, description="Was there already; unchanged."),
        },
        examples=[
            _EXAMPLE,
            OpenApiExample(
                "A person to add",
                value={
                    "name": "Ada Lovelace",
                    "email": "ada@example.com",
                    "external_id": "crm-1843",
                },
                request_only=True,
            ),
        ],
        tags=["People"],
    )
    def create(self, request: Request) -> Response:
        serializer = NewPersonSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        membership, created = add_person(
            environment=self.environment, **dict(serializer.validated_data)
        )
        return self.success(represent_person(membership), status=201 if created else 200)
