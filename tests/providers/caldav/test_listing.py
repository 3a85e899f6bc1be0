"""What is listed, and by which cursor: at servers of many kinds."""

from __future__ import annotations

import pytest

from providers.base import EventQuery, Response
from providers.caldav.collection import CalendarCollection
from providers.caldav.listing import Page, list_page
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
    CALENDAR,
    HOST,
    Dav,
    error,
    event,
    gone,
    ical,
    multistatus,
    reply,
    resource,
    version,
)
from tests.providers.caldav.listings import (
    CTAG,
    PATH,
    SYNC,
    TOKEN,
    WINDOW,
    A,
    B,
    C,
    page,
    reader,
    serving,
)

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
