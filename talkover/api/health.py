"""Probes: `/health` says that the process answers, `/ready` that it could do its work."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from drf_spectacular.utils import OpenApiResponse, extend_schema
from redis import Redis
from redis.exceptions import RedisError
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from talkover.api.renderers import PlainJSONRenderer

_TIMEOUT_SECONDS = 2.0


class HealthSerializer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["ok"])


class _Probe(APIView):
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    renderer_classes = (PlainJSONRenderer,)

    def options(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # type: ignore[override]
        return Response(status=204)


class HealthView(_Probe):
    """Touches nothing else: a database that is away must not get the process restarted."""

    @extend_schema(
        operation_id="health",
        summary="Say that the service answers",
        description="Needs no token, is not limited, and touches no database. No envelope.",
        tags=["Service"],
        responses={200: OpenApiResponse(HealthSerializer, description="It answers.")},
    )
    def get(self, request: Request) -> Response:
        return Response({"status": "ok"})


class ReadyView(_Probe):
    """200 when database and broker answer, else 503 with the one that does not."""

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        parts = {"database": _check_database(), "broker": _check_broker()}
        ready = all(state == "ok" for state in parts.values())
        return Response(
            {"status": "ok" if ready else "unavailable", **parts}, status=200 if ready else 503
        )


def _check_database() -> str:
    try:
        applied = MigrationRecorder(connection).applied_migrations()
    except DatabaseError:
        return "unavailable"
    return "ok" if _latest_migrations() <= applied.keys() else "not migrated"


@cache
def _latest_migrations() -> frozenset[tuple[str, str]]:
    """The last migration of each app, as this code has them."""
    return frozenset(MigrationLoader(None).graph.leaf_nodes())


def _check_broker() -> str:
    url: str = settings.CELERY_BROKER_URL
    if url.startswith("filesystem://"):
        folder = Path(settings.CELERY_BROKER_TRANSPORT_OPTIONS["data_folder_in"])
        # It is made by the first message; what counts is that it can be.
        while not folder.exists():
            folder = folder.parent
        return "ok" if folder.is_dir() else "unavailable"
    client = Redis.from_url(
        url, socket_timeout=_TIMEOUT_SECONDS, socket_connect_timeout=_TIMEOUT_SECONDS, retry=None
    )
    try:
        client.ping()
    except (RedisError, OSError):
        return "unavailable"
    finally:
        client.close()
    return "ok"
