"""A catalogue of events that come wrong, and how one is repaired.

    sandbox.raw_event(email, "bad-1", malformed("no_start", "bad-1"))
    sandbox.raw_event(email, "bad-1", good("bad-1"))  # the same id, a new etag

`BROKEN` have no reading at all. `STRANGE` break Google's rules, yet what they say can be guessed.
`CORRUPT` are no JSON that every reader takes: a lone surrogate, nesting without end, endless text.
"""

import itertools
import json
from collections.abc import Callable
from typing import Any

Event = dict[str, Any]
Spoil = Callable[[Event], Any]

DESCRIPTION_BYTES = 10_000_000
DEPTH = 5_000
_etags = itertools.count(1)


def good_event(event_id: str, **changes: Any) -> Event:
    """A sound event of one hour; each call gives another etag."""
    number = next(_etags)
    return {
        "kind": "calendar#event",
        "etag": f'"{3_000_000_000_000_000 + number}"',
        "id": event_id,
        "status": "confirmed",
        "htmlLink": "https://calendar.example/event?eid=1",
        "created": "2026-01-05T08:00:00.000Z",
        "updated": "2026-01-05T08:00:00.000Z",
        "summary": f"Repaired {number}",
        "creator": {"email": "someone@sandbox.example"},
        "organizer": {"email": "someone@sandbox.example"},
        "start": {"dateTime": "2026-03-02T09:00:00Z", "timeZone": "UTC"},
        "end": {"dateTime": "2026-03-02T10:00:00Z", "timeZone": "UTC"},
        "iCalUID": f"{event_id}@sandbox.example",
        "sequence": 0,
        "reminders": {"useDefault": True},
        "eventType": "default",
        **changes,
    }


def good(event_id: str, **changes: Any) -> bytes:
    """A sound event as JSON."""
    return _json(good_event(event_id, **changes))


def malformed(name: str, event_id: str) -> bytes:
    """The event of this name in `ALL`, as JSON. Those without id ignore `event_id`."""
    if name in CORRUPT:
        return CORRUPT[name](event_id)
    return _json((BROKEN | STRANGE)[name](good_event(event_id)))


def _json(content: Any) -> bytes:
    return json.dumps(content).encode()


def _with(**changes: Any) -> Spoil:
    return lambda event: event | changes


def _without(*names: str) -> Spoil:
    return lambda event: {name: value for name, value in event.items() if name not in names}


def _times(start: Any, end: Any) -> Spoil:
    return _with(start=start, end=end)


def _clock(start: str, end: str, zone: str = "UTC") -> Spoil:
    return _times({"dateTime": start, "timeZone": zone}, {"dateTime": end, "timeZone": zone})


BROKEN: dict[str, Spoil] = {
    "no_start": _without("start"),
    "no_times": _without("start", "end"),
    "no_id": _without("id"),
    "null_start": _with(start=None),
    "empty_start": _with(start={}),
    "text_start": _with(start="2026-03-02T09:00:00Z"),
    "number_time": _times({"dateTime": 1_772_442_000}, {"dateTime": 1_772_445_600}),
    "words_time": _clock("next Tuesday", "a bit later"),
    "day_out_of_range": _times({"date": "2026-02-30"}, {"date": "2026-03-01"}),
    "year_zero": _clock("0000-01-01T00:00:00Z", "0000-01-01T01:00:00Z"),
    "year_minus_one": _times({"date": "-001-01-01"}, {"date": "-001-01-02"}),
    "ten_thousand_years": _times({"date": "2026-03-02"}, {"date": "12026-03-02"}),
    "number_id": _with(id=7),
    "null_id": _with(id=None),
    "array_summary": _with(summary=["one", "two"]),
    "object_description": _with(description={"text": "here"}),
    "number_location": _with(location=12.5),
    "text_attendees": _with(attendees="anna@sandbox.example"),
    "attendees_of_numbers": _with(attendees=[1, None, "x"]),
    "text_recurrence": _with(recurrence="RRULE:FREQ=DAILY"),
    "null": lambda _event: None,
    "number": lambda _event: 5,
    "text": lambda _event: "an event",
    "array": lambda event: [event],
    "empty": lambda _event: {},
}
STRANGE: dict[str, Spoil] = {
    "no_etag": _without("etag"),
    "no_end": _without("end"),
    "null_summary": _with(summary=None),
    "null_attendees": _with(attendees=None),
    "unknown_zone": _clock("2026-03-02T09:00:00Z", "2026-03-02T10:00:00Z", "Mars/Olympus"),
    "long_zone": _clock("2026-03-02T09:00:00Z", "2026-03-02T10:00:00Z", "Z" * 5_000),
    "path_zone": _clock("2026-03-02T09:00:00Z", "2026-03-02T10:00:00Z", "../../etc/passwd"),
    "end_before_start": _clock("2026-03-02T09:00:00Z", "2026-03-02T08:00:00Z"),
    "first_year": _clock("0001-01-01T00:00:00Z", "0001-01-01T01:00:00Z"),
    "first_year_east": _clock("0001-01-01T00:00:00+14:00", "0001-01-01T01:00:00+14:00"),
    "last_year": _times({"date": "9999-12-30"}, {"date": "9999-12-31"}),
    "last_year_west": _clock("9999-12-31T23:00:00-12:00", "9999-12-31T23:30:00-12:00"),
    "eight_thousand_years": _times({"date": "1001-01-01"}, {"date": "9001-01-01"}),
    "mixed_times": _times({"date": "2026-03-02"}, {"dateTime": "2026-03-02T10:00:00Z"}),
    "unknown_status": _with(status="perhaps"),
    "unknown_type": _with(eventType="séance"),
    "nul_characters": _with(summary="be\x00fore", description="\x00", location="\x00x"),
    "nul_in_id": lambda event: event | {"id": f"{event['id']}\x00"},
    "control_characters": _with(summary="\x1b[31mred\x07\u202eevil"),
    "long_summary": _with(summary="x" * 1_000_000),
    "long_id": lambda event: event | {"id": event["id"] * 500},
    "many_attendees": _with(attendees=[{"email": f"a{n}@b.example"} for n in range(20_000)]),
    "script_link": _with(htmlLink="javascript:alert(1)", hangoutLink="data:text/html,x"),
    "huge_number": _with(sequence=10**30),
    "unknown_fields": _with(surprise={"one": [1, 2, {"two": None}]}),
}


def _nested(event_id: str) -> bytes:
    inner = b'{"a":' * DEPTH + b"1" + b"}" * DEPTH
    whole = good_event(event_id, extendedProperties={"private": {"deep": "HERE"}})
    return _json(whole).replace(b'"HERE"', inner)


CORRUPT: dict[str, Callable[[str], bytes]] = {
    "long_description": lambda event_id: good(event_id, description="x" * DESCRIPTION_BYTES),
    "lone_surrogate": lambda event_id: good(event_id, summary="half \ud83d of a pair"),
    "surrogate_in_key": lambda event_id: good(
        event_id, extendedProperties={"private": {"\udc00": "x"}}
    ),
    "deeply_nested": _nested,
    "not_a_number": lambda event_id: good(event_id, sequence=float("nan")),
}
ALL = (*BROKEN, *STRANGE, *CORRUPT)
