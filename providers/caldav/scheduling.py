"""Whether a server sends mail about an event (RFC 6638), and how it is asked not to.

A server that announces `calendar-auto-schedule` invites whoever an organizer's object names. An
attendee with SCHEDULE-AGENT=NONE is left alone; to say so of one that was invited before would be
told as a cancellation (section 3.2.1.2), so of such an event nothing can be changed quietly.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from providers.caldav.session import Session
from providers.errors import NotificationUnavoidable
from providers.ical.lines import decode, folded

_ATTENDEE = re.compile(r"^ATTENDEE(?=[;:])", re.IGNORECASE)
_ORGANIZER = re.compile(
    r'^ORGANIZER(?:;(?:[^:"\n]++|"[^"\n]*+")*+)?:(.*)$', re.IGNORECASE | re.MULTILINE
)
_AGENT = re.compile(r';SCHEDULE-AGENT=(?:"[^"\n]*"|[^;:\n]*)', re.IGNORECASE)
_LEFT_ALONE = re.compile(r';SCHEDULE-AGENT="?(?:NONE|CLIENT)\b', re.IGNORECASE)


def has_attendees(text: str) -> bool:
    """Whether anybody could be told about this object."""
    return bool(_guests(decode(text)))


def addressed(text: str, *, notify: bool, organizer: str = "") -> str:
    """An organizer's object in which the server tells every attendee, or none. `organizer` is the
    e-mail address to name where nobody is named yet (RFC 5545 section 3.8.4.3); empty: unknown.
    """
    unfolded = decode(text)
    missing = organizer if _ORGANIZER.search(unfolded) is None else ""
    asks = "ATTENDEE" if notify else "ATTENDEE;SCHEDULE-AGENT=NONE"
    lines: list[str] = []
    before = ""
    for line in unfolded.rstrip("\n").split("\n"):
        if not _ATTENDEE.match(line):
            lines.append(line)
            before = missing if line.upper().startswith("BEGIN:VEVENT") else before
            continue
        if before:
            lines.append(f"ORGANIZER:mailto:{before}")
            before = ""
        lines.append(_ATTENDEE.sub(asks, _AGENT.sub("", line, count=1)))
    return folded(lines).decode()


def is_organized_by(text: str, addresses: Collection[str]) -> bool:
    """Whether the account with these addresses (URIs) is the organizer, or nobody says who is."""
    organizer = _ORGANIZER.search(decode(text))
    own = {address.lower() for address in addresses}
    return organizer is None or not own or organizer[1].strip().lower() in own


def check_quiet(session: Session, url: str, text: str) -> None:
    """Raises NotificationUnavoidable when a change of this organizer's object, as it is stored,
    makes the server tell its attendees.
    """
    unfolded = decode(text)
    if _ORGANIZER.search(unfolded) is None:
        return
    if all(_LEFT_ALONE.search(line) for line in _guests(unfolded)):
        return
    announced = session.request("OPTIONS", url).response.headers.get("DAV", "").lower()
    if "calendar-auto-schedule" in {name.strip() for name in announced.split(",")}:
        raise NotificationUnavoidable("The server tells the attendees about every change.")


def _guests(unfolded: str) -> list[str]:
    return [line for line in unfolded.split("\n") if _ATTENDEE.match(line)]
