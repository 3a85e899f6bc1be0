"""Meet conferences: asked for, waited for, made or not.

`conferenceData.createRequest` of the event resource; Google makes the link after it has answered:
https://developers.google.com/workspace/calendar/api/guides/create-events#conferencing
"""

from typing import Any

from providers.sandbox import switches
from providers.sandbox.google.errors import GoogleError
from providers.sandbox.models import Calendar, Event

Resource = dict[str, Any]

_KEY = {"type": "hangoutsMeet"}
# Event ids by calendar, in memory: what a restart forgets is made when the event is read next.
_waiting: dict[int, set[str]] = {}


def requested(resource: Resource, data: Any, *, owner: str) -> Resource:
    """The resource with the conference that `data` asks for; null removes the one there is.

    A request with the same id as the last one is ignored. Raises 400.
    """
    if data is None:
        dropped = {"conferenceData", "hangoutLink"}
        return {name: value for name, value in resource.items() if name not in dropped}
    create = data.get("createRequest") if isinstance(data, dict) else None
    if not isinstance(create, dict):
        return resource
    key = create.get("conferenceSolutionKey") or _KEY
    if key != _KEY:
        raise GoogleError(400, "invalid", "Invalid conference type value.")
    if not isinstance(create.get("requestId"), str) or not create["requestId"]:
        raise GoogleError(400, "required", "Missing conference request id.")
    last = resource.get("conferenceData", {}).get("createRequest", {})
    if last.get("requestId") == create["requestId"]:
        return resource
    request = {"requestId": create["requestId"], "conferenceSolutionKey": _KEY}
    bare = requested(resource, None, owner=owner)
    if switches.of_account(owner).meet_milliseconds:
        return bare | {"conferenceData": _with_status(request, "pending")}
    return _decided(bare, request, owner=owner)


def is_pending(resource: Resource) -> bool:
    """Whether the conference is not there yet."""
    request = resource.get("conferenceData", {}).get("createRequest", {})
    return bool(request.get("status") == {"statusCode": "pending"})


def decided(resource: Resource, *, owner: str) -> Resource:
    """The resource, whose conference was pending, with what became of it."""
    request = dict(resource["conferenceData"]["createRequest"])
    return _decided(resource, request, owner=owner)


def remember(row: Event, resource: Resource) -> None:
    """Note that this row's conference is pending, if it is."""
    if is_pending(resource):
        _waiting.setdefault(row.calendar_id, set()).add(row.series_id or row.event_id)


def due(calendar: Calendar, now_ms: int) -> list[Event]:
    """The rows whose conference has been waited for long enough; they are forgotten here."""
    names = _waiting.get(calendar.pk)
    if not names:
        return []
    since = now_ms - switches.of_account(calendar.owner.email).meet_milliseconds
    rows = list(Event.objects.filter(calendar=calendar, event_id__in=names, updated_ms__lte=since))
    names.difference_update(row.event_id for row in rows)
    return rows


def meet(code: str) -> Resource:
    """A Meet conference as Google describes it."""
    link = _link(code)
    return {
        "entryPoints": [
            {"entryPointType": "video", "uri": link, "label": link.removeprefix("https://")}
        ],
        "conferenceSolution": {
            "key": _KEY,
            "name": "Google Meet",
            "iconUri": "https://meet.sandbox.example/icon.png",
        },
        "conferenceId": code,
    }


def _decided(resource: Resource, request: Resource, *, owner: str) -> Resource:
    if switches.of_account(owner).meet_fails:
        return resource | {"conferenceData": _with_status(request, "failure")}
    # An instance of a series joins where the series does.
    name = str(resource.get("recurringEventId") or resource["id"])
    code = f"sbx-{name[:4]}-{name[4:7]}"
    conference = _with_status(request, "success") | meet(code)
    return resource | {"hangoutLink": _link(code), "conferenceData": conference}


def _with_status(request: Resource, status: str) -> Resource:
    return {"createRequest": request | {"status": {"statusCode": status}}}


def _link(code: str) -> str:
    return f"https://meet.sandbox.example/{code}"
