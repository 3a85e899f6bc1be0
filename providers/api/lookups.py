"""What the two calls that connect and list read, each in one statement (talkover.statements)."""

from __future__ import annotations

from typing import Any

from django.db.models import (
    BooleanField,
    CharField,
    Exists,
    ExpressionWrapper,
    F,
    Max,
    OuterRef,
    QuerySet,
    Subquery,
    UUIDField,
)

from providers.models import ExternalCalendar, ProviderConfiguration, ProviderConnection
from talkover.api.pagination import MAX_PER_PAGE
from talkover.environments.models import RedirectURI
from talkover.statements import Select, parameter


def _connections() -> QuerySet[Any]:
    synced = ExternalCalendar.objects.filter(connection=OuterRef("pk")).order_by()
    return (
        ProviderConnection.objects.for_environment(parameter("environment", UUIDField()))
        .present()
        .filter(calendar=parameter("calendar", UUIDField()))
        .only(
            "configuration",
            "external_calendar_id",
            "status",
            "account_email",
            "last_error_code",
            "last_error_at",
            "pending_until",
            "created_at",
        )
        .annotate(
            identifier=F("configuration__identifier"),
            last_sync_at=Subquery(
                synced.values("connection").annotate(at=Max("last_sync_at")).values("at")
            ),
        )[: MAX_PER_PAGE + 1]
    )


def _configuration() -> QuerySet[Any]:
    registered = RedirectURI.objects.filter(environment=OuterRef("environment"))
    named = registered.filter(uri=parameter("redirect_uri", CharField()))
    return ProviderConfiguration.objects.filter(
        environment=parameter("environment", UUIDField()),
        identifier=parameter("identifier", CharField()),
    ).annotate(
        redirect_uri_refused=ExpressionWrapper(
            Exists(registered) & ~Exists(named), output_field=BooleanField()
        ),
        redirect_uri_direct=Exists(named.filter(is_direct=True)),
    )


# environment, calendar → connections with `identifier` and `last_sync_at`; one more than a page
# holds at most, so that whoever gets no more than a page's worth has them all.
connections: Select[Any] = Select(_connections)
# environment, identifier, redirect_uri → configurations with `redirect_uri_refused`
# and `redirect_uri_direct`.
configuration: Select[Any] = Select(_configuration)
