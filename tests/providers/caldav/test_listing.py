"""What is listed, by which cursor, and how bodies are fetched: at servers of many kinds."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from providers.base import EventQuery, InvalidEvent, RemoteObject, Response, Window
from providers.caldav.collection import Body, CalendarCollection
from providers.caldav.listing import Page, Reader, list_page
from providers.caldav.session import Session
from providers.errors import (
    AnswerLost,
    AnswerTooLarge,
    CalendarForbidden,
    CalendarNotFound,
    CursorExpired,
    InvalidResponse,
    ProviderUnavailable,
    RateLimited,
)
from tests.providers.caldav.dav import (
    ACCESS,
    CALENDAR,
    HOST,
    Dav,
    Sent,
    error,
    event,
    gone,
    ical,
    multistatus,
    reply,
    resource,
    version,
)

WINDOW = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
QUERY = EventQuery(CALENDAR, WINDOW)
PATH = "/calendars/anna/work/"
A, B, C = (f"{PATH}{name}.ics" for name in "abc")
SYNC = (
    "<d:supported-report-set><d:supported-report><d:report><d:sync-collection/></d:report>"
    "</d:supported-report></d:supported-report-set>"
)
TOKEN = "<d:sync-token>http://t/1</d:sync-token>"
CTAG = "<cs:getctag>tag-1</cs:getctag>"


def reader(zone: str) -> Reader:
    """Keeps of an object that it was read: its version, and the zone."""

    def read(object_id: str, body: Body) -> RemoteObject | InvalidEvent:
        if "BROKEN" in body.text:
            return InvalidEvent(object_id, zone or "broken")
        return RemoteObject(id=object_id, etag=body.etag, events=(), starts_at=None, ends_at=None)

    return read


def serving(state: str = "", *objects: str, url: str = CALENDAR) -> Dav:
    """A calendar that says so about itself and holds these objects."""
    path = url.removeprefix(HOST)
    itself = resource(path, f"<d:resourcetype><c:calendar/></d:resourcetype>{state}")

    def answer(sent: Sent) -> Response:
        return multistatus(itself, *(objects if sent.headers["Depth"] == "1" else ()))

    return Dav().on("PROPFIND", url, answer)


def page(dav: Dav, cursor: str = "", page_token: str = "", calendar: str = CALENDAR) -> Page:
    query = replace(QUERY, calendar_id=calendar, cursor=cursor, page_token=page_token)
    collection = CalendarCollection(Session.of(dav, ACCESS), query.calendar_id)
    found = list_page(collection, query, reader)
    assert bool(found.next_page_token) != bool(found.next_cursor)
    return found


# Everything


def test_everything_with_a_sync_token() -> None:
    folder = resource(f"{PATH}sub/", "<d:resourcetype><d:collection/></d:resourcetype>")
    card = resource(f"{PATH}card", "<d:getcontenttype>text/vcard</d:getcontenttype>")
    typed = resource(
        C, '<d:getetag>"3"</d:getetag><d:getcontenttype>text/calendar; x=1</d:getcontenttype>'
    )
    dav = serving(SYNC + TOKEN + CTAG, version(A, '"1"'), version(B, 'W/"2"'), folder, card, typed)
    found = page(dav)
    assert found.versions == {A: '"1"', B: 'W/"2"', C: '"3"'}
    assert (found.next_cursor, found.complete) == ("sync:http://t/1", False)
    # The token is asked for before the listing: what happens in between comes once more.
    assert [sent.headers["Depth"] for sent in dav.sent] == ["0", "1"]


@pytest.mark.parametrize(
    ("state", "way"),
    [
        (SYNC + CTAG, "ctag:tag-1"),
        (TOKEN + CTAG, "ctag:tag-1"),
        (TOKEN, "digest:"),
        (SYNC, "digest:"),
    ],
)
def test_a_token_counts_only_with_its_report(state: str, way: str) -> None:
    assert page(serving(state)).next_cursor.startswith(way)


@pytest.mark.parametrize(
    "url",
    [
        "https://caldav.calendar.yahoo.com/dav/anna/Calendar/1/",
        "https://caldav.gmx.net/begenda/dav/anna/calendar/",
        "https://posteo.de:8443/calendars/anna/default/",
        "https://mail.example.com/SOGo/dav/anna/Calendar/personal/",
        "https://mail.example.com/dav/anna%40example.com/Calendar/",
        "https://example.com/caldav.php/anna/calendar/",
    ],
)
def test_servers_whose_tokens_are_not_believed(url: str) -> None:
    dav = serving(SYNC + TOKEN + CTAG, url=url)
    session = Session(dav, home=url, user="anna", secret="x")
    query = EventQuery(url, WINDOW)
    assert list_page(CalendarCollection(session, url), query, reader).next_cursor == "ctag:tag-1"


def test_a_calendar_that_has_moved() -> None:
    """It answers from elsewhere: hrefs are of there."""
    dav = serving(SYNC + TOKEN, version("/new/a.ics", '"1"'), url=f"{HOST}/new/")
    dav.on("PROPFIND", CALENDAR, reply(301, Location="/new/"))
    dav.on("REPORT", f"{HOST}/new/", multistatus(event("/new/a.ics", '"1"', ical())))
    found = page(dav)
    assert found.versions == {"/new/a.ics": '"1"'}
    assert [item.id for item in found.read(found.versions)[0]] == ["/new/a.ics"]


@pytest.mark.parametrize("problem", [AnswerTooLarge(), reply(507), reply(413)])
def test_more_than_can_be_listed(problem: Response | Exception) -> None:
    dav = serving(SYNC + TOKEN)
    [state] = dav.answers["PROPFIND", CALENDAR]
    dav.on("PROPFIND", CALENDAR, state, problem)
    dav.on("REPORT", CALENDAR, multistatus(version(A, '"1"')))
    assert page(dav).versions == {A: '"1"'}
    assert 'start="20260101T000000Z" end="20270101T000000Z"' in dav.sent[-1].body
    assert dav.sent[-1].headers["Depth"] == "1"


def test_an_href_that_is_none() -> None:
    with pytest.raises(InvalidResponse):
        page(serving(CTAG, version("//[x/", '"1"')))


# Changes by token


def changes(dav: Dav, *answers: Response | Exception) -> Page:
    return page(dav.on("REPORT", CALENDAR, *answers), "sync:http://t/1")


def test_changes() -> None:
    own = version(PATH, '"x"')
    folder = version(f"{PATH}sub/", '"x"')
    dav = Dav()
    found = changes(dav, multistatus(version(A, '"2"'), gone(B), own, folder, token="http://t/2"))
    assert (found.versions, found.removed) == ({A: '"2"'}, (B,))
    assert (found.next_cursor, found.complete) == ("sync:http://t/2", False)
    assert dav.sent[0].headers["Depth"] == "0"
    assert "<d:sync-token>http://t/1</d:sync-token>" in dav.sent[0].body
    assert "limit" not in dav.sent[0].body


def test_nothing_changed() -> None:
    found = changes(Dav(), multistatus(token="http://t/1"))
    assert (found.versions, found.removed, found.next_cursor) == ({}, (), "sync:http://t/1")


def test_the_server_makes_pages() -> None:
    more = gone(PATH, "507 Insufficient Storage")
    dav = Dav()
    first = changes(dav, multistatus(version(A, '"2"'), more, token="http://t/2"))
    assert (first.versions, first.next_page_token) == ({A: '"2"'}, "sync:http://t/2")
    dav.on("REPORT", CALENDAR, multistatus(gone(B), token="http://t/3"))
    last = page(dav, "sync:http://t/1", first.next_page_token)
    assert (last.removed, last.next_cursor) == ((B,), "sync:http://t/3")
    assert "http://t/2" in dav.sent[-1].body


def test_a_page_that_leads_back_to_itself() -> None:
    more = gone(PATH, "507 Insufficient Storage")
    with pytest.raises(CursorExpired):
        changes(Dav(), multistatus(more, token="http://t/1"))


@pytest.mark.parametrize("status", [400, 403, 409, 410, 412, 500, 501, 507])
def test_a_token_that_is_refused(status: int) -> None:
    with pytest.raises(CursorExpired):
        changes(Dav(), reply(status, error("d:valid-sync-token")))


@pytest.mark.parametrize(
    "answer",
    [
        multistatus(version(A, '"1"')),
        reply(200, "<html></html>"),
        reply(207, b'<multistatus xmlns="DAV:"><response>'),
        AnswerTooLarge(),
    ],
)
def test_changes_that_cannot_be_read(answer: Response | Exception) -> None:
    with pytest.raises(CursorExpired):
        changes(Dav(), answer)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(404), CalendarNotFound),
        (reply(429, Retry_After="3"), RateLimited),
        (reply(502), ProviderUnavailable),
        (AnswerLost(), AnswerLost),
    ],
)
def test_what_says_nothing_of_the_token(
    answer: Response | Exception, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        changes(Dav(), answer)


def test_a_dead_token_that_is_taken_is_found_out_by_a_full_listing() -> None:
    """A server that answers any token with nothing, for ever."""
    dav = serving(SYNC + TOKEN, version(A, '"2"')).on(
        "REPORT", CALENDAR, multistatus(token="http://t/1")
    )
    assert page(dav, "sync:http://t/dead").versions == {}
    assert page(dav).versions == {A: '"2"'}


def test_a_long_token() -> None:
    token = "http://t/?" + "x" * 5000
    dav = Dav().on("REPORT", CALENDAR, multistatus(token=token))
    assert page(dav, f"sync:{token}").next_cursor == f"sync:{token}"


@pytest.mark.parametrize(
    ("cursor", "page_token"),
    [("damaged", ""), ("x:y", ""), ("", "damaged"), ("ctag:tag-1", "damaged"), ("sync:\x00", "")],
)
def test_cursors_that_are_not_ours(cursor: str, page_token: str) -> None:
    with pytest.raises(CursorExpired):
        page(serving(CTAG), cursor, page_token)


# Changes by comparing


def test_nothing_changed_by_the_tag() -> None:
    dav = serving(CTAG, version(A, '"1"'))
    found = page(dav, "ctag:tag-1")
    assert (found.versions, found.next_cursor, found.complete) == ({}, "ctag:tag-1", False)
    assert len(dav.sent) == 1


def test_something_changed_by_the_tag() -> None:
    found = page(serving(CTAG, version(A, '"1"')), "ctag:tag-0")
    assert (found.versions, found.next_cursor, found.complete) == ({A: '"1"'}, "ctag:tag-1", True)


def test_by_a_digest() -> None:
    first = page(serving("", version(A, '"1"'), version(B, '"1"')))
    assert not first.complete
    same = page(serving("", version(B, '"1"'), version(A, '"1"')), first.next_cursor)
    assert (same.versions, same.next_cursor, same.complete) == ({}, first.next_cursor, False)
    other = page(serving("", version(A, '"2"'), version(B, '"1"')), first.next_cursor)
    assert (other.versions, other.complete) == ({A: '"2"', B: '"1"'}, True)
    fewer = page(serving("", version(A, '"1"')), first.next_cursor)
    assert (fewer.versions, fewer.complete) == ({A: '"1"'}, True)


def test_versions_that_are_missing() -> None:
    """Then nobody can tell whether the object has changed: it is named, and read, each time."""
    bare = resource(A, "", missing="<d:getetag/>")
    first = page(serving("", bare))
    again = page(serving("", bare), first.next_cursor)
    assert (again.versions, again.complete) == ({A: ""}, True)


# Bodies


def bodies(dav: Dav, versions: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Versions of what was read, and what could not be."""
    collection = CalendarCollection(Session.of(dav, ACCESS), CALENDAR)
    found = Page(collection=collection, reader=reader, versions=versions)
    objects, invalid = found.read(versions)
    return {item.id: item.etag for item in objects}, [item.id for item in invalid]


def multiget(**texts: str) -> Dav:
    """A server with these objects, by their letter; their version is `"1"`."""
    dav = serving()

    def answer(sent: Sent) -> Response:
        asked = re.findall(r"<d:href>(.*?)</d:href>", sent.body)
        named = {href: texts.get(href.removesuffix(".ics")[-1]) for href in asked}
        return multistatus(
            *(
                gone(href) if text is None else event(href, '"1"', text)
                for href, text in named.items()
            )
        )

    return dav.on("REPORT", CALENDAR, answer)


def test_bodies() -> None:
    dav = multiget(a=ical(), b=ical(summary="BROKEN"))
    assert bodies(dav, {A: '"1"', B: '"1"', C: '"1"'}) == ({A: '"1"'}, [B])
    assert dav.paths() == [f"PROPFIND {PATH}", f"REPORT {PATH}"]


def test_the_zone_of_floating_times_is_the_calendars() -> None:
    zone = "<c:calendar-timezone>BEGIN:VTIMEZONE\nTZID:Europe/Berlin\n</c:calendar-timezone>"
    dav = serving(zone).on("REPORT", CALENDAR, multistatus(event(A, '"1"', "BROKEN")))
    collection = CalendarCollection(Session.of(dav, ACCESS), CALENDAR)
    _, [invalid] = Page(collection=collection, reader=reader).read([A])
    assert invalid.reason == "Europe/Berlin"


def test_nothing_to_read_asks_nothing() -> None:
    dav = Dav()
    assert bodies(dav, {}) == ({}, [])
    assert dav.sent == []


def test_fifty_at_once() -> None:
    ids = {f"{PATH}{n}a.ics": '"1"' for n in range(120)}
    dav = multiget(a=ical())
    found, _ = bodies(dav, ids)
    assert found.keys() == ids.keys()
    assert [sent.body.count("<d:href>") for sent in dav.sent[1:]] == [50, 50, 20]


@pytest.mark.parametrize(
    "problem",
    [reply(413), reply(500), reply(507), AnswerLost(), AnswerTooLarge(), reply(207, b"<x")],
)
def test_too_many_at_once(problem: Response | Exception) -> None:
    dav = multiget(a=ical(), b=ical(), c=ical())
    [works] = dav.answers["REPORT", CALENDAR]

    def answer(sent: Sent) -> Response:
        if sent.body.count("<d:href>") < 2:
            assert callable(works)
            return works(sent)
        if isinstance(problem, Exception):
            raise problem
        return problem

    dav.on("REPORT", CALENDAR, answer)
    assert bodies(dav, {A: '"1"', B: '"1"', C: '"1"'})[0].keys() == {A, B, C}
    assert [sent.body.count("<d:href>") for sent in dav.sent[1:]] == [3, 1, 2, 1, 1]


def test_no_multiget_at_all() -> None:
    dav = serving().on("REPORT", CALENDAR, reply(403))
    dav.on("GET", f"{HOST}{A}", reply(200, ical(), ETag='W/"1"'))
    assert bodies(dav, {A: '"1"', B: '"1"'}) == ({A: '"1"'}, [])


def test_what_an_answer_leaves_out_is_asked_for_by_itself() -> None:
    dav = serving().on("REPORT", CALENDAR, multistatus(version(A, '"1"')))
    dav.on("GET", f"{HOST}{A}", reply(200, ical(), ETag='"1"'))
    assert bodies(dav, {A: '"1"', B: '"1"'}) == ({A: '"1"'}, [])
    dav.on("GET", f"{HOST}{B}", reply(502))
    with pytest.raises(ProviderUnavailable):
        bodies(dav, {A: '"1"', B: '"1"'})


def test_a_proxy_that_answers_404_to_everything_does_not_empty_a_calendar() -> None:
    dav = serving().on("REPORT", CALENDAR, reply(404))
    [there] = dav.answers["PROPFIND", CALENDAR]
    dav.on("PROPFIND", CALENDAR, there, reply(404))
    with pytest.raises(CalendarNotFound):
        bodies(dav, {A: '"1"', B: '"1"'})


def test_a_proxy_that_finds_its_server_again() -> None:
    dav = serving().on("REPORT", CALENDAR, reply(404))
    dav.on("GET", f"{HOST}{A}", reply(404), reply(200, ical(), ETag='"1"'))
    assert bodies(dav, {A: '"1"', B: '"1"'}) == ({A: '"1"'}, [])
    assert dav.paths().count(f"GET {B}") == 2


def test_too_many_requests_are_not_asked_again() -> None:
    dav = serving().on("REPORT", CALENDAR, reply(429, Retry_After="9"))
    with pytest.raises(RateLimited) as raised:
        bodies(dav, {A: '"1"', B: '"1"'})
    assert raised.value.retry_after == 9


@pytest.mark.parametrize(
    ("listed", "read", "kept"),
    [
        ('"1"', '"1"', '"1"'),
        ('"1"', 'W/"1"', '"1"'),
        ("1", '"1"', "1"),
        ('"1"', '"2"', '"2"'),
        ('"1"', "", '"sha256:'),
        ("", '"2"', '"2"'),
    ],
)
def test_versions_in_two_spellings(listed: str, read: str, kept: str) -> None:
    dav = serving().on("REPORT", CALENDAR, multistatus(event(A, read, ical())))
    [etag] = bodies(dav, {A: listed})[0].values()
    assert etag.startswith(kept)


def test_a_version_of_our_own_changes_with_the_text() -> None:
    versions = [
        bodies(serving().on("REPORT", CALENDAR, multistatus(event(A, "", text))), {A: ""})[0][A]
        for text in (ical(), ical(), ical(summary="Dinner"))
    ]
    assert versions[0] == versions[1] != versions[2]


def test_hrefs_in_two_spellings() -> None:
    """Asked with `@` as it was listed, answered with `%40`; and where both exist, each its own."""
    plain, escaped = f"{PATH}a@b.ics", f"{PATH}a%40b.ics"
    dav = serving().on("REPORT", CALENDAR, multistatus(event(escaped, '"1"', ical())))
    assert bodies(dav, {plain: '"1"'})[0] == {plain: '"1"'}
    assert f"<d:href>{plain}</d:href>" in dav.sent[-1].body
    both = multistatus(event(escaped, '"1"', ical()), event(plain, '"2"', ical()))
    dav = serving().on("REPORT", CALENDAR, both)
    assert bodies(dav, {plain: '"2"', escaped: '"1"'})[0] == {plain: '"2"', escaped: '"1"'}


def test_a_huge_body_is_alone() -> None:
    dav = multiget(a=ical(), b=ical(summary="x" * 1_100_000))
    assert bodies(dav, {A: '"1"', B: '"1"'}) == ({A: '"1"'}, [B])
    dav = (
        serving().on("REPORT", CALENDAR, AnswerTooLarge()).on("GET", f"{HOST}{A}", AnswerTooLarge())
    )
    assert bodies(dav, {A: '"1"'}) == ({}, [A])


@pytest.mark.parametrize(
    "name", ["//evil.example/a.ics", "//[x/", "https://evil.example/a.ics", "a.ics", ""]
)
def test_ids_that_lead_elsewhere(name: str) -> None:
    dav = serving()
    assert bodies(dav, {name: '"1"'}) == ({}, [])
    assert {sent.method for sent in dav.sent} == {"PROPFIND"}


# The calendar itself


@pytest.mark.parametrize(
    "calendar", ["nobody@nowhere.example", "a/b?c#d e", "..", "", "ftp://x/", "https://[x/"]
)
def test_what_is_no_calendar(calendar: str) -> None:
    with pytest.raises(CalendarNotFound):
        page(Dav(), calendar=calendar)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(404), CalendarNotFound),
        (multistatus(gone(PATH)), CalendarNotFound),
        (reply(403), CalendarForbidden),
        (reply(503, Retry_After="5"), RateLimited),
    ],
)
def test_a_calendar_that_is_gone(answer: Response, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        page(Dav().on("PROPFIND", CALENDAR, answer))
