"""The pages for people: their calendars, connecting one, and watching the first sync.

Whoever is signed in sees the calendars that `visible_to` gives them; everything else is not found.
What changes something is a POST; its URL, opened by hand or after signing in, leads to its page.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from calendars import agenda
from calendars.models import Calendar, Event
from providers import audit, causes, connect, external_calendars, selection, tasks, vanishing
from providers.forms import ConnectForm
from providers.models import ExternalCalendar, ProviderConfiguration, ProviderConnection
from providers.standing import (
    Standing,
    Tone,
    arrival_of,
    failed_reconnect,
    history_of,
    last_sync_of,
    progress_of,
    standing_of,
)
from providers.views import SeeOther, render_before_provider
from talkover.api.addresses import client_address
from talkover.encryption import UnsealError
from talkover.environments.models import User

logger = logging.getLogger(__name__)

CALENDARS_PER_PAGE = 50
AGENDA_SPAN = timedelta(days=14)
AGENDA_LENGTH = 20

View: TypeAlias = Callable[..., HttpResponseBase]


class PersonRequest(HttpRequest):
    """A request of somebody who has signed in."""

    user: User


def for_people(view: View) -> View:
    """Only for who has signed in, and never kept by a cache."""
    return never_cache(login_required(view))


def action_of(page: str, parameter: str) -> Callable[[View], View]:
    """For a POST that belongs to the page of that name: a GET is led there instead."""

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapped(request: HttpRequest, **ids: Any) -> HttpResponseBase:
            if request.method != "POST":
                return redirect(page, ids[parameter])
            return view(request, **ids)

        return for_people(wrapped)

    return decorate


@require_safe
@never_cache
def home(request: HttpRequest) -> HttpResponseBase:
    return redirect("calendar-list" if request.user.is_authenticated else "account_login")


@require_safe
@for_people
def calendar_list(request: PersonRequest) -> HttpResponse:
    """The person's calendars by environment, each with how its connections stand."""
    calendars = (
        Calendar.objects.visible_to(request.user)
        .select_related("environment", "owner")
        .prefetch_related(Prefetch("connections", queryset=_authorised_connections()))
        .order_by("environment__name", "environment_id", "name", "id")
    )
    page = Paginator(calendars, CALENDARS_PER_PAGE).get_page(request.GET.get("page"))
    rows = [
        {
            "calendar": calendar,
            "connections": [_connection_row(row) for row in calendar.connections.all()],
        }
        for calendar in page
    ]
    environments = calendars.order_by().values("environment_id").distinct()[:2].count()
    context = {"rows": rows, "page": page, "grouped": environments > 1}
    return render(request, "calendars/list.html", context)


@require_safe
@for_people
def calendar_detail(request: PersonRequest, calendar_id: uuid.UUID) -> HttpResponseBase:
    return _calendar_page(request, _calendar_of(request, calendar_id))


@action_of("calendar-detail", "calendar_id")
def connect_calendar(request: PersonRequest, calendar_id: uuid.UUID) -> HttpResponseBase:
    """Send the person to the provider that they chose."""
    calendar = _calendar_of(request, calendar_id)
    form = ConnectForm(request.POST, configurations=_offered_configurations(calendar))
    if not form.is_valid():
        return _calendar_page(request, calendar, form=form)
    return _go_to_provider(
        request,
        lambda start: connect.begin(
            calendar_id=calendar.pk, configuration=form.cleaned_data["configuration"], start=start
        ),
        back=reverse("calendar-detail", args=[calendar.pk]),
    )


@require_safe
@for_people
def connection_detail(request: PersonRequest, connection_id: uuid.UUID) -> HttpResponseBase:
    """How a connection stands: the person comes back here, and watches the first sync."""
    connection = _connection_of(request, connection_id)
    context = _progress_context(connection) | {
        "listed": [_choice_row(row) for row in external_calendars.in_order(connection)],
        "can_choose": vanishing.can_be_chosen_from(connection),
        "most_selected": settings.SELECTED_CALENDARS_PER_CONNECTION,
        "failed_reconnect": failed_reconnect(connection),
        "arrival": arrival_of(connection),
        "history": history_of(connection, request.user),
    }
    return render_before_provider(
        request, "connections/detail.html", context, [connection.configuration]
    )


@require_safe
@for_people
def connection_progress(request: PersonRequest, connection_id: uuid.UUID) -> HttpResponse:
    """The part of the connection's page that changes, for static/talkover/progress.js."""
    connection = _connection_of(request, connection_id)
    return render(request, "connections/progress.html", _progress_context(connection))


@action_of("connection-detail", "connection_id")
def reconnect_calendar(request: PersonRequest, connection_id: uuid.UUID) -> HttpResponseBase:
    """Authorise again, or for the first time if that never succeeded."""
    connection = _connection_of(request, connection_id)
    back = reverse("connection-detail", args=[connection.pk])
    if not _is_offered(connection.configuration):
        messages.error(request, "This provider is switched off at present. Try again later.")
        return SeeOther(back)
    return _go_to_provider(
        request, lambda start: connect.reconnect(connection=connection, start=start), back=back
    )


@action_of("connection-detail", "connection_id")
def sync_connection(request: PersonRequest, connection_id: uuid.UUID) -> HttpResponseBase:
    connection = _connection_of(request, connection_id)
    back = SeeOther(reverse("connection-detail", args=[connection.pk]))
    if not connection.is_active:
        messages.error(request, "There is nothing to sync yet: connect the account first.")
        return back
    with transaction.atomic():
        tasks.request_sync(external.pk for external in connection.selected_calendars)
        audit.record(connection, audit.Action.SYNC_REQUESTED, actor=_actor(request))
    return back


@action_of("connection-detail", "connection_id")
def choose_calendars(request: PersonRequest, connection_id: uuid.UUID) -> HttpResponseBase:
    """Save which of the account's calendars are synced; or look which there are by now."""
    connection = _connection_of(request, connection_id)
    back = SeeOther(reverse("connection-detail", args=[connection.pk]))
    if request.POST.get("action") == "refresh":
        if external_calendars.refresh(connection, insist=True).stale:
            text = "The list could not be read just now; this is the last one. Try again later."
            messages.error(request, text)
        return back
    try:
        selection.choose(
            connection_id=connection.pk,
            external_ids=request.POST.getlist("calendar"),
            actor=_actor(request),
        )
    except selection.NotChoosable as refusal:
        messages.error(request, f"Nothing was changed. {refusal}")
    except selection.NotConnected:
        messages.error(request, "Connect the account first, then choose its calendars.")
    else:
        messages.success(request, "Saved. What is chosen is being synced.")
    return back


@for_people
def disconnect_calendar(request: PersonRequest, connection_id: uuid.UUID) -> HttpResponseBase:
    """Ask, and on POST do it."""
    connection = _connection_of(request, connection_id)
    if request.method != "POST":
        context = {"connection": connection, "calendar": connection.calendar}
        return render(request, "connections/disconnect.html", context)
    connect.disconnect(connection=connection, actor=_actor(request))
    if connection.account_subject:
        text = "Disconnected. The events that were synced stay, and get no more updates."
    else:
        text = "Removed."
    messages.success(request, text)
    return SeeOther(reverse("calendar-detail", args=[connection.calendar_id]))


def _actor(request: PersonRequest) -> audit.Actor:
    return audit.Actor.of_person(request.user, client_address(request))


def _calendar_of(request: PersonRequest, calendar_id: uuid.UUID) -> Calendar:
    mine = Calendar.objects.visible_to(request.user).select_related("environment", "owner")
    return get_object_or_404(mine, pk=calendar_id)


def _connection_of(request: PersonRequest, connection_id: uuid.UUID) -> ProviderConnection:
    mine = (
        ProviderConnection.objects.present()
        .filter(calendar__in=Calendar.objects.visible_to(request.user))
        .select_related("configuration", "calendar__environment", "calendar__owner")
        .prefetch_related(_selected_calendars())
    )
    return get_object_or_404(mine, pk=connection_id)


def _present_connections() -> QuerySet[ProviderConnection]:
    return (
        ProviderConnection.objects.present()
        .select_related("configuration")
        .prefetch_related(_selected_calendars())
    )


def _selected_calendars() -> Prefetch[Any]:
    """Of an account's calendars, which may be hundreds, only those that are synced."""
    selected = ExternalCalendar.objects.filter(is_selected=True)
    return Prefetch("external_calendars", queryset=selected)


def _authorised_connections() -> QuerySet[ProviderConnection]:
    """Without the attempts that came to nothing; the calendar's own page has them."""
    return _present_connections().exclude(account_subject="")


def _offered_configurations(calendar: Calendar) -> QuerySet[ProviderConfiguration]:
    return ProviderConfiguration.objects.filter(
        environment_id=calendar.environment_id, is_active=True, paused_at__isnull=True
    ).order_by("display_name", "id")


def _is_offered(configuration: ProviderConfiguration) -> bool:
    return configuration.is_active and configuration.paused_at is None


def _connection_row(connection: ProviderConnection) -> dict[str, Any]:
    standing: Standing = standing_of(connection)
    return {
        "connection": connection,
        "standing": standing,
        "last_sync_at": last_sync_of(list(connection.external_calendars.all())),
    }


def _choice_row(external: ExternalCalendar) -> dict[str, Any]:
    """A calendar to choose; one that vanished can only be let go."""
    code = external.last_error_code if external.is_selected else ""
    return {
        "external": external,
        "trouble": causes.explain(code) if code else None,
        "standing": Standing(Tone.BAD, "Gone") if external.vanished_at else None,
    }


def _calendar_page(
    request: PersonRequest, calendar: Calendar, *, form: ConnectForm | None = None
) -> HttpResponseBase:
    now, zone = timezone.now(), ZoneInfo(calendar.timezone)
    upcoming = list(
        Event.objects.filter(calendar=calendar)
        .overlapping(now, now + AGENDA_SPAN)
        .exclude(status=Event.Status.CANCELLED)
        .order_by("start_at", "id")[: AGENDA_LENGTH + 1]
    )
    connections = list(_present_connections().filter(calendar=calendar))
    configurations = _offered_configurations(calendar)
    context = {
        "calendar": calendar,
        "connections": [_connection_row(row) for row in connections if row.account_subject],
        "attempts": [_connection_row(row) for row in connections if not row.account_subject],
        "days": agenda.days(
            upcoming[:AGENDA_LENGTH],
            zone=zone,
            now=now,
            show_private=calendar.owner_id == request.user.pk,
        ),
        "more": len(upcoming) > AGENDA_LENGTH,
        "configurations": configurations,
        "form": form or ConnectForm(configurations=configurations),
    }
    return render_before_provider(request, "calendars/detail.html", context, configurations)


def _progress_context(connection: ProviderConnection) -> dict[str, Any]:
    return {
        "connection": connection,
        "calendar": connection.calendar,
        "progress": progress_of(connection),
        "offered": _is_offered(connection.configuration),
    }


def _go_to_provider(
    request: PersonRequest, begin: Callable[[connect.Start], connect.Begun], *, back: str
) -> HttpResponseBase:
    try:
        begun = begin(connect.Start(actor=_actor(request), started_by=request.user))
    except connect.CalendarGone as error:
        raise Http404 from error
    except connect.TooManyAttempts:
        messages.error(
            request,
            "Too many connections were started and not finished. Finish one in the tab where it is"
            " open, or wait some minutes and try again.",
        )
        return SeeOther(back)
    except connect.TooManyStarts:
        messages.error(request, "That was too often in a row. Wait a minute and try again.")
        return SeeOther(back)
    except UnsealError as error:
        logger.error("The connection cannot begin: %s", error)
        messages.error(
            request,
            "This service cannot use its own registration at the provider just now. Tell the person"
            " who runs it; there is nothing you can do.",
        )
        return SeeOther(back)
    return SeeOther(begun.authorization_url)
