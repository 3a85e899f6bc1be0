"""Many plain, realistic events, made fast: for the large account and for tests."""

import itertools
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import orjson
from django.db import connection, transaction

from providers.sandbox.google import resources, store, times
from providers.sandbox.models import Calendar

DAYS_BACK, DAYS_AHEAD = 30, 365

_TOPICS = (
    "Quarterly plan", "Customer visit", "Design review", "Budget round", "Interview",
    "Release check",
    "Supplier call", "Roadmap", "Training", "Site inspection", "Press briefing", "Retrospective",
)  # fmt: skip
_PARTNERS = (
    "Nordwind",
    "Brightfield",
    "Casa Verde",
    "Lumen & Sons",
    "Polaris",
    "Orchard",
    "Tessera",
)
_PLACES = (
    "Room Aalto, 3rd floor",
    "Room Curie",
    "Main hall",
    "12 Harbour Street, Sandbox City",
    "Video call",
)
_PEOPLE = (
    ("jonas.brandt@sandbox.example", "Jonas Brandt"),
    ("mei.lin@sandbox.example", "Mei Lin"),
    ("priya.nair@sandbox.example", "Priya Nair"),
    ("tomas.novak@sandbox.example", "Tomáš Novák"),
    ("zoe.dubois@sandbox.example", "Zoé Dubois"),
)
_PAIRS = tuple(itertools.permutations(_PEOPLE, 2))
_ANSWERS = ("accepted", "accepted", "tentative", "declined", "needsAction")
_AGENDA = (
    "Agenda: where we stand, what blocks us, what we decide today. Please read the notes "
    "from last time before you come, and add your points below. Minutes are written in turn."
)


def add_plain_events(calendar: Calendar, count: int) -> None:
    """Add `count` single events of about 1.2 KB, from 30 days back to 365 days ahead.

    The same calendar gets the same events on the same day. 100,000 take a few seconds.
    """
    if count < 1:
        return
    home = resources.home_of(calendar)
    with transaction.atomic(), connection.cursor() as cursor:
        first = store.take_numbers(calendar, count)
        cursor.executemany(
            "INSERT INTO sandbox_event (calendar_id, event_id, kind, exception, status, starts, "
            "ends, updated_ms, seq, series_id, body) "
            "VALUES (%s, %s, 'single', 0, %s, %s, %s, %s, %s, '', %s)",
            cast("list[tuple[Any, ...]]", _rows(home, first, count)),  # a generator will do
        )


def _rows(home: resources.Home, first: int, count: int) -> Iterator[tuple[Any, ...]]:
    chance = random.Random(f"{home.google_id} {first}")
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    quarters = (DAYS_BACK + DAYS_AHEAD) * 96
    earliest = int((midnight - timedelta(days=DAYS_BACK)).timestamp())
    now = times.now_ms()
    for seq in range(first, first + count):
        starts = earliest + chance.randrange(quarters) * 900
        ends = starts + chance.choice((900, 1800, 1800, 2700, 3600, 3600, 5400, 7200))
        event_id = f"{chance.getrandbits(104):026x}"
        updated = now - chance.randrange(20 * 86_400_000)
        resource = _resource(home, chance, event_id, seq)
        resource["start"] = _time(home.zone, home.zone_name, starts)
        resource["end"] = _time(home.zone, home.zone_name, ends)
        resource["etag"] = resources.etag(seq, updated)
        resource["created"] = times.render_ms((updated // 1000 - 86_400 * 9) * 1000)
        resource["updated"] = times.render_ms(updated)
        text = orjson.dumps(resource).decode()
        yield (home.pk, event_id, resource["status"], starts, ends, updated, seq, text)


def _resource(
    home: resources.Home, chance: random.Random, event_id: str, seq: int
) -> dict[str, Any]:
    guests = chance.choice(_PAIRS)
    return {
        "kind": "calendar#event",
        "etag": "",
        "id": event_id,
        "status": "tentative" if chance.random() < 0.05 else "confirmed",
        "htmlLink": resources.html_link(home, event_id),
        "created": "",
        "updated": "",
        "summary": f"{chance.choice(_TOPICS)} with {chance.choice(_PARTNERS)} #{seq}",
        "description": f"{_AGENDA}\nReference: {chance.getrandbits(48):012x}",
        "location": chance.choice(_PLACES),
        "creator": {"email": home.owner, "self": True},
        "organizer": {"email": home.owner, "self": True},
        "start": {},
        "end": {},
        "iCalUID": f"{event_id}@sandbox.example",
        "sequence": 0,
        "attendees": [
            {"email": home.owner, "organizer": True, "self": True, "responseStatus": "accepted"},
            *(
                {"email": email, "displayName": name, "responseStatus": chance.choice(_ANSWERS)}
                for email, name in guests
            ),
        ],
        "reminders": {"useDefault": True},
        "eventType": "default",
    }


def _time(zone: ZoneInfo, zone_name: str, seconds: int) -> dict[str, str]:
    return {"dateTime": times.render(datetime.fromtimestamp(seconds, zone)), "timeZone": zone_name}
