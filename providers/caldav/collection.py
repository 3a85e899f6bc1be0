"""One calendar at its server: where it is, the state it is in, and the bodies of its objects."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from providers.caldav import urls
from providers.caldav.calendars import TIME_ZONE, TIME_ZONE_ID, zone_of
from providers.caldav.errors import failure
from providers.caldav.multistatus import CALDAV, CALENDARSERVER, DAV, Member, multiget
from providers.caldav.session import Answer, Session, member_of
from providers.errors import AnswerLost, AnswerTooLarge, CalendarNotFound, InvalidResponse

GETETAG = f"{DAV}getetag"
_DATA = f"{CALDAV}calendar-data"
_REPORTS = f"{DAV}supported-report-set"
_CTAG = f"{CALENDARSERVER}getctag"
_TOKEN = f"{DAV}sync-token"
# Objects asked for at once. DAVx5, which meets every server, takes ten; the larger the fewer round
# trips, and what is too large for a server is halved.
BATCH = 50
# Statuses that say: not so many at once (and a few that servers use for it).
_TOO_MANY = frozenset({413, 500, 502, 504, 507})


@dataclass(frozen=True, slots=True)
class State:
    """What a calendar says about itself. Empty what it does not say: `sync_token` also when it does
    not offer the report that takes it.
    """

    sync_token: str
    ctag: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class Body:
    """An object as it is: `href` in the server's spelling, its version, its text. A server that
    tells no version gets a digest of the text.
    """

    href: str
    etag: str
    text: str


class CalendarCollection:
    """Reads one calendar. `url` is its id, as the list of calendars gave it.

    All methods raise CalendarNotFound, CalendarForbidden, AccessTokenRejected, RateLimited and the
    errors of `providers.http`.
    """

    def __init__(self, session: Session, url: str) -> None:
        try:
            self.url = urls.resolve(url, "")
        except InvalidResponse:
            raise CalendarNotFound("This is no calendar's URL.") from None
        scheme, authority = urls.origin_of(self.url)
        if scheme not in {"http", "https"} or not authority:
            raise CalendarNotFound("This is no calendar's URL.")
        self.session = session

    def state(self) -> State:
        """What is asked before a listing: whatever happens during it is then listed again."""
        names = [_TOKEN, _CTAG, _REPORTS, TIME_ZONE, TIME_ZONE_ID, f"{DAV}resourcetype"]
        found = self.session.propfind(self.url, names)
        self.url = found.url
        itself = member_of(found, found.url)
        if itself is None or itself.status in {403, 404, 410}:
            raise CalendarNotFound("The calendar is not there.")
        reports = itself.names(_REPORTS)
        return State(
            sync_token=itself.text(_TOKEN) if f"{DAV}sync-collection" in reports else "",
            ctag=itself.text(_CTAG),
            time_zone=zone_of(itself),
        )

    def is_itself(self, answered_by: str, href: str) -> bool:
        """Whether an href stands for the calendar and not for an object in it."""
        path = urls.path_of(answered_by, href)
        return urls.is_same(path, self.url) or urls.is_same(path, answered_by)

    def locate(self, object_id: str) -> str | None:
        """The URL of an object at this server; None: it is no id that a listing has named."""
        if not (object_id.startswith("/") and object_id.isprintable()):
            return None
        try:
            url = urls.resolve(self.url, object_id)
        except InvalidResponse:
            return None
        return url if urls.origin_of(url) == urls.origin_of(self.url) else None

    def contains(self, object_id: str) -> bool:
        """Whether an id can be one of this calendar: nothing else is ever written."""
        url = self.locate(object_id)
        return url is not None and urls.comparable(url).startswith(f"{urls.comparable(self.url)}/")

    def bodies(self, ids: Collection[str]) -> dict[str, Body | None]:
        """The objects with these ids. None is one that cannot be had: it is too large. One that is
        not there any more is left out.
        """
        found: dict[str, Body | None] = {}
        wanted = [object_id for object_id in ids if self.locate(object_id)]
        for begin in range(0, len(wanted), BATCH):
            found |= self._several(wanted[begin : begin + BATCH])
        return found

    def _several(self, ids: list[str]) -> dict[str, Body | None]:
        try:
            answer = self.session.ask("REPORT", self.url, multiget(ids), depth="1")
        except (AnswerLost, AnswerTooLarge):
            return self._halves(ids)
        if answer.status in _TOO_MANY:
            return self._halves(ids)
        if answer.status in {429, 503}:
            raise failure(answer.response)
        try:
            found = _read(answer, ids)
        except InvalidResponse:
            return self._halves(ids)
        # What the answer leaves out, or names without its text, is not said to be gone.
        for object_id in ids:
            if object_id not in found:
                found[object_id] = self._alone(object_id)
        return {key: value for key, value in found.items() if not isinstance(value, _Gone)}

    def _halves(self, ids: list[str]) -> dict[str, Body | None]:
        if len(ids) > 1:
            middle = len(ids) // 2
            return self._several(ids[:middle]) | self._several(ids[middle:])
        found = self._alone(ids[0])
        return {} if isinstance(found, _Gone) else {ids[0]: found}

    def _alone(self, object_id: str) -> Body | _Gone | None:
        """One object by GET. That it is gone is believed of a calendar that is there, and when it
        is said again after that: a proxy whose server is away answers 404 to everything.
        """
        found = self.body(object_id)
        if not isinstance(found, _Gone):
            return found
        self.state()
        return self.body(object_id)

    def body(self, object_id: str) -> Body | _Gone | None:
        """One object by GET, as `bodies` has it."""
        url = self.locate(object_id)
        if url is None:
            return GONE
        try:
            answer = self.session.request("GET", url, headers={"Accept": "text/calendar"})
        except AnswerTooLarge:
            return None
        if answer.status in {404, 410}:
            return GONE
        if answer.status != 200:
            raise failure(answer.response)
        text = answer.response.body.decode("utf-8", "replace")
        return made_body(object_id, answer.response.headers.get("ETag", ""), text)


class _Gone:
    """An object that is not there any more."""


GONE = _Gone()


def made_body(href: str, etag: str, text: str) -> Body:
    etag = etag.strip() or f'"sha256:{hashlib.sha256(text.encode()).hexdigest()}"'
    return Body(href, etag, text)


def is_same_version(etag: str, other: str) -> bool:
    """Whether two spellings are of one version: weak here and strong there, with quotes and
    without, as one server says it in different answers.
    """
    return _bare(etag) == _bare(other) != ""


def _bare(etag: str) -> str:
    return etag.strip().removeprefix("W/").strip('"').replace("%22", "").replace("&quot;", "")


def _read(answer: Answer, ids: list[str]) -> dict[str, Body | _Gone | None]:
    """What an answer to multiget says, by the id that was asked for."""
    found: dict[str, Body | _Gone | None] = {}
    if answer.status not in {200, 207}:
        return found
    asked: Mapping[str, str] = {urls.comparable(object_id): object_id for object_id in ids}
    answered = answer.multistatus()
    for member in answered.members:
        path = urls.path_of(answered.url, member.href)
        # A server that tells `@` from `%40` is asked, and answers, in one spelling.
        object_id = path if path in ids else asked.get(urls.comparable(path), "")
        if object_id and (body := _body(member, path)) is not None:
            found[object_id] = body
    return found


def _body(member: Member, path: str) -> Body | _Gone | None:
    if member.status in {404, 410}:
        return GONE
    text = member.text(_DATA)
    return made_body(path, member.text(GETETAG), text) if text else None
