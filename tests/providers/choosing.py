"""Choosing calendars of an account at the sandbox, over the API."""

from __future__ import annotations

from typing import Any

from rest_framework.test import APIClient

from calendars.models import Event
from providers.models import AuditEntry, ExternalCalendar, ProviderConnection
from tests.sandbox.process import SandboxProcess


class Chosen:
    """The calls of one connection."""

    def __init__(self, api: APIClient, connection: ProviderConnection) -> None:
        self.api = api
        self.connection = connection
        self.provider = f"/api/v1/calendars/{connection.calendar_id}/providers/{connection.pk}"
        self.url = f"{self.provider}/external-calendars"

    def list(self, **query: str) -> dict[str, Any]:
        response = self.api.get(self.url, query)
        assert response.status_code == 200, response.content
        data: dict[str, Any] = response.json()["data"]
        return data

    def names(self, **query: str) -> dict[str, bool]:
        """Whether each is selected, by name."""
        rows = self.list(**query)["external_calendars"]
        return {row["name"]: row["is_selected"] for row in rows}

    def row(self, external_id: str, **query: str) -> dict[str, Any]:
        rows = self.list(**query)["external_calendars"]
        (found,) = [row for row in rows if row["external_id"] == external_id]
        return dict(found)

    def put(self, *ids: str) -> Any:
        return self.api.put(self.url, {"external_calendar_ids": list(ids)}, format="json")

    def choose(self, *ids: str) -> dict[str, Any]:
        response = self.put(*ids)
        assert response.status_code == 200, response.content
        data: dict[str, Any] = response.json()["data"]
        return data

    def external(self, external_id: str) -> ExternalCalendar:
        return ExternalCalendar.objects.get(connection=self.connection, external_id=external_id)

    def events(self, external_id: str) -> int:
        return Event.objects.filter(source__external_id=external_id).count()

    def read(self) -> dict[str, Any]:
        data: dict[str, Any] = self.api.get(self.provider).json()["data"]
        return data


def make(sandbox: SandboxProcess, account: str, summary: str, *, events: int = 0) -> str:
    body = {"summary": summary, "events": events}
    made = sandbox.control("POST", f"accounts/{account}/calendars", body)
    return str(made["id"])


def alter(sandbox: SandboxProcess, calendar_id: str, **changes: Any) -> None:
    sandbox.calendar("PATCH", calendar_id, "", changes)


def state() -> dict[str, Any]:
    """What a refused choice must leave as it was."""
    return {
        "calendars": list(ExternalCalendar.objects.order_by("pk").values()),
        "events": list(Event.objects.order_by("pk").values_list("pk", flat=True)),
        "connections": list(ProviderConnection.objects.order_by("pk").values()),
        "entries": AuditEntry.objects.count(),
    }
