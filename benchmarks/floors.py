"""The floors of the other providers: their bytes over one kept connection, parsed by a library that
is kept by others, copied into the same table. As in `benchmarks.floor`, nothing else.

iCalendar text is read by the package icalendar, the one parser of it that is kept. It knows more
than the floor asks for and is slow, so `plain` is a second floor: lines cut at their colons.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from itertools import islice
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import icalendar
import msgspec
import urllib3
from lxml import etree

from benchmarks.floor import Base, Details, Guest
from providers.caldav.collection import BATCH
from providers.caldav.multistatus import CALDAV, DAV, multiget, propfind

T = TypeVar("T")
Row = tuple[Any, ...]
Block = tuple[str, str, str]
Parser = Callable[[Block], Row]

# What one commit holds where the provider has no pages that say it: as many as a page of Google's.
COMMIT = 2500
_encode = msgspec.json.Encoder().encode
_EVENT = re.compile(r"^BEGIN:VEVENT$.*?^END:VEVENT\n", re.MULTILINE | re.DOTALL)
_UID = re.compile(r"^UID:(.*)$", re.MULTILINE)
_STAMP = re.compile(r"^DTSTAMP:.*\n", re.MULTILINE)
_ESCAPED = re.compile(r"\\(.)")
_zones: dict[str, ZoneInfo] = {}


class _Named(Base):
    address: str = ""
    name: str = ""


class _Person(Base):
    email_address: _Named | None = None


class _Said(Base):
    response: str = ""


class _Attendee(Base):
    status: _Said | None = None
    email_address: _Named | None = None


class _Moment(Base):
    date_time: dt.datetime


class _Body(Base):
    content: str = ""


class _Place(Base):
    display_name: str = ""


class _Item(Base):
    """In the order in which Graph sends them."""

    start: _Moment
    end: _Moment
    etag: str = msgspec.field(default="", name="@odata.etag")
    id: str = ""
    created_date_time: str = ""
    last_modified_date_time: dt.datetime | None = None
    original_start_time_zone: str = ""
    ical_uid: str = msgspec.field(default="", name="iCalUId")
    subject: str = ""
    sensitivity: str = ""
    is_organizer: bool = False
    show_as: str = ""
    web_link: str = ""
    body: _Body | None = None
    location: _Place | None = None
    attendees: list[_Attendee] = []
    organizer: _Person | None = None


class _Page(Base):
    value: list[_Item] = []
    next_link: str = msgspec.field(default="", name="@odata.nextLink")


_decode = msgspec.json.Decoder(_Page).decode


def graph_rows(http: urllib3.PoolManager, url: str, token: str) -> Iterator[list[Row]]:
    """The rows of each page."""
    headers = {"Authorization": f"Bearer {token}", "Prefer": "odata.maxpagesize=500"}
    while url:
        page = _decode(http.request("GET", url, headers=headers).data)
        yield list(map(_graph_row, page.value))
        url = page.next_link


def _graph_row(item: _Item) -> Row:
    organizer = item.organizer.email_address if item.organizer else None
    guests = [
        Guest(
            email=guest.email_address.address,
            display_name=guest.email_address.name,
            response_status=guest.status.response if guest.status else "",
        )
        for guest in item.attendees
        if guest.email_address
    ]
    details = Details(item.created_date_time, item.web_link, "", item.is_organizer)
    return (
        item.id, item.etag, "confirmed", "default", item.subject,
        item.body.content if item.body else "", item.location.display_name if item.location else "",
        item.start.date_time.replace(tzinfo=dt.UTC), item.end.date_time.replace(tzinfo=dt.UTC),
        False, None, None, "Europe/Berlin", item.show_as == "busy", "default", item.ical_uid, "",
        "", organizer.address if organizer else "", "", _encode(guests).decode(),
        _encode(details).decode(), item.last_modified_date_time,
    )  # fmt: skip


def caldav_blocks(http: urllib3.PoolManager, url: str) -> Iterator[Block]:
    """Id, version and text of each object, by the requests that the adapter makes."""
    names = [f"{DAV}getetag", f"{DAV}resourcetype", f"{DAV}getcontenttype"]
    members = _members(http, "PROPFIND", url, propfind(names))
    hrefs = [href for href, _, _ in members if href.endswith(".ics")]
    for several in _batched(hrefs, BATCH):
        yield from _members(http, "REPORT", url, multiget(several))


def _members(http: urllib3.PoolManager, method: str, url: str, body: bytes) -> Iterator[Block]:
    headers = {"Depth": "1", "Content-Type": "application/xml; charset=utf-8"}
    answer = http.request(method, url, headers=headers, body=body)
    prop = f"{DAV}propstat/{DAV}prop"
    for member in etree.fromstring(answer.data).iterfind(f"{DAV}response"):
        found = member.find(prop)
        assert found is not None
        yield (
            member.findtext(f"{DAV}href") or "",
            found.findtext(f"{DAV}getetag") or "",
            found.findtext(f"{CALDAV}calendar-data") or "",
        )


def feed_blocks(http: urllib3.PoolManager, url: str) -> Iterator[Block]:
    """Id, version and text of each event of a feed: what it says is its version."""
    text = http.request("GET", url).data.decode()
    for block in _EVENT.findall(text.replace("\r\n", "\n").replace("\n ", "")):
        uid = _UID.search(block)
        assert uid is not None
        yield uid[1], sha256(_STAMP.sub("", block).encode()).hexdigest(), block


def kept(block: Block) -> Row:
    """By the package icalendar."""
    key, etag, text = block
    parsed = icalendar.Component.from_ical(text)
    found: list[Any] = parsed.walk("VEVENT")
    [event] = found
    guests = event.get("ATTENDEE", [])
    organizer = event.get("ORGANIZER")
    details = Details(created=event["CREATED"].dt.isoformat())
    return (
        key, etag, str(event["STATUS"]).lower(), "default", str(event["SUMMARY"]),
        str(event["DESCRIPTION"]), str(event["LOCATION"]), event["DTSTART"].dt, event["DTEND"].dt,
        False, None, None, str(event["DTSTART"].params["TZID"]), event["TRANSP"] == "OPAQUE",
        "default", str(event["UID"]), "", "", str(organizer)[7:] if organizer else "", "",
        _encode([
            Guest(
                email=str(guest)[7:],
                display_name=str(guest.params["CN"]),
                response_status=str(guest.params["PARTSTAT"]).lower(),
            )
            for guest in guests
        ]).decode(),
        _encode(details).decode(), event["LAST-MODIFIED"].dt,
    )  # fmt: skip


def plain(block: Block) -> Row:
    """By hand, and only right for what the benchmark's own server writes."""
    key, etag, text = block
    said: dict[str, str] = {}
    guests = []
    at = text.index("BEGIN:VEVENT")
    for line in text[at:].splitlines():
        name, _, value = line.partition(":")
        name, _, parameters = name.partition(";")
        if name == "ATTENDEE":
            given = dict(each.split("=") for each in parameters.split(";"))
            guests.append(
                Guest(
                    email=value[7:],
                    display_name=given["CN"],
                    response_status=given["PARTSTAT"].lower(),
                )
            )
        else:
            said[name] = value
            if name == "DTSTART":
                said["TZID"] = parameters[5:]
    zone = _zones.get(said["TZID"]) or _zones.setdefault(said["TZID"], ZoneInfo(said["TZID"]))
    return (
        key, etag, said["STATUS"].lower(), "default", said["SUMMARY"], _text(said["DESCRIPTION"]),
        _text(said["LOCATION"]), dt.datetime.fromisoformat(said["DTSTART"]).replace(tzinfo=zone),
        dt.datetime.fromisoformat(said["DTEND"]).replace(tzinfo=zone), False, None, None,
        said["TZID"], said["TRANSP"] == "OPAQUE", "default", said["UID"], "", "",
        said.get("ORGANIZER", "")[7:], "", _encode(guests).decode(),
        _encode(Details(created=said["CREATED"])).decode(),
        dt.datetime.fromisoformat(said["LAST-MODIFIED"]),
    )  # fmt: skip


def _text(value: str) -> str:
    return _ESCAPED.sub(lambda found: "\n" if found[1] in "nN" else found[1], value)


def rows_of(blocks: Iterable[Block], parser: Parser) -> Iterator[list[Row]]:
    """Rows in lots of one commit."""
    for several in _batched(blocks, COMMIT):
        yield list(map(parser, several))


def _batched(items: Iterable[T], number: int) -> Iterator[list[T]]:
    """As Python's own from 3.12 on."""
    iterator = iter(items)
    while several := list(islice(iterator, number)):
        yield several
