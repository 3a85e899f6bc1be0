"""`/me/calendars`, `/me/calendar` and `/me/calendars/{id}`."""

from typing import Any

from django.conf import settings
from django.http import HttpResponse

from providers.sandbox.google.access import ROLES
from providers.sandbox.microsoft import errors, ids, tenants
from providers.sandbox.microsoft.door import Call, address, method
from providers.sandbox.microsoft.scopes import READ_CALENDARS
from providers.sandbox.models import CalendarEntry
from providers.sandbox.seals import pack, unpack

_PAGE, _LARGEST_PAGE = 10, 100
_OPTIONS = frozenset({"$select", "$top", "$skip", "$count", "$skiptoken"})
_COLORS = ("lightBlue", "lightGreen", "lightOrange", "lightYellow", "lightTeal", "lightPink")


@method(READ_CALENDARS)
def collection(call: Call) -> HttpResponse:
    """One page of the calendars, the default one first. There is no delta of them."""
    query = call.request.GET
    for name in query:
        if name.startswith("$") and name not in _OPTIONS:
            message = f"The query parameter '{name}' is not supported."
            raise errors.GraphError(400, "ErrorInvalidUrlQuery", message)
    size = min(_number(query.get("$top", ""), "$top") or _PAGE, _LARGEST_PAGE)
    size = call.page_size(size, size)
    first = _number(query.get("$skip", ""), "$skip")
    if "$skiptoken" in query:
        content = unpack("calendars", query["$skiptoken"])
        if content is None:
            raise errors.bad_parameter("The $skiptoken is not valid.")
        first = content[0]
    entries = call.entries()
    head: dict[str, Any] = {"@odata.context": address("$metadata#users('me')/calendars")}
    if len(entries) > first + size:
        head["@odata.nextLink"] = _next_link(call, first + size)
    found = entries[first : first + size]
    return call.answer(head | {"value": [_selected(call, resource(each)) for each in found]})


@method(READ_CALENDARS)
def item(call: Call, calendar_id: str | None = None) -> HttpResponse:
    """One calendar, or the default one."""
    head = {"@odata.context": address("$metadata#users('me')/calendars/$entity")}
    return call.answer(head | _selected(call, resource(call.entry(calendar_id))))


def resource(entry: CalendarEntry) -> dict[str, Any]:
    """Graph's calendar."""
    calendar, owner = entry.calendar, entry.calendar.owner
    may_write = ROLES.index(entry.access_role) >= ROLES.index("writerWithoutPrivateAccess")
    has_teams = not tenants.is_personal(owner)
    return {
        "id": ids.calendar_id(ids.mailbox(owner.email), calendar.pk),
        "name": entry.summary_override or ("Calendar" if entry.primary else calendar.summary),
        "color": "auto" if entry.primary else _COLORS[entry.seq % len(_COLORS)],
        "hexColor": "" if entry.primary else entry.background_color,
        "isDefaultCalendar": entry.primary,
        "changeKey": f"ck{calendar.pk:010d}{entry.seq:06d}==",
        "canShare": entry.access_role == "owner",
        "canViewPrivateItems": entry.access_role in ROLES[3:],
        "canEdit": may_write,
        "allowedOnlineMeetingProviders": ["teamsForBusiness"] if has_teams else [],
        "defaultOnlineMeetingProvider": "teamsForBusiness" if has_teams else "unknown",
        "isTallyingResponses": entry.primary,
        "isRemovable": not entry.primary,
        "owner": {"name": owner.name, "address": owner.email},
    }


def _next_link(call: Call, first: int) -> str:
    query = call.request.GET
    kept = "".join(f"{name}={query[name]}&" for name in ("$top", "$select") if name in query)
    link = f"{settings.SANDBOX.public_url}{call.request.path}?{kept}"
    return f"{link}$skiptoken={pack('calendars', [first])}"


def _selected(call: Call, resource: dict[str, Any]) -> dict[str, Any]:
    names = call.request.GET.get("$select")
    if not names:
        return resource
    wanted = {"id", *names.split(",")}
    if strange := wanted - resource.keys():
        message = f"Could not find a property named '{min(strange)}' on type "
        raise errors.GraphError(400, "RequestBroker--ParseUri", f"{message}'calendar'.")
    return {name: value for name, value in resource.items() if name in wanted}


def _number(text: str, name: str) -> int:
    if text and not text.isdecimal():
        raise errors.bad_parameter(f"{name} must be a whole number.")
    return int(text or 0)
