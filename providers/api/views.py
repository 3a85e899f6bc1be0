"""Provider connections over the API: the published calls, and what we added beside them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from django.db import transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from calendars.models import Calendar
from providers import audit, causes, connect, handshake, tasks
from providers.api import lookups, serializers
from providers.api.actors import caller
from providers.models import AuthorizationRequest, ProviderConfiguration, ProviderConnection
from talkover.api.exceptions import ApiError, NotFound
from talkover.api.idempotency import once
from talkover.api.pagination import MAX_PER_PAGE
from talkover.api.schema import error_response, message_response
from talkover.api.views import ApiViewSet, each
from talkover.encryption import UnsealError

Handshake = AuthorizationRequest.Handshake

_STARTED = OpenApiExample(
    "Waiting for the person",
    value={
        "id": "c6d2b8a4-1f1e-4d3a-9a55-6b8f0e6d7c03",
        "provider": "calendar_provider_a",
        "authorization_url": "https://accounts.google.com/o/oauth2/v2/auth?client_id=…&state=…",
        "is_active": False,
    },
    response_only=True,
)
_TOO_MANY = error_response(
    "The calendar has too many unfinished authorizations.", "TOO_MANY_PENDING_CONNECTIONS"
)
_UNUSABLE = error_response(
    "The provider, the redirect URI or the handshake cannot be used.",
    "UNKNOWN_PROVIDER",
    "PROVIDER_INACTIVE",
    "REDIRECT_URI_NOT_REGISTERED",
    "HANDSHAKE_NOT_ALLOWED",
)
_FAILED = error_response("The connection did not become active.", "AUTHORIZATION_FAILED")
# From the laxest: what a call asks for may be stricter than what is set, never laxer.
_STRICTNESS = (Handshake.AUTOMATIC, Handshake.DIRECT, Handshake.CONFIRMED)


class ConnectionViewSet(ApiViewSet):
    """`/calendars/{calendar_id}/providers` and what lies below it."""

    @extend_schema(
        operation_id="list_provider_connections",
        summary="List a calendar's provider connections",
        responses=serializers.ConnectionSerializer(many=True),
        tags=["Provider connections"],
    )
    def list(self, request: Request, calendar_id: uuid.UUID) -> Response:
        rows = lookups.connections(environment=self.environment.pk, calendar=calendar_id)
        if not rows:
            self._calendar(calendar_id)  # there is one, or it is not found
        if len(rows) <= MAX_PER_PAGE:
            return self.page(rows, each(serializers.represent_connection))
        return self.page(self._connections(calendar_id), each(serializers.represent_connection))

    @once(in_transaction=True)
    @extend_schema(
        operation_id="connect_provider",
        summary="Connect a provider",
        description=(
            "Creates an inactive connection and the URL where the person authorises it. Once they"
            " have, the connection becomes active and the first sync runs by itself."
        ),
        request=serializers.ConnectSerializer,
        responses={
            201: OpenApiResponse(serializers.StartedSerializer, description="Begun."),
            409: _TOO_MANY,
            422: _UNUSABLE,
        },
        examples=[
            OpenApiExample(
                "Connect",
                value={
                    "provider": "calendar_provider_a",
                    "redirect_uri": "https://app.example.com/calendar/connected",
                },
                request_only=True,
            ),
            _STARTED,
        ],
        tags=["Provider connections"],
    )
    def create(self, request: Request, calendar_id: uuid.UUID) -> Response:
        try:
            body = serializers.CONNECT.run_validation(request.data)
            configuration = self._configuration(body["provider"], body["redirect_uri"])
            with _explained():
                begun = connect.begin(
                    calendar_id=calendar_id,
                    configuration=configuration,
                    start=self._start(body, configuration),
                    external_calendar_id=body["external_calendar_id"],
                )
        except APIException:
            # Whatever else is wrong: a calendar that is not there is said first. To ask only now
            # spares a query where all is well, since `begin` looks at the calendar anyway.
            self._calendar(calendar_id)
            raise
        return self.success(_represent_started(begun), status=201)

    @extend_schema(
        operation_id="get_provider_connection",
        summary="Get a provider connection",
        responses=serializers.SingleConnectionSerializer,
        tags=["Provider connections"],
    )
    def retrieve(
        self, request: Request, calendar_id: uuid.UUID, provider_id: uuid.UUID
    ) -> Response:
        return self._single(calendar_id, provider_id)

    @extend_schema(
        operation_id="disconnect_provider",
        summary="Disconnect a provider",
        description=(
            "Ends the connection: its tokens are wiped and revoked at the provider. Events that"
            " were synced stay, without further updates."
        ),
        responses={200: message_response("Provider connection removed")},
        tags=["Provider connections"],
    )
    def destroy(self, request: Request, calendar_id: uuid.UUID, provider_id: uuid.UUID) -> Response:
        connection = self._connection(calendar_id, provider_id)
        connect.disconnect(connection=connection, actor=caller(self.request))
        return self.message("Provider connection removed")

    @once(in_transaction=True)
    @extend_schema(
        operation_id="reconnect_provider",
        summary="Reconnect a provider",
        description=(
            "A new authorization for an existing connection. Its id and events stay, and the same"
            " account must authorise."
        ),
        request=serializers.StartSerializer,
        responses={
            201: OpenApiResponse(serializers.StartedSerializer, description="Begun."),
            409: _TOO_MANY,
            422: _UNUSABLE,
        },
        examples=[
            OpenApiExample(
                "Reconnect",
                value={"redirect_uri": "https://app.example.com/calendar/connected"},
                request_only=True,
            ),
            _STARTED,
        ],
        tags=["Provider connections"],
    )
    def reconnect(
        self, request: Request, calendar_id: uuid.UUID, provider_id: uuid.UUID
    ) -> Response:
        connection = self._connection(calendar_id, provider_id)
        body = serializers.START.run_validation(request.data)
        configuration = self._configuration(
            connection.configuration.identifier, body["redirect_uri"]
        )
        with _explained():
            begun = connect.reconnect(connection=connection, start=self._start(body, configuration))
        return self.success(_represent_started(begun), status=201)

    @once(in_transaction=False)
    @extend_schema(
        operation_id="complete_provider",
        summary="Hand on a provider's answer (direct handshake)",
        description=(
            "For a redirect URI that is registered as direct: its page has received the provider's"
            " answer and hands it on, after it has made sure that the person who is signed in there"
            " is the one who began. Answers when the connection is active."
        ),
        request=serializers.AnswerSerializer,
        responses={200: serializers.SingleConnectionSerializer, 422: _FAILED},
        tags=["Provider connections"],
    )
    def complete(
        self, request: Request, calendar_id: uuid.UUID, provider_id: uuid.UUID
    ) -> Response:
        connection = self._connection(calendar_id, provider_id)
        body = serializers.ANSWER.run_validation(request.data)
        answer = handshake.Answer(
            state=body["state"],
            code=body["code"],
            error=body["error"],
            error_description=body["error_description"],
            issuer=body["iss"],
        )
        return self._finished(
            connection,
            lambda: handshake.hand_on(
                connection=connection, answer=answer, actor=caller(self.request)
            ),
        )

    @once(in_transaction=False)
    @extend_schema(
        operation_id="confirm_provider",
        summary="Confirm a provider connection (confirmed handshake)",
        description=(
            "Call it from the page at your redirect URI, in the session of the person who began,"
            " with the id of the connection that this session began: never with one from the"
            " query, a webhook or a background job. Only then is the person's authorization used."
        ),
        request=serializers.ConfirmSerializer,
        responses={200: serializers.SingleConnectionSerializer, 422: _FAILED},
        tags=["Provider connections"],
    )
    def confirm(self, request: Request, calendar_id: uuid.UUID, provider_id: uuid.UUID) -> Response:
        connection = self._connection(calendar_id, provider_id)
        code = serializers.CONFIRM.run_validation(request.data)["result_code"]
        return self._finished(
            connection,
            lambda: handshake.confirm(
                connection=connection, result_code=code, actor=caller(self.request)
            ),
        )

    @once(in_transaction=True)
    @extend_schema(
        operation_id="sync_provider",
        summary="Sync a provider connection now",
        request=None,
        responses={
            202: OpenApiResponse(serializers.QueuedSerializer, description="Asked for."),
            409: error_response("There is nothing to sync yet.", "CONNECTION_NOT_ACTIVE"),
        },
        tags=["Sync"],
    )
    def sync(self, request: Request, calendar_id: uuid.UUID, provider_id: uuid.UUID) -> Response:
        connection = self._connection(calendar_id, provider_id)
        if not connection.is_active:
            raise ApiError(
                409,
                "CONNECTION_NOT_ACTIVE",
                f"The connection is {connection.current_status}, so there is nothing to sync."
                " Let the person authorise it first.",
            )
        with transaction.atomic():
            tasks.request_sync(connection.external_calendars.values_list("pk", flat=True))
            audit.record(connection, audit.Action.SYNC_REQUESTED, actor=caller(request))
        return self.success({"queued": True, "queued_at": timezone.now()}, status=202)

    def _finished(
        self, connection: ProviderConnection, finish: Callable[[], handshake.Outcome]
    ) -> Response:
        try:
            error = finish().error
        except handshake.UnknownRequest as problem:
            error = problem.code
        if error:
            words = causes.explain(error)
            raise ApiError(
                422,
                "AUTHORIZATION_FAILED",
                f"{words.cause} {words.remedy}",
                errors={"authorization": [error]},
            )
        return self._single(connection.calendar_id, connection.pk)

    def _single(self, calendar_id: uuid.UUID, provider_id: uuid.UUID) -> Response:
        connections = self._connections(self._calendar(calendar_id).pk).annotate(
            events_quarantined=Sum("external_calendars__quarantined_count", default=0)
        )
        connection = self.find(connections, "provider connection", pk=provider_id)
        return self.success(serializers.represent_single_connection(connection))

    def _start(self, body: dict[str, Any], configuration: Any) -> connect.Start:
        return connect.Start(
            actor=caller(self.request),
            handshake=self._handshake(body["handshake"], configuration),
            return_uri=body["redirect_uri"],
            state=body["state"],
            expected_account=body["expected_account"].strip(),
        )

    def _handshake(self, asked: str | None, configuration: Any) -> Handshake:
        """The handshake to use: the environment's and the redirect URI's own, or a stricter one."""
        own = Handshake(self.environment.handshake)
        if own is Handshake.AUTOMATIC and configuration.redirect_uri_direct:
            own = Handshake.DIRECT
        wanted = Handshake(asked) if asked else own
        if wanted is Handshake.DIRECT and not configuration.redirect_uri_direct:
            message = (
                "The redirect URI is not registered as direct. Let the operator register it so,"
                " here and at the provider, or leave `handshake` out."
            )
            raise _refusal("HANDSHAKE_NOT_ALLOWED", "handshake", message)
        if _STRICTNESS.index(wanted) < _STRICTNESS.index(own):
            message = (
                f"The handshake here is {own.value!r}; a call may only ask for a stricter one."
            )
            raise _refusal("HANDSHAKE_NOT_ALLOWED", "handshake", message)
        return wanted

    def _calendar(self, calendar_id: uuid.UUID) -> Calendar:
        calendars = Calendar.objects.for_environment(self.environment)
        return self.find(calendars, "calendar", pk=calendar_id)

    def _connections(self, calendar_id: uuid.UUID) -> QuerySet[ProviderConnection]:
        return (
            ProviderConnection.objects.for_environment(self.environment)
            .present()
            .filter(calendar=calendar_id)
            .for_reading()
        )

    def _connection(self, calendar_id: uuid.UUID, provider_id: uuid.UUID) -> ProviderConnection:
        connections = self._connections(self._calendar(calendar_id).pk)
        return self.find(connections, "provider connection", pk=provider_id)

    def _configuration(self, identifier: str, redirect_uri: str) -> ProviderConfiguration:
        """An active configuration of this environment; the refusals say what would work."""
        found = lookups.configuration(
            environment=self.environment.pk, identifier=identifier, redirect_uri=redirect_uri
        )
        if not found:
            known = ProviderConfiguration.objects.filter(
                environment=self.environment, is_active=True
            ).values_list("identifier", flat=True)
            message = f"No provider is called {identifier!r} here. " + (
                f"Known: {', '.join(known)}." if known else "None is configured yet."
            )
            raise _refusal("UNKNOWN_PROVIDER", "provider", message)
        configuration: Any = found[0]  # with what the query annotates
        if not configuration.is_active:
            message = f"The provider {identifier!r} is switched off. Ask the operator to enable it."
            raise _refusal("PROVIDER_INACTIVE", "provider", message)
        if configuration.redirect_uri_refused:
            message = (
                "This redirect URI is not registered for the environment. It must equal a"
                " registered one to the letter; let the operator add it, or use one of them."
            )
            raise _refusal("REDIRECT_URI_NOT_REGISTERED", "redirect_uri", message)
        configuration.environment = self.environment
        return cast("ProviderConfiguration", configuration)


def _represent_started(begun: connect.Begun) -> dict[str, Any]:
    return {
        "id": begun.connection.pk,
        "provider": begun.connection.configuration.identifier,
        "authorization_url": begun.authorization_url,
        "is_active": begun.connection.is_active,
    }


def _refusal(code: str, field: str, message: str) -> ApiError:
    return ApiError(422, code, message, errors={field: [message]})


@contextmanager
def _explained() -> Iterator[None]:
    """Turns what `connect` raises into the API's answers."""
    try:
        yield
    except connect.TooManyAttempts as error:
        raise ApiError(
            409,
            "TOO_MANY_PENDING_CONNECTIONS",
            "This calendar has as many unfinished authorizations as it may have. Let the person"
            " finish one, remove some, or wait: each expires by itself.",
        ) from error
    except connect.TooManyStarts as error:
        raise ApiError(
            429,
            "TOO_MANY_AUTHORIZATION_STARTS",
            "Authorizations of this calendar are begun too fast. Wait as Retry-After says.",
            headers={"Retry-After": str(error.retry_after)},
        ) from error
    except connect.CalendarGone as error:
        raise NotFound from error
    except UnsealError as error:
        raise ApiError(
            503,
            "SERVICE_UNAVAILABLE",
            "The provider's configuration cannot be read. Tell the operator.",
        ) from error
