"""The people's side: what is in the calendars, what was allowed, and ordering trouble by hand."""

import base64
import binascii
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from providers.sandbox import trouble
from providers.sandbox.google import resources, store, times
from providers.sandbox.google.access import ROLES
from providers.sandbox.google.errors import GoogleError
from providers.sandbox.google.store import Change
from providers.sandbox.kinds import KINDS, TARGETS
from providers.sandbox.microsoft import scopes as microsoft_scopes
from providers.sandbox.models import Account, CalendarEntry, Consent, Event
from providers.sandbox.oauth.grants import end_consent
from providers.sandbox.oauth.scopes import SCOPES

_SHOWN = 60
_DESCRIPTIONS = SCOPES | microsoft_scopes.SCOPES


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """What this is, the people, the grants, the troubles."""
    consents = Consent.objects.select_related("account", "application")
    context = {
        "accounts": Account.objects.prefetch_related("entries__calendar"),
        "grants": [
            (each, [_DESCRIPTIONS.get(s, s) for s in each.scopes.split()]) for each in consents
        ],
        "troubles": trouble.listed(),
        "kinds": {name: kind.text for name, kind in KINDS.items() if not kind.needs},
        "targets": TARGETS,
    }
    return render(request, "sandbox/home.html", context)


@require_GET
def person(request: HttpRequest, email: str) -> HttpResponse:
    """A person's calendars."""
    account = get_object_or_404(Account, email=email)
    entries = account.entries.select_related("calendar").filter(deleted=False)
    return render(request, "sandbox/person.html", {"account": account, "entries": entries})


@require_GET
def calendar(request: HttpRequest, email: str, calendar_id: str) -> HttpResponse:
    """The next events of a calendar, each with its forms."""
    return _calendar_page(request, _entry(email, calendar_id))


@require_POST
def add(request: HttpRequest, email: str, calendar_id: str) -> HttpResponse:
    """Add an event from the form: `summary`, `day`, `clock`, `minutes`, `weekly`."""
    entry = _writable(email, calendar_id)
    try:
        fields = _fields_of_form(request, entry)
        store.insert(entry.calendar, fields, Change(actor=email))
    except (ValueError, GoogleError) as error:
        return _calendar_page(request, entry, problem=str(error), status=400)
    return redirect("calendar", email=email, calendar_id=calendar_id)


@require_POST
def change(request: HttpRequest, email: str, calendar_id: str, event_id: str) -> HttpResponse:
    """`action`: `rename` (with `summary`), `later`, `earlier` or `delete`."""
    entry = _writable(email, calendar_id)
    action, by = request.POST.get("action"), Change(actor=email)
    try:
        if action == "rename":
            summary = request.POST.get("summary", "").strip()
            store.patch(entry.calendar, event_id, {"summary": summary or None}, by)
        elif action in {"later", "earlier"}:
            home_ = resources.home_of(entry.calendar)
            resource = store.loads(store.get(entry.calendar, event_id))
            hours = timedelta(hours=1 if action == "later" else -1)
            store.patch(entry.calendar, event_id, resources.moved(home_, resource, hours), by)
        elif action == "delete":
            store.delete(entry.calendar, event_id, by)
    except GoogleError as error:
        return _calendar_page(request, entry, problem=str(error), status=400)
    return redirect("calendar", email=email, calendar_id=calendar_id)


@require_POST
def revoke(_request: HttpRequest, consent: int) -> HttpResponse:
    """Take access back from an application, as on the providers' pages of connections."""
    found = get_object_or_404(Consent.objects.select_related("account", "application"), pk=consent)
    end_consent(found)
    return HttpResponseRedirect("/#grants")


@require_POST
def order_trouble(request: HttpRequest) -> HttpResponse:
    """Order a trouble from the form."""
    form = request.POST
    count = form.get("times", "1")
    times_ = int(count) if count.isdecimal() and count != "0" else None
    try:
        trouble.order(trouble.Trouble(form.get("kind", ""), form.get("target", ""), times=times_))
    except ValueError:
        return HttpResponse("This trouble does not exist for this target.", status=400)
    return HttpResponseRedirect("/#trouble")


@require_POST
def clear_troubles(_request: HttpRequest) -> HttpResponse:
    """End all troubles."""
    trouble.clear()
    return HttpResponseRedirect("/#trouble")


@require_GET
def event_link(request: HttpRequest) -> HttpResponse:
    """The page behind an event's `htmlLink`: the raw resource, readable."""
    eid = request.GET.get("eid", "")
    try:
        text = base64.urlsafe_b64decode(eid + "=" * (-len(eid) % 4)).decode()
    except (binascii.Error, ValueError):
        raise Http404 from None
    event_id, _, calendar_id = text.partition(" ")
    event = get_object_or_404(Event, event_id=event_id, calendar__google_id=calendar_id)
    if event.kind == Event.RAW:
        body = event.body
    else:
        body = orjson.dumps(orjson.loads(event.body), option=orjson.OPT_INDENT_2).decode()
    return render(request, "sandbox/event.html", {"body": body, "calendar_id": calendar_id})


def csrf_failure(request: HttpRequest, **_details: str) -> HttpResponse:
    """A form that was too old, or came from elsewhere."""
    description = (
        "This form is too old or came from another site. Go back, reload the page and try again."
    )
    context = {"reason": "form_expired", "description": description}
    return render(request, "sandbox/refused.html", context, status=403)


def _entry(email: str, calendar_id: str) -> CalendarEntry:
    return get_object_or_404(
        CalendarEntry.objects.select_related("calendar__owner", "account"),
        account__email=email,
        calendar__google_id=calendar_id,
        deleted=False,
    )


def _writable(email: str, calendar_id: str) -> CalendarEntry:
    entry = _entry(email, calendar_id)
    if ROLES.index(entry.access_role) < 2:
        raise Http404
    return entry


def _calendar_page(
    request: HttpRequest, entry: CalendarEntry, problem: str = "", status: int = 200
) -> HttpResponse:
    zone = times.zone_of(entry.calendar.time_zone)
    now = datetime.now(UTC)
    rows = (
        entry.calendar.events.exclude(kind__in=(Event.MASTER, Event.RAW))
        .exclude(status="cancelled")
        .filter(ends__gt=int(now.timestamp()))
        .order_by("starts", "pk")[:_SHOWN]
    )
    context = {
        "entry": entry,
        "events": [_shown(row, entry, zone) for row in rows],
        "may_write": ROLES.index(entry.access_role) >= 2,
        "tomorrow": (now.astimezone(zone) + timedelta(days=1)).date().isoformat(),
        "problem": problem,
    }
    return render(request, "sandbox/calendar.html", context, status=status)


def _shown(row: Event, entry: CalendarEntry, zone: Any) -> dict[str, Any]:
    sees = {"freeBusyReader": "busy", "reader": "public"}.get(entry.access_role, "all")
    resource = resources.reduced(store.loads(row), sees)
    start, end = (datetime.fromtimestamp(at, zone) for at in (row.starts, row.ends))
    whole_day = "date" in resource["start"]
    return {
        "id": row.event_id,
        "summary": resource.get("summary", "(no title)" if sees == "all" else "Busy"),
        "title": resource.get("summary", ""),
        "day": f"{start:%a %d %b %Y}",
        "clock": "all day" if whole_day else f"{start:%H:%M} to {end:%H:%M}",
        "series": bool(row.series_id),
        "location": resource.get("location", ""),
    }


def _fields_of_form(request: HttpRequest, entry: CalendarEntry) -> dict[str, Any]:
    form, zone_name = request.POST, entry.calendar.time_zone
    start = datetime.fromisoformat(f"{form.get('day', '')}T{form.get('clock', '')}")
    end = start + timedelta(minutes=int(form.get("minutes", "60")))
    fields: dict[str, Any] = {
        "summary": form.get("summary", "").strip() or "New event",
        "start": {"dateTime": start.isoformat(), "timeZone": zone_name},
        "end": {"dateTime": end.isoformat(), "timeZone": zone_name},
    }
    if form.get("weekly"):
        fields["recurrence"] = ["RRULE:FREQ=WEEKLY"]
    return fields
