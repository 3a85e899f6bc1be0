"""Drafts and changes as Graph's JSON. Pure: no request, no clock.

https://learn.microsoft.com/graph/api/resources/event
"""

from __future__ import annotations

import datetime as dt
import html
from typing import Any, TypeVar

from msgspec import UNSET, UnsetType

from providers.base import RemoteAttendee
from providers.microsoft.recurrence import pattern_of
from providers.microsoft.zones import iana_name, windows_name, zone
from providers.writing import EventChanges, EventDraft

Json = dict[str, Any]
T = TypeVar("T")

TEAMS: Json = {"isOnlineMeeting": True, "onlineMeetingProvider": "teamsForBusiness"}
_SENSITIVITIES = {"private": "private", "confidential": "confidential"}
# What Teams puts between a description and how to join.
_RULE = "_" * 20


def from_draft(draft: EventDraft) -> Json:
    """The body of a request that makes an event. Raises UnsupportedRecurrence.

    The transaction id makes one event of a request that is sent twice.
    """
    body = _plain(draft) | when(
        draft.start_at,
        draft.end_at,
        draft.start_date,
        draft.end_date,
        time_zone=draft.time_zone,
        repeats=bool(draft.recurrence),
    )
    if draft.recurrence:
        body["recurrence"] = _pattern(draft.recurrence, body)
    return body | {"transactionId": draft.id} | (TEAMS if draft.meeting else {})


def from_changes(changes: EventChanges, present: Json) -> Json:
    """The body of a change, of an event that has the times `present`: what `when` gives. What the
    change makes of a meeting is not in it. Raises UnsupportedRecurrence.
    """
    body = _plain(changes)
    given = (changes.start_at, changes.end_at, changes.time_zone)
    if any(value is not UNSET for value in given):
        body |= _moved(changes, present)
    if changes.recurrence is not UNSET:
        times = present | body
        body["recurrence"] = _pattern(changes.recurrence, times) if changes.recurrence else None
    return body


def when(
    start_at: dt.datetime,
    end_at: dt.datetime,
    start_date: dt.date | None,
    end_date: dt.date | None,
    *,
    time_zone: str,
    repeats: bool = False,
) -> Json:
    """`start`, `end` and `isAllDay`; `time_zone` is IANA or empty.

    Windows' name of the zone is sent where there is one: Graph promises those. A wall clock that
    the zone shows twice is sent in UTC, and so is a zone without such a name. A series needs its
    zone, so it is sent under the name that we have.
    """
    name = windows_name(time_zone) or (time_zone if repeats and zone(time_zone) else "UTC")
    if start_date is not None and end_date is not None:
        return {
            "start": {"dateTime": f"{start_date}T00:00:00", "timeZone": name},
            "end": {"dateTime": f"{end_date}T00:00:00", "timeZone": name},
            "isAllDay": True,
        }
    there = zone(time_zone) or dt.UTC
    walls = [moment.astimezone(there).replace(tzinfo=None, fold=0) for moment in (start_at, end_at)]
    told = [wall.replace(tzinfo=there).astimezone(dt.UTC) for wall in walls]
    if name == "UTC" or (not repeats and told != [start_at, end_at]):
        name = "UTC"
        walls = [moment.astimezone(dt.UTC).replace(tzinfo=None) for moment in (start_at, end_at)]
    first, last = ({"dateTime": wall.isoformat(), "timeZone": name} for wall in walls)
    return {"start": first, "end": last, "isAllDay": False}


def body_of(description: str, *, present: str = "", join_url: str = "") -> Json:
    """A description. `present` is the HTML of a meeting's body: how to join stays in it, because
    Outlook knows the meeting by that. A description that says how to join is taken as it is.
    """
    rule = present.find(_RULE)
    if rule < 0 or (join_url and join_url in description):
        return {"contentType": "text", "content": description}
    begin = max(present.rfind(tag, 0, rule) for tag in ("<div", "<p", "<body"))
    told = html.escape(description, quote=False).replace("\n", "<br>\n")
    return {"contentType": "html", "content": f"<div>{told}</div>\n{present[max(begin, 0) :]}"}


def _plain(event: EventDraft | EventChanges) -> Json:
    body: Json = {}
    if event.title is not UNSET:
        body["subject"] = event.title
    if event.description is not UNSET:
        body["body"] = body_of(event.description)
    if event.location is not UNSET:
        body["location"] = {"displayName": event.location}
    if event.busy is not UNSET:
        body["showAs"] = "busy" if event.busy else "free"
    if event.visibility is not UNSET:
        body["sensitivity"] = _SENSITIVITIES.get(event.visibility, "normal")
    if event.attendees is not UNSET:
        body["attendees"] = [_attendee(guest) for guest in event.attendees if not guest.organizer]
    return body


def _moved(changes: EventChanges, present: Json) -> Json:
    """New times, a new zone, or both: what is not given is as it was."""
    zone_name = _given(changes.time_zone, iana_name(present["start"]["timeZone"]))
    if changes.start_at is UNSET or changes.end_at is UNSET:
        first, last = (_instant(present[name]) for name in ("start", "end"))
        if not present["isAllDay"]:
            return when(first, last, None, None, time_zone=zone_name)
        days = [dt.date.fromisoformat(present[name]["dateTime"][:10]) for name in ("start", "end")]
        return when(first, last, *days, time_zone=zone_name)
    return when(
        changes.start_at,
        changes.end_at,
        _given(changes.start_date, None),
        _given(changes.end_date, None),
        time_zone=zone_name,
    )


def _given(value: T | UnsetType, otherwise: T) -> T:
    return otherwise if isinstance(value, UnsetType) else value


def _instant(moment: Json) -> dt.datetime:
    wall = dt.datetime.fromisoformat(moment["dateTime"][:26])
    there = zone(iana_name(moment["timeZone"])) or dt.UTC
    return wall.replace(tzinfo=there).astimezone(dt.UTC)


def _pattern(lines: tuple[str, ...], times: Json) -> Json:
    first = times["start"]
    start = dt.datetime.fromisoformat(first["dateTime"][:26])
    return pattern_of(lines, start=start, time_zone=first["timeZone"])


def _attendee(guest: RemoteAttendee) -> Json:
    kind = "resource" if guest.resource else "optional" if guest.optional else "required"
    address = {"address": guest.email} | ({"name": guest.name} if guest.name else {})
    return {"type": kind, "emailAddress": address}
