"""`users/me/calendarList` and `calendars/{id}`."""

from typing import Any

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from providers.sandbox import switches
from providers.sandbox.google.access import (
    READ_CALENDAR,
    READ_ENTRY,
    READ_LIST,
    ROLES,
    Call,
    answer_json,
    method,
)
from providers.sandbox.google.errors import GoogleError, invalid
from providers.sandbox.google.parameters import flag, number
from providers.sandbox.google.tokens import (
    Page,
    page_token,
    read_page_token,
    read_sync_token,
    shape_of,
    sync_token,
)
from providers.sandbox.models import CalendarEntry

_CONFERENCES = {"allowedConferenceSolutionTypes": ["hangoutsMeet"]}


@method(READ_LIST)
def calendar_list(call: Call) -> HttpResponse:
    """calendarList.list: at most 250 a page; with `syncToken` the changed ones, also deleted."""
    query, scope = call.request.GET, f"list:{call.account.pk}"
    size = switches.page_size(number(query, "maxResults", 100), 250)
    shape = shape_of(query.lists())
    entries = CalendarEntry.objects.select_related("calendar", "calendar__owner").filter(
        account=call.account
    )
    if "syncToken" in query:
        _forbid_with_token(call)
        since = read_sync_token(query["syncToken"], scope, call.account.list_seq)
        entries = entries.filter(seq__gt=since)
    else:
        if not flag(query, "showDeleted", False):
            entries = entries.filter(deleted=False)
        if not flag(query, "showHidden", False):
            entries = entries.filter(hidden=False)
        if least := query.get("minAccessRole"):
            if least not in ROLES:
                raise invalid("Invalid value for minAccessRole.", "minAccessRole")
            entries = entries.filter(access_role__in=ROLES[ROLES.index(least) :])
    page = Page(seq=call.account.list_seq, after=(0,), shape=shape)
    if "pageToken" in query:
        page = read_page_token(query["pageToken"], scope, shape)
    found = list(entries.filter(pk__gt=page.after[0]).order_by("pk")[: size + 1])
    listing: dict[str, Any] = {"kind": "calendar#calendarList", "etag": f'"p{page.seq}"'}
    if len(found) > size:
        after = Page(seq=page.seq, after=(found[size - 1].pk,), shape=shape)
        listing["nextPageToken"] = page_token(scope, after)
    else:
        listing["nextSyncToken"] = sync_token(scope, page.seq)
    return answer_json(listing | {"items": [entry_resource(entry) for entry in found[:size]]})


@require_GET
@method(READ_ENTRY)
def calendar_list_entry(call: Call, calendar_id: str) -> HttpResponse:
    """calendarList.get."""
    return answer_json(entry_resource(call.entry(calendar_id)))


@method(READ_CALENDAR)
def calendar(call: Call, calendar_id: str) -> HttpResponse:
    """calendars.get."""
    entry = call.entry(calendar_id)
    resource = {
        "kind": "calendar#calendar",
        "etag": f'"c{entry.seq}"',
        "id": entry.calendar.google_id,
        "summary": entry.calendar.summary,
        "timeZone": entry.calendar.time_zone,
        "conferenceProperties": _CONFERENCES,
    }
    if entry.calendar.description:
        resource["description"] = entry.calendar.description
    return answer_json(resource)


def entry_resource(entry: CalendarEntry) -> dict[str, Any]:
    """Google's CalendarListEntry."""
    calendar = entry.calendar
    resource: dict[str, Any] = {
        "kind": "calendar#calendarListEntry",
        "etag": f'"{1_700_000_000_000 + entry.seq}"',
        "id": calendar.google_id,
    }
    if entry.deleted:
        return resource | {"deleted": True, "accessRole": entry.access_role}
    resource |= {
        "summary": calendar.summary,
        "timeZone": calendar.time_zone,
        "colorId": entry.color_id,
        "backgroundColor": entry.background_color,
        "foregroundColor": "#000000",
        "accessRole": entry.access_role,
        "defaultReminders": [{"method": "popup", "minutes": 10}] if entry.primary else [],
        "conferenceProperties": _CONFERENCES,
    }
    if calendar.description:
        resource["description"] = calendar.description
    if entry.summary_override:
        resource["summaryOverride"] = entry.summary_override
    for name in ("primary", "selected", "hidden"):
        if getattr(entry, name):
            resource[name] = True
    if not entry.primary:
        resource["dataOwner"] = calendar.owner.email
    return resource


def _forbid_with_token(call: Call) -> None:
    query = call.request.GET
    wrong = [name for name in ("minAccessRole", "showOwnOrganizationOnly") if name in query]
    wrong += [n for n in ("showDeleted", "showHidden") if not flag(query, n, True)]
    if wrong:
        raise GoogleError(400, "badRequest", f"{wrong[0]} cannot be used together with syncToken.")
