"""The events of the prepared calendars, as each provider writes them: single ones, as long as those
of busy people, one in four with guests. All lie in the window that a first sync asks for.
"""

from __future__ import annotations

import datetime as dt
from functools import cache

import msgspec

GRAPH_PAGE = 500
OWNER = "bench@sandbox.example"
COLLECTION = (
    b"<response><href>%s</href><propstat><prop><resourcetype><collection/><C:calendar/>"
    b"</resourcetype><sync-token>urn:bench:1</sync-token><CS:getctag>1</CS:getctag>"
    b"<C:calendar-user-address-set><href>mailto:" + OWNER.encode() + b"</href>"
    b"</C:calendar-user-address-set><supported-report-set><supported-report><report>"
    b"<sync-collection/></report></supported-report></supported-report-set></prop>"
    b"<status>HTTP/1.1 200 OK</status></propstat></response>"
)
_SPREAD_MINUTES = 340 * 24 * 60
_DESCRIPTION = "Agenda\\n1. What is done\\, and by whom\\n2. What is next\\, until the day before"
_GUESTS = ("one@sandbox.example", "two@sandbox.example", OWNER)
_PEOPLE = f"ORGANIZER;CN=one:mailto:{_GUESTS[0]}\n" + "".join(
    f"ATTENDEE;CN={name.partition('@')[0]};PARTSTAT=ACCEPTED;ROLE=REQ-PARTICIPANT:mailto:{name}\n"
    for name in _GUESTS
)
_ZONE = """BEGIN:VTIMEZONE
TZID:Europe/Berlin
BEGIN:STANDARD
DTSTART:19701025T030000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
TZNAME:CET
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:19700329T020000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
TZNAME:CEST
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
END:DAYLIGHT
END:VTIMEZONE
"""


def object_path(size: int, number: int) -> str:
    """An object of the calendar with so many."""
    return f"/caldav/{size}/calendar/{number:032x}.ics"


def calendar_object(number: int) -> bytes:
    """With the zone in it, as every client writes it."""
    text = f"{_head()}{_ZONE}{_vevent(number)}END:VCALENDAR\n"
    return text.replace("\n", "\r\n").encode()


def feed(size: int, version: int) -> bytes:
    """A whole feed. Of its first version on, each changes another hundredth; the time at which it
    was made stands in every event, as it does at Google and Microsoft.
    """
    stamp = f"20260101T{version % 24:02}0000Z"
    events = []
    for number in range(size):
        changed = version - (version - number) % 100
        events.append(_vevent(number, changed if changed > 1 else 0, stamp))
    text = f"{_head()}X-WR-CALNAME:Work\n{_ZONE}{''.join(events)}END:VCALENDAR\n"
    return text.replace("\n", "\r\n").encode()


def escaped(text: bytes) -> bytes:
    """As the text of an XML element; a carriage return would be lost otherwise."""
    text = text.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;")
    return text.replace(b"\r", b"&#13;")


def graph_pages(size: int, root: str) -> list[bytes]:
    """The answers to calendarView/delta; `root` is that of the API."""
    link = f"{root}/me/calendars/primary@example.com/calendarView/delta?$skiptoken="
    pages = []
    for begin in range(0, size, GRAPH_PAGE):
        end = min(begin + GRAPH_PAGE, size)
        page = {
            "@odata.context": f"{root}/$metadata#Collection(event)",
            "value": [_graph_event(number) for number in range(begin, end)],
        }
        if end < size:
            page["@odata.nextLink"] = f"{link}{end // GRAPH_PAGE}"
        else:
            page["@odata.deltaLink"] = f"{link}0"
        pages.append(msgspec.json.encode(page))
    return pages


@cache
def _first() -> dt.datetime:
    now = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)
    return now - dt.timedelta(days=20)


def _start(number: int) -> dt.datetime:
    return _first() + dt.timedelta(minutes=number * 5 % _SPREAD_MINUTES)


def _head() -> str:
    return "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//Bench//EN\n"


def _vevent(number: int, changed: int = 0, stamp: str = "20260101T000000Z") -> str:
    start = _start(number)
    end = start + dt.timedelta(hours=1)
    people = "" if number % 4 else _PEOPLE
    return (
        f"BEGIN:VEVENT\nUID:{number:032x}\nDTSTAMP:{stamp}\nCREATED:20260101T080000Z\n"
        f"LAST-MODIFIED:20260102T080000Z\nSEQUENCE:{changed}\n"
        f"DTSTART;TZID=Europe/Berlin:{start:%Y%m%dT%H%M%S}\n"
        f"DTEND;TZID=Europe/Berlin:{end:%Y%m%dT%H%M%S}\n"
        f"SUMMARY:Meeting {number} about version {changed}\nDESCRIPTION:{_DESCRIPTION}\n"
        f"LOCATION:Room {number % 40}\\, second floor\nSTATUS:CONFIRMED\nTRANSP:OPAQUE\n"
        f"{people}END:VEVENT\n"
    )


def _graph_event(number: int) -> dict[str, object]:
    """All that Graph says of an event: much of it is nothing to us."""
    start = _start(number)
    key = f"AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0A{number:064x}"

    def moment(at: dt.datetime) -> dict[str, str]:
        return {"dateTime": f"{at:%Y-%m-%dT%H:%M:%S}.0000000", "timeZone": "UTC"}

    def person(address: str) -> dict[str, str]:
        return {"name": address.partition("@")[0], "address": address}

    return {
        "@odata.etag": f'W/"{number:024x}"', "id": key,
        "createdDateTime": "2026-01-01T08:00:00.0000000Z",
        "lastModifiedDateTime": "2026-01-02T08:00:00.0000000Z",
        "changeKey": f"{number:024x}", "categories": [], "transactionId": None,
        "originalStartTimeZone": "W. Europe Standard Time",
        "originalEndTimeZone": "W. Europe Standard Time", "iCalUId": f"04{number:080x}",
        "uid": f"04{number:080x}", "reminderMinutesBeforeStart": 15, "isReminderOn": True,
        "hasAttachments": False, "subject": f"Meeting {number}", "bodyPreview": "Agenda",
        "importance": "normal", "sensitivity": "normal", "isAllDay": False, "isCancelled": False,
        "isOrganizer": True, "responseRequested": True, "seriesMasterId": None, "showAs": "busy",
        "type": "singleInstance", "webLink": f"https://outlook.office365.com/owa/?itemid={key}",
        "onlineMeetingUrl": None, "isOnlineMeeting": False, "onlineMeetingProvider": "unknown",
        "allowNewTimeProposals": True, "occurrenceId": None, "isDraft": False,
        "hideAttendees": False,
        "responseStatus": {"response": "organizer", "time": "0001-01-01T00:00:00Z"},
        "body": {
            "contentType": "text",
            "content": _DESCRIPTION.replace("\\n", "\r\n").replace("\\", ""),
        },
        "start": moment(start), "end": moment(start + dt.timedelta(hours=1)),
        "location": {
            "displayName": f"Room {number % 40}", "locationType": "default",
            "uniqueIdType": "unknown", "address": {}, "coordinates": {},
        },
        "locations": [], "recurrence": None,
        "attendees": [
            {
                "type": "required",
                "status": {"response": "accepted", "time": "2026-01-01T09:00:00Z"},
                "emailAddress": person(name),
            }
            for name in (_GUESTS if number % 4 == 0 else ())
        ],
        "organizer": {"emailAddress": person(OWNER)}, "onlineMeeting": None,
    }  # fmt: skip
