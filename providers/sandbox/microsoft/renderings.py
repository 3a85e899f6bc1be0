"""The finished bodies of Graph's listings, made once for each change of an event.

They are kept beside the events, so that a listing only joins texts, as Google's does. Whatever
changed since is rendered before a listing is read.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import orjson
from django.db import connection, transaction

from providers.sandbox.google.resources import home_of
from providers.sandbox.microsoft import render
from providers.sandbox.microsoft.render import Json, Shelf
from providers.sandbox.models import Calendar, Event, GraphEvent

_CHUNK = 500


def bring_up_to_date(calendar: Calendar) -> None:
    """Render what changed in the calendar since it was rendered last."""
    if calendar.rendered_seq >= calendar.last_seq:
        return
    with transaction.atomic():
        calendar.refresh_from_db(fields=["last_seq", "rendered_seq"])
        rows = Event.objects.filter(calendar=calendar, seq__gt=calendar.rendered_seq)
        with connection.cursor() as cursor:
            for made in _rendered(calendar, rows.order_by("seq").iterator(chunk_size=2000)):
                cursor.executemany(
                    "INSERT INTO sandbox_graphevent (event_id, body, own, transaction_id) "
                    "VALUES (%s, %s, '{}', '') "
                    "ON CONFLICT (event_id) DO UPDATE SET body = excluded.body",
                    made,
                )
        calendar.rendered_seq = calendar.last_seq
        calendar.save(update_fields=["rendered_seq"])


def shelf_for(calendar: Calendar) -> Shelf:
    """The calendar's facts with all its series."""
    series = Event.objects.filter(calendar=calendar, kind=Event.MASTER).exclude(status="cancelled")
    home = home_of(calendar)
    masters = {
        name: pk if render.pattern_of(home, orjson.loads(body)) else None
        for name, pk, body in series.values_list("event_id", "pk", "body")
    }
    return render.shelf_of(calendar, masters)


def complete(calendar: Calendar, row: Event) -> Json:
    """All fields of one event."""
    shelf = shelf_for(calendar)
    return render.full(shelf, row, orjson.loads(row.body), _owns(shelf, [row])[row.pk])


def complete_all(calendar: Calendar) -> list[Json]:
    """All fields of all live events with their ids: occurrences instead of series, nothing raw."""
    shelf = shelf_for(calendar)
    rows = Event.objects.filter(calendar=calendar).exclude(status="cancelled")
    rows = rows.exclude(kind__in=(Event.MASTER, Event.RAW)).order_by("pk")
    found, left = [], rows.iterator(chunk_size=2000)
    while chunk := list(islice(left, _CHUNK)):
        owns = _owns(shelf, chunk)
        found += [render.full(shelf, row, orjson.loads(row.body), owns[row.pk]) for row in chunk]
    return found


def own_of(row: Event) -> Json:
    """What was set for this row through Graph alone."""
    kept = GraphEvent.objects.filter(pk=row.pk).values_list("own", flat=True).first()
    own: Json = orjson.loads(kept or "{}")
    return own


def _rendered(calendar: Calendar, rows: Iterable[Event]) -> Iterator[list[tuple[Any, ...]]]:
    shelf, left = shelf_for(calendar), iter(rows)
    while chunk := list(islice(left, _CHUNK)):
        owns = _owns(shelf, chunk)
        yield [(row.pk, _text(shelf, row, owns[row.pk])) for row in chunk]


def _text(shelf: Shelf, row: Event, own: Json) -> str:
    if row.kind == Event.RAW:
        return row.body
    if row.status == "cancelled":
        return ""
    if row.kind == Event.MASTER and shelf.masters.get(row.event_id) is None:
        return ""
    return orjson.dumps(render.listed(shelf, row, orjson.loads(row.body), own)).decode()


def _owns(shelf: Shelf, rows: list[Event]) -> dict[int, Json]:
    """What only Graph has, of each row; one of a series has its series' too."""
    series = {row.pk: render.series_of(shelf, row) for row in rows}
    wanted = {*series, *(pk for pk in series.values() if pk is not None)}
    kept = GraphEvent.objects.filter(pk__in=wanted).exclude(own="{}").values_list("pk", "own")
    own: dict[int, Json] = {pk: orjson.loads(text) for pk, text in kept}
    return {
        row.pk: _inherited(own.get(series[row.pk] or 0, {}), own.get(row.pk, {})) for row in rows
    }


def _inherited(master: Json, own: Json) -> Json:
    if not master:
        return own
    fields = {**master.get("fields", {}), **own.get("fields", {})}
    fields.pop("transactionId", None)
    return {
        **{name: value for name, value in master.items() if name != "override"},
        **own,
        "fields": fields,
    }
