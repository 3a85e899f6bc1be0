"""Who may call what in Graph: the door of every view under `/microsoft/v1.0/`."""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, cast
from zoneinfo import ZoneInfo

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from oauth2_provider.models import Application

from providers.sandbox import switches
from providers.sandbox.google.access import ROLES
from providers.sandbox.google.errors import GoogleError
from providers.sandbox.microsoft import errors, ids, tenants, zones
from providers.sandbox.microsoft.bearer import caller_of
from providers.sandbox.models import Account, CalendarEntry

P = ParamSpec("P")

ROOT = "/microsoft/v1.0"
_PREFERENCE = re.compile(r'([\w.\-]+)\s*=\s*("[^"]*"|[^,;\s]+)')
_SEEN = frozenset(ROLES) - {"freeBusyReader"}


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call with a live token and enough permission. `prefer`: the `Prefer` header, lower case."""

    request: HttpRequest
    account: Account
    application: Application
    prefer: dict[str, str]

    @property
    def immutable(self) -> bool:
        """Whether immutable ids are wanted."""
        return self.prefer.get("idtype", "").lower() == "immutableid"

    @property
    def zone(self) -> tuple[str, ZoneInfo] | None:
        """The zone in which starts and ends are wanted, unless it is UTC. Raises 400."""
        name = self.prefer.get("outlook.timezone", "UTC")
        return None if name.upper() == "UTC" else (name, zones.preferred(name))

    def page_size(self, default: int, most: int) -> int:
        """How many entries a page has at most. Raises 400."""
        ordered = self.request.META.get("sandbox.page_size")
        text = ordered or self.prefer.get("odata.maxpagesize", str(default))
        if not text.isdecimal() or int(text) < 1:
            raise errors.bad_parameter("odata.maxpagesize must be a whole number from 1.")
        return switches.page_size(int(text), most)

    def entries(self) -> list[CalendarEntry]:
        """The calendars in the person's list."""
        return list(self._entries().order_by("-primary", "pk"))

    def entry(self, calendar_id: str | None) -> CalendarEntry:
        """The calendar with this id, or the default one. Raises 404."""
        entries = self._entries()
        if calendar_id is None:
            default: CalendarEntry = entries.get(primary=True)
            return default
        found = ids.calendar_number(calendar_id)
        entry: CalendarEntry | None = (
            entries.filter(calendar_id=found[1]).first() if found else None
        )
        if found and entry and found[0] == ids.mailbox(entry.calendar.owner.email):
            return entry
        raise errors.not_found()

    def sees(self, entry: CalendarEntry) -> str:
        """`all`, or `public`: private events show no details."""
        return "public" if entry.access_role in ROLES[1:3] else "all"

    def body(self) -> dict[str, Any]:
        """The JSON body. Raises 400."""
        try:
            content = orjson.loads(self.request.body)
        except orjson.JSONDecodeError:
            content = None
        if not isinstance(content, dict):
            message = "Unable to read JSON request payload."
            raise errors.GraphError(400, "BadRequest", message)
        return content

    def answer(self, content: Any, status: int = 200) -> HttpResponse:
        """A JSON answer, with the ids that are preferred."""
        return self.answer_bytes(orjson.dumps(content), status)

    def answer_bytes(self, content: bytes, status: int = 200) -> HttpResponse:
        """The same of finished JSON."""
        if not self.immutable:
            content = ids.with_changing(content)
        response = HttpResponse(content, status=status, content_type=_JSON)
        if applied := self._applied():
            response["Preference-Applied"] = applied
        return response

    def _entries(self) -> Any:
        entries = CalendarEntry.objects.select_related("calendar", "calendar__owner")
        return entries.filter(account=self.account, deleted=False, access_role__in=_SEEN)

    def _applied(self) -> str:
        known = ("idtype", "outlook.timezone", "odata.maxpagesize")
        return ", ".join(f'{name}="{self.prefer[name]}"' for name in known if name in self.prefer)


_JSON = "application/json; odata.metadata=minimal; odata.streaming=true; charset=utf-8"
View = Callable[Concatenate[Call, P], HttpResponseBase]
Endpoint = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def method(scopes: frozenset[str], *, mailbox: bool = True) -> Callable[[View[P]], Endpoint[P]]:
    """Let a view be called with a live token that has one of these permissions.

    With `mailbox` only by accounts that have one.
    """

    def wrap(view: View[P]) -> Endpoint[P]:
        @functools.wraps(view)
        def answer(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            try:
                call = _call(request, scopes)
                if mailbox and not tenants.has_mailbox(call.account):
                    raise errors.no_mailbox()
                return view(call, *args, **kwargs)
            except errors.GraphError as error:
                return error.response(request)
            except GoogleError as error:
                return translated(error).response(request)

        return cast("Endpoint[P]", csrf_exempt(answer))

    return wrap


def by_method(**views: Endpoint[P]) -> Endpoint[P]:
    """One view of an address that takes several methods, e.g. `by_method(GET=…, POST=…)`."""

    def answer(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        view = views.get(request.method or "")
        if view is None:
            message = "Specified HTTP method is not allowed for the request target."
            return errors.GraphError(405, "Request_BadRequest", message).response(request)
        return view(request, *args, **kwargs)

    return cast("Endpoint[P]", csrf_exempt(answer))


@csrf_exempt
def not_here(request: HttpRequest, **_where: str) -> HttpResponse:
    """Any other address of Graph."""
    name = request.path.removeprefix(ROOT).strip("/").partition("/")[0]
    message = f"Resource not found for the segment '{name}'."
    return errors.GraphError(400, "BadRequest", message).response(request)


def address(path: str) -> str:
    """The full address of a path below Graph's root."""
    return f"{settings.SANDBOX.public_url}{ROOT}/{path}"


def translated(error: GoogleError) -> errors.GraphError:
    """What the store refuses in Google's words, in Graph's."""
    if error.status in {404, 410}:
        return errors.not_found()
    if error.status == 412:
        return errors.conflict()
    return errors.bad_property(error.message)


def _call(request: HttpRequest, scopes: frozenset[str]) -> Call:
    caller = caller_of(request)
    if caller is None:
        raise errors.unauthorized()
    request.META["sandbox.account"] = caller.account.email  # for the request log
    if not scopes & set(caller.scopes.split()):
        raise errors.access_denied()
    prefer = {
        name.lower(): value.strip('"')
        for name, value in _PREFERENCE.findall(request.headers.get("Prefer", ""))
    }
    return Call(
        request=request, account=caller.account, application=caller.application, prefer=prefer
    )
