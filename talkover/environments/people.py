"""People of an environment."""

from __future__ import annotations

from django.contrib.auth.hashers import make_password
from django.db import transaction

from talkover.environments.models import Environment, Membership, User


def add_person(
    *, environment: Environment, email: str, name: str, external_id: str = ""
) -> tuple[Membership, bool]:
    """The environment's membership of whoever has this address, and whether it is new.

    An existing one stays as it is. The person may be known to other environments; nothing of what
    those wrote is read. Two calls at once make one membership.
    """
    with transaction.atomic():
        user, _ = User.objects.get_or_create(
            email=email.strip().lower(),
            # No password: they sign in with a code sent by mail.
            defaults={"password": make_password(None)},
        )
        membership, created = Membership.objects.get_or_create(
            environment=environment, user=user, defaults={"name": name, "external_id": external_id}
        )
    membership.user = user
    return membership, created
