"""The control API for tests: events that no rule of Google's allows, listed as they were given."""

import json

from django.db import transaction
from django.http import HttpRequest

from providers.sandbox.control import Json, controls
from providers.sandbox.control_events import calendar_called
from providers.sandbox.google import resources, store, times
from providers.sandbox.google.errors import not_found
from providers.sandbox.models import Calendar, Event


@controls("GET")
def collection(_request: HttpRequest, _body: Json, calendar_id: str) -> Json:
    """The names of the raw events of a calendar."""
    found = Event.objects.filter(calendar=calendar_called(calendar_id), kind=Event.RAW)
    names = found.exclude(status="cancelled").order_by("pk")
    return {"names": list(names.values_list("event_id", flat=True))}


@controls("PUT", "DELETE", reads_body=False)
def item(request: HttpRequest, _body: Json, calendar_id: str, name: str) -> Json:
    """PUT any JSON: it is listed to the letter, in full listings and as a change, under no id but
    its own. PUT again replaces it. DELETE: a cancelled event with the id `name` is left.

    `name` may be the id of a single event, which then turns into this. A raw event lies in every
    window that ends after 1970. 400 for what is not JSON.
    """
    calendar = calendar_called(calendar_id)
    with transaction.atomic():
        row = Event.objects.filter(calendar=calendar, event_id=name).first()
        if row is not None and row.kind not in {Event.SINGLE, Event.RAW}:
            raise ValueError(f"{name} belongs to a series, which cannot turn into a raw event.")
        if request.method == "PUT":
            text, status = _text(request.body)
            _write(calendar, row or Event(calendar=calendar, event_id=name), text, status)
        elif row is None or row.kind != Event.RAW or row.status == "cancelled":
            raise not_found()
        else:
            _write(calendar, row, None, "cancelled")
    return {"name": name}


def _text(body: bytes) -> tuple[str, str]:
    """The JSON as it came, and the status of the row."""
    text = body.decode()
    try:
        content = json.loads(text)
    except RecursionError:  # nested too deeply for us, which is what somebody wants to try
        return text, "confirmed"
    is_gone = isinstance(content, dict) and content.get("status") == "cancelled"
    return text, "cancelled" if is_gone else "confirmed"


def _write(calendar: Calendar, row: Event, text: str | None, status: str) -> None:
    row.kind, row.status, row.exception, row.series_id = Event.RAW, status, False, ""
    row.starts, row.ends, row.updated_ms = 0, times.FAR, times.now_ms()
    row.seq = store.take_numbers(calendar, 1)
    if text is None:
        left = {"kind": "calendar#event", "id": row.event_id}
        gone = resources.cancelled(left, seq=row.seq, updated_ms=row.updated_ms)
        text = store.dumps(gone)
    row.body = text
    row.save()
