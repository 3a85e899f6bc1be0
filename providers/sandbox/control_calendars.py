"""The control API for tests: the calendars of an account come, change and go."""

from django.db import transaction
from django.db.models import F
from django.http import HttpRequest

from providers.sandbox.control import Json, account_called, controls
from providers.sandbox.control_events import calendar_called
from providers.sandbox.models import Account, Calendar, CalendarEntry
from providers.sandbox.seed.people import add_calendar
from providers.sandbox.seed.plain import add_plain_events

_OF_ENTRIES = ("hidden", "deleted", "access_role")


@controls("POST")
def collection(_request: HttpRequest, body: Json, email: str) -> Json:
    """`{summary, events?: N}`: a new calendar of the account, with N plain events."""
    with transaction.atomic():
        calendar = add_calendar(account_called(email), summary=body["summary"])
        add_plain_events(calendar, int(body.get("events", 0)))
    return {"id": calendar.google_id}


@controls("PATCH")
def item(_request: HttpRequest, body: Json, calendar_id: str) -> Json:
    """`{summary?, hidden?, deleted?, access_role?}`: in the list of everybody who has it.

    What is deleted is not found any more, until `{deleted: false}`.
    """
    calendar = calendar_called(calendar_id)
    with transaction.atomic():
        if "summary" in body:
            Calendar.objects.filter(pk=calendar.pk).update(summary=body["summary"])
        changes = {name: body[name] for name in _OF_ENTRIES if name in body}
        for entry in CalendarEntry.objects.filter(calendar=calendar):
            Account.objects.filter(pk=entry.account_id).update(list_seq=F("list_seq") + 1)
            seq = Account.objects.values_list("list_seq", flat=True).get(pk=entry.account_id)
            CalendarEntry.objects.filter(pk=entry.pk).update(seq=seq, **changes)
    return {"id": calendar.google_id}
