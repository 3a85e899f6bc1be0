"""Who may call what: the door of every API view."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, cast

import orjson
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from oauth2_provider.models import Application

from providers.sandbox.google import errors
from providers.sandbox.models import Account, CalendarEntry
from providers.sandbox.oauth.bearer import bearer_of
from providers.sandbox.oauth.scopes import named

P = ParamSpec("P")

ROLES = ("freeBusyReader", "reader", "writerWithoutPrivateAccess", "writer", "owner")
JSON = "application/json; charset=UTF-8"

# Discovery document of Calendar API v3: the scopes of each method.
READ_LIST = named(
    "calendar", "calendar.readonly", "calendar.calendarlist", "calendar.calendarlist.readonly"
)
READ_ENTRY = READ_LIST | named("calendar.app.created")
READ_CALENDAR = named(
    "calendar",
    "calendar.readonly",
    "calendar.calendars",
    "calendar.calendars.readonly",
    "calendar.app.created",
)
WRITE_EVENTS = named("calendar", "calendar.events", "calendar.events.owned")
READ_EVENTS = WRITE_EVENTS | named(
    "calendar.readonly",
    "calendar.events.readonly",
    "calendar.events.owned.readonly",
    "calendar.events.freebusy",
)
STOP_CHANNELS = (
    READ_EVENTS
    | READ_LIST
    | named(
        "calendar.acls",
        "calendar.acls.readonly",
        "calendar.app.created",
        "calendar.events.public.readonly",
        "calendar.settings",
        "calendar.settings.readonly",
    )
)
_OWNED_ONLY = named("calendar.events.owned", "calendar.events.owned.readonly")
_BUSY_ONLY = named("calendar.events.freebusy")


@dataclass(frozen=True, kw_only=True)
class Call:
    """An API call with a live token and enough scope."""

    request: HttpRequest
    account: Account
    application: Application
    scopes: frozenset[str]

    def entry(self, calendar_id: str) -> CalendarEntry:
        """The calendar in the person's list; `primary` is the main one. Raises 404 or 403."""
        entries = CalendarEntry.objects.select_related("calendar", "calendar__owner").filter(
            account=self.account, deleted=False
        )
        entry = (
            entries.filter(primary=True).first()
            if calendar_id == "primary"
            else entries.filter(calendar__google_id=calendar_id).first()
        )
        if entry is None:
            raise errors.not_found()
        if self.scopes <= _OWNED_ONLY and entry.access_role != "owner":
            raise insufficient_scope()
        return entry

    def sees(self, entry: CalendarEntry) -> str:
        """`all`, `public` (private events show no details) or `busy` (no event does)."""
        if self.scopes <= _BUSY_ONLY or entry.access_role == "freeBusyReader":
            return "busy"
        return "public" if entry.access_role in ROLES[1:3] else "all"

    def body(self) -> dict[str, Any]:
        """The JSON body. Raises 400."""
        try:
            content = orjson.loads(self.request.body or b"{}")
        except orjson.JSONDecodeError:
            raise errors.GoogleError(400, "parseError", "Parse Error") from None
        if not isinstance(content, dict):
            raise errors.GoogleError(400, "parseError", "Parse Error")
        return content


View = Callable[Concatenate[Call, P], HttpResponseBase]
Endpoint = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def insufficient_scope() -> errors.GoogleError:
    """403: the token is good, the scope is missing."""
    return errors.GoogleError(
        403, "insufficientPermissions", "Request had insufficient authentication scopes."
    )


def method(
    scopes: frozenset[str],
) -> Callable[[View[P]], Callable[Concatenate[HttpRequest, P], HttpResponseBase]]:
    """Let a view be called with a live token that has one of these scopes."""

    def wrap(view: View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
        @functools.wraps(view)
        def answer(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            try:
                return view(_call(request, scopes), *args, **kwargs)
            except errors.GoogleError as error:
                return error.response()

        return cast("Endpoint[P]", csrf_exempt(answer))

    return wrap


def _call(request: HttpRequest, scopes: frozenset[str]) -> Call:
    bearer = bearer_of(request)
    if bearer is None:
        raise errors.unauthorized()
    request.META["sandbox.account"] = bearer.account.email  # for the request log
    usable = bearer.scopes & scopes
    if not usable:
        raise insufficient_scope()
    return Call(
        request=request, account=bearer.account, application=bearer.application, scopes=usable
    )


def answer_json(content: Any, status: int = 200) -> HttpResponse:
    """A JSON answer in Google's content type."""
    return HttpResponse(orjson.dumps(content), status=status, content_type=JSON)
