"""Writes events with what a connection has stored: a process beside a running product.

Reads from standard input `{"connection": id, "orders": [...]}`. An order names its event by the
title, and an occurrence by its start, too, as the product has synced them:
`{"create": {"title", "start_at", "end_at", "time_zone"}}`, `{"rename": {"title"}, "to": …}`,
`{"delete": {"title", "start_at"}}`.
"""

from __future__ import annotations

import json
import sys
import uuid
from datetime import datetime
from typing import Any

import django


def main() -> None:
    django.setup()

    from calendars.models import Event
    from providers.access import accesses_of
    from providers.models import ProviderConnection
    from providers.outbound import http_client
    from providers.writing import EventChanges, EventDraft, WritesEvents

    given: dict[str, Any] = json.load(sys.stdin)
    connection = ProviderConnection.objects.get(pk=given["connection"])
    calendar = connection.external_calendars.selected().get()
    http = http_client()
    access = accesses_of(http=http, connection=connection).current()
    provider = connection.configuration.provider
    assert isinstance(provider, WritesEvents)
    where = http, access, calendar.external_id

    for order in given["orders"]:
        if drafted := order.get("create"):
            times = {name: datetime.fromisoformat(drafted[name]) for name in ("start_at", "end_at")}
            draft = EventDraft(**{**drafted, **times, "id": uuid.uuid4().hex})
            provider.create_event(*where, draft, notify=False)
            continue
        event = Event.objects.get(source=calendar, **(order.get("rename") or order["delete"]))
        if "rename" in order:
            changes = EventChanges(title=order["to"])
            provider.change_event(*where, event.external_id, changes, etag=event.etag, notify=False)
        else:
            provider.delete_event(*where, event.external_id, etag=event.etag, notify=False)


if __name__ == "__main__":
    main()
