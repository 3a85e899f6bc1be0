"""The event methods: list, get, insert, patch, update, delete."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.views.decorators.csrf import csrf_exempt

from providers.sandbox.google import store
from providers.sandbox.google.access import (
    JSON,
    READ_EVENTS,
    ROLES,
    WRITE_EVENTS,
    Call,
    answer_json,
    method,
)
from providers.sandbox.google.errors import GoogleError, invalid, not_found
from providers.sandbox.google.listing import list_events
from providers.sandbox.google.resources import reduced
from providers.sandbox.google.store import Change
from providers.sandbox.models import CalendarEntry, Event

_SEND_UPDATES = frozenset({"all", "externalOnly", "none"})


@csrf_exempt
def collection(request: HttpRequest, calendar_id: str) -> HttpResponseBase:
    """`calendars/{id}/events`: GET lists, POST inserts."""
    if request.method == "GET":
        return _list(request, calendar_id)
    if request.method == "POST":
        return _insert(request, calendar_id)
    return HttpResponseNotAllowed(["GET", "POST"])


@csrf_exempt
def item(request: HttpRequest, calendar_id: str, event_id: str) -> HttpResponseBase:
    """`calendars/{id}/events/{eventId}`: GET, PATCH, PUT, DELETE."""
    if request.method == "GET":
        return _get(request, calendar_id, event_id)
    if request.method in {"PATCH", "PUT"}:
        return _change(request, calendar_id, event_id)
    if request.method == "DELETE":
        return _delete(request, calendar_id, event_id)
    return HttpResponseNotAllowed(["GET", "PATCH", "PUT", "DELETE"])


@method(READ_EVENTS)
def _list(call: Call, calendar_id: str) -> HttpResponse:
    entry = call.entry(calendar_id)
    store.settle(entry.calendar)
    entry.calendar.refresh_from_db(fields=["last_seq"])
    return list_events(call, entry)


@method(READ_EVENTS)
def _get(call: Call, calendar_id: str, event_id: str) -> HttpResponse:
    entry = call.entry(calendar_id)
    row = store.get(entry.calendar, event_id)
    if row.kind != Event.RAW:
        store.settle(entry.calendar, event_id)
        row.refresh_from_db()
    if row.kind == Event.RAW:
        return HttpResponse(row.body, content_type=JSON)
    resource = store.loads(row)
    if call.request.headers.get("If-None-Match") == resource["etag"]:
        return HttpResponse(status=304, headers={"ETag": resource["etag"]})
    return _answer(reduced(resource, call.sees(entry)))


@method(WRITE_EVENTS)
def _insert(call: Call, calendar_id: str) -> HttpResponse:
    entry = _writable(call, calendar_id)
    made = store.insert(entry.calendar, call.body(), _change_of(call))
    return _answer(reduced(made, call.sees(entry)))


@method(WRITE_EVENTS)
def _change(call: Call, calendar_id: str, event_id: str) -> HttpResponse:
    entry = _writable(call, calendar_id)
    write = store.patch if call.request.method == "PATCH" else store.replace
    changed = write(entry.calendar, event_id, call.body(), _change_of(call))
    return _answer(reduced(changed, call.sees(entry)))


@method(WRITE_EVENTS)
def _delete(call: Call, calendar_id: str, event_id: str) -> HttpResponse:
    store.delete(_writable(call, calendar_id).calendar, event_id, _change_of(call))
    return HttpResponse(status=204)


@csrf_exempt
def not_here(_request: HttpRequest, **_where: str) -> HttpResponse:
    """Any other path under `/calendar/v3/`."""
    return not_found().response()


def _answer(resource: dict[str, object]) -> HttpResponse:
    response = answer_json(resource)
    response["ETag"] = str(resource["etag"])
    return response


def _change_of(call: Call) -> Change:
    query = call.request.GET
    if (updates := query.get("sendUpdates")) is not None:
        if updates not in _SEND_UPDATES:
            raise invalid(f"Invalid value for sendUpdates: {updates!r}.", "sendUpdates")
        call.request.META["sandbox.noted"] = {"send_updates": updates}  # for the request log
    version = query.get("conferenceDataVersion", "0")
    if version not in {"0", "1"}:
        message = f"Invalid value for conferenceDataVersion: {version!r}."
        raise invalid(message, "conferenceDataVersion")
    return Change(
        actor=call.account.email,
        conference=version == "1",
        if_match=call.request.headers.get("If-Match"),
    )


def _writable(call: Call, calendar_id: str) -> CalendarEntry:
    entry = call.entry(calendar_id)
    if ROLES.index(entry.access_role) < ROLES.index("writerWithoutPrivateAccess"):
        message = "You need to have writer access to this calendar."
        raise GoogleError(403, "requiredAccessLevel", message, domain="calendar")
    return entry
