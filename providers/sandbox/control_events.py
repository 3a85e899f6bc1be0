"""The control API for tests: events of any calendar, without token and access role."""

import random
from typing import Any

import orjson
from django.db import connection, transaction
from django.http import HttpRequest

from providers.sandbox import switches
from providers.sandbox.control import Json, controls
from providers.sandbox.google import resources, store, times
from providers.sandbox.google.errors import not_found
from providers.sandbox.google.store import Change
from providers.sandbox.models import Calendar, Event

_TRUSTED = Change(trusted=True)


@controls("GET", "POST")
def collection(request: HttpRequest, body: Json, calendar_id: str) -> Json:
    """GET `?singleEvents=true`: `{"items"}`, all live resources. POST Google's fields: an event.

    Raw events (control_raw) are left out.
    """
    calendar = calendar_called(calendar_id)
    if request.method == "POST":
        return store.insert(calendar, body, _TRUSTED)
    hidden = Event.MASTER if request.GET.get("singleEvents") == "true" else Event.INSTANCE
    rows = Event.objects.filter(calendar=calendar).exclude(status="cancelled")
    rows = rows.exclude(kind=hidden, exception=False).exclude(kind=Event.RAW).order_by("pk")
    return {"items": [orjson.loads(text) for text in rows.values_list("body", flat=True)]}


@controls("GET", "PATCH", "DELETE")
def item(request: HttpRequest, body: Json, calendar_id: str, event_id: str) -> Json:
    """GET, PATCH (null removes a field) or DELETE one event, series or instance."""
    calendar = calendar_called(calendar_id)
    if request.method == "PATCH":
        return store.patch(calendar, event_id, body, _TRUSTED)
    if request.method == "DELETE":
        store.delete(calendar, event_id, _TRUSTED)
    return store.loads(store.get(calendar, event_id))


@controls("POST")
def touch(_request: HttpRequest, body: Json, calendar_id: str) -> Json:
    """`{count | fraction, seed?}`: so many events get a new summary and etag, in one transaction.

    Which ones is random, but the same for the same seed. Answers `{"touched": n, "ids": […]}`.
    """
    calendar = calendar_called(calendar_id)
    chance = random.Random(body.get("seed", 0))
    with transaction.atomic(), connection.cursor() as cursor:
        rows: list[tuple[Any, ...]] = list(
            Event.objects.filter(calendar=calendar)
            .exclude(status="cancelled")
            .exclude(kind__in=(Event.MASTER, Event.RAW))
            .order_by("pk")
            .values_list("pk", "kind", "body")
        )
        count = body["count"] if "count" in body else round(len(rows) * body["fraction"])
        chosen = chance.sample(rows, min(int(count), len(rows)))
        first, now = store.take_numbers(calendar, len(chosen)), times.now_ms()
        changes, ids = [], []
        for seq, (pk, kind, text) in enumerate(chosen, first):
            resource = orjson.loads(text)
            name = str(resource.get("summary", "Event")).partition(" · ")[0]
            resource["summary"] = f"{name} · change {seq}"
            resource = resources.stamped(resource, seq=seq, updated_ms=now)
            ids.append(resource["id"])
            changes.append((store.dumps(resource), seq, now, kind == Event.INSTANCE, pk))
        cursor.executemany(
            "UPDATE sandbox_event SET body = %s, seq = %s, updated_ms = %s, exception = %s "
            "WHERE id = %s",
            changes,
        )
    return {"touched": len(ids), "ids": ids}


@controls("POST")
def empty(_request: HttpRequest, body: Json, calendar_id: str) -> Json:
    """`{on: true}`: the listing is suddenly empty; `{on: false}`: as it was."""
    switches.set_emptied(calendar_called(calendar_id).google_id, bool(body["on"]))
    return {"on": switches.is_emptied(calendar_id)}


def calendar_called(calendar_id: str) -> Calendar:
    """The calendar with this id. Raises 404."""
    calendar = Calendar.objects.select_related("owner").filter(google_id=calendar_id).first()
    if calendar is None:
        raise not_found()
    return calendar
