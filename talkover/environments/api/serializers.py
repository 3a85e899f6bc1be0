"""What the endpoints about people read and write."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from talkover.api.fields import TextField
from talkover.environments.models import Membership


class PersonSerializer(serializers.Serializer[Any]):
    """A person as the token's environment knows them."""

    id = serializers.UUIDField(help_text="What `owner_id` of a calendar takes.")
    name = serializers.CharField()
    email = serializers.EmailField()
    external_id = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()


class NewPersonSerializer(serializers.Serializer[Any]):
    """The body of `POST /users`."""

    name = TextField(max_length=255)
    email = serializers.EmailField(
        max_length=254, help_text="Compared without regard to case; kept in lower case."
    )
    external_id = TextField(
        max_length=255,
        required=False,
        allow_blank=True,
        default="",
        help_text="Your own identifier of this person.",
    )


def represent_person(membership: Membership) -> dict[str, Any]:
    """A membership, its user loaded, as PersonSerializer describes it."""
    return {
        "id": membership.user_id,
        "name": membership.name,
        "email": membership.user.email,
        "external_id": membership.external_id,
        "created_at": membership.created_at,
    }
