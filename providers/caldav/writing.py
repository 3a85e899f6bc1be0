"""Writing objects: created under a name of our own, changed and deleted only as they were read.

What servers make of conditions differs (docs/caldav.md): the object is always read first
and its version compared here; `If-Match` goes along for what happens in between. `If-Match: *` is
never sent: some servers take it for its opposite.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from providers.base import Response
from providers.caldav import scheduling, urls
from providers.caldav.collection import (
    GONE,
    Body,
    CalendarCollection,
    is_same_version,
)
from providers.caldav.errors import write_failure
from providers.caldav.multistatus import conflicting, read_multistatus
from providers.caldav.presets import oddities_of
from providers.errors import (
    CalendarReadOnly,
    EventChanged,
    EventNotFound,
    InvalidResponse,
    ProviderError,
    RequestRefused,
)

_WRITTEN = frozenset({200, 201, 204, 207})
_TYPE = "text/calendar; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes into one calendar. `addresses` asks for the account's own, as URIs.

    All methods raise CalendarReadOnly, CalendarNotFound, AccessTokenRejected, RateLimited and the
    errors of `providers.http`.
    """

    collection: CalendarCollection
    addresses: Callable[[], tuple[str, ...]]

    def create(self, name: str, text: str, *, notify: bool) -> Body:
        """Store a new object under this name; one that is there under it stays, and is returned."""
        object_id = urls.path_of(f"{self.collection.url.rstrip('/')}/", name)
        if not oddities_of(self.collection.url).checks_names:
            there = self.collection.body(object_id)
            if isinstance(there, Body):
                return there
        if scheduling.has_attendees(text):
            text = self._addressed(text, notify=notify)
        response = self._put(object_id, text, {"If-None-Match": "*"})
        if response.status in _WRITTEN:
            return self._read_back(object_id, response.headers.get("Location", ""))
        if response.status in {403, 409, 412}:
            # Sent before: under this name, or under one that the server has chosen for it.
            for href in (object_id, *conflicting(response.body)):
                other = urls.path_of(self.collection.url, href)
                there = self._there(other) if self.collection.contains(other) else None
                if there is not None:
                    return there
        raise self._refusal(response, creating=True)

    def read(self, object_id: str) -> Body:
        """The object as it is now. Raises EventNotFound."""
        found = self.collection.body(object_id) if self.collection.contains(object_id) else GONE
        if isinstance(found, Body):
            return found
        self.collection.state()  # CalendarNotFound goes before
        if found is None:
            raise RequestRefused("The event is larger than what is read.")
        raise EventNotFound("The calendar has no such event.")

    def time_zone(self) -> str:
        """The calendar's, for what is stored without one. Raises CalendarNotFound."""
        return self.collection.state().time_zone

    def check(self, body: Body, etag: str) -> None:
        """Raises EventChanged unless the object still is what `etag` says; an empty one says
        nothing.
        """
        if etag and not is_same_version(etag, body.etag):
            raise EventChanged("The event has another version by now.")

    def replace(self, object_id: str, body: Body, text: str, *, notify: bool) -> Body:
        """Store `text` in place of what was read. Raises EventChanged, EventNotFound and
        NotificationUnavoidable, and has changed nothing then.
        """
        if scheduling.has_attendees(body.text + text) and self._organizes(body.text):
            if not notify:
                self._check_quiet(body)
            text = self._addressed(text, notify=notify)
        response = self._put(object_id, text, _condition(body))
        if response.status not in _WRITTEN:
            raise self._refusal(response)
        return self._read_back(object_id, "")

    def delete(self, object_id: str, body: Body, *, notify: bool) -> None:
        """Delete what was read; one that is gone by now is no error. Raises EventChanged and
        NotificationUnavoidable.
        """
        headers = _condition(body)
        if not notify and scheduling.has_attendees(body.text):
            if self._organizes(body.text):
                self._check_quiet(body)
            else:  # no answer to the organizer (RFC 6638 section 8.1)
                headers["Schedule-Reply"] = "F"
        url = self.collection.locate(object_id) or self.collection.url
        response = self.collection.session.request("DELETE", url, headers=headers).response
        if response.status not in {*_WRITTEN, 202, 404, 410}:
            raise self._refusal(response)

    def _addressed(self, text: str, *, notify: bool) -> str:
        known = [each for each in self.addresses() if each.lower().startswith("mailto:")]
        organizer = known[0][len("mailto:") :] if known else ""
        return scheduling.addressed(text, notify=notify, organizer=organizer)

    def _organizes(self, text: str) -> bool:
        return scheduling.is_organized_by(text, self.addresses())

    def _check_quiet(self, body: Body) -> None:
        scheduling.check_quiet(self.collection.session, self.collection.url, body.text)

    def _put(self, object_id: str, text: str, condition: dict[str, str]) -> Response:
        url = self.collection.locate(object_id)
        if url is None or not self.collection.contains(object_id):
            raise EventNotFound("The calendar has no such event.")
        headers = {"Content-Type": _TYPE, **condition}
        answer = self.collection.session.request("PUT", url, headers=headers, body=text.encode())
        if answer.status == 207:  # Xandikos, when it has something to say about it
            for member in read_multistatus(answer.url, answer.response.body).members:
                if member.status >= 400:
                    return Response(member.status, {}, b"")
        return answer.response

    def _read_back(self, object_id: str, location: str) -> Body:
        """What the server made of it, with the version that it will be listed with; it may have
        given it a name of its own.
        """
        found = self._there(object_id)
        if found is None and location:
            other = urls.path_of(self.collection.url, location)
            found = self._there(other) if self.collection.contains(other) else None
        if found is None:
            raise InvalidResponse("The server took the event and does not show it.")
        return found

    def _there(self, object_id: str) -> Body | None:
        return self.collection.bodies([object_id]).get(object_id)

    def _refusal(self, response: Response, *, creating: bool = False) -> ProviderError:
        error = write_failure(response)
        unclear = isinstance(error, EventNotFound | EventChanged | CalendarReadOnly)
        if creating and unclear:
            self.collection.state()  # a calendar that is gone goes before
            if isinstance(error, EventNotFound | EventChanged):
                return RequestRefused(error.detail)
        return error


def _condition(body: Body) -> dict[str, str]:
    """`If-Match`, unless the version is one that it does not take: weak, or one of our own."""
    etag = body.etag
    if etag.startswith("W/") or "sha256:" in etag or not etag.startswith('"'):
        return {}
    return {"If-Match": etag}
