"""Attendees as clients give them, and what only an event's organizer may change."""

from typing import Any

from providers.sandbox.google.errors import GoogleError, required
from providers.sandbox.google.resources import Home, Resource

# https://developers.google.com/workspace/calendar/api/guides/errors, forbiddenForNonOrganizer
_SHARED = (
    "guestsCanInviteOthers", "guestsCanModify", "guestsCanSeeOtherGuests", "anyoneCanAddSelf",
)  # fmt: skip


def with_attendees(home: Home, resource: Resource) -> Resource:
    """The resource with its attendees as Google completes them. Raises 400."""
    attendees = resource.get("attendees")
    if not attendees:
        return resource
    if not isinstance(attendees, list):
        raise GoogleError(400, "invalid", "Invalid attendees.")
    organizer = resource.get("organizer", {}).get("email")
    return resource | {"attendees": [_complete(home, each, organizer) for each in attendees]}


def check_shared(before: Resource, after: Resource) -> None:
    """Raise 403 when a copy that is not the organizer's sets, or leaves out, what guests share."""
    if before.get("organizer", {}).get("self"):
        return
    if any(before.get(name) != after.get(name) for name in _SHARED):
        message = "Shared properties can only be changed by the organizer of the event."
        raise GoogleError(403, "forbiddenForNonOrganizer", message, domain="calendar")


def _complete(home: Home, attendee: Any, organizer: Any) -> Resource:
    email = attendee.get("email") if isinstance(attendee, dict) else None
    if not email:
        raise required("Missing attendee email.")
    if not isinstance(email, str) or not all(email.partition("@")):
        raise GoogleError(400, "invalid", "Invalid attendee email.")
    given = {name: value for name, value in attendee.items() if name not in {"self", "organizer"}}
    made: Resource = {"responseStatus": "needsAction"} | given
    if email == organizer:
        made["organizer"] = True
    if email == home.google_id:
        made["self"] = True
    return made
