"""How the bodies of objects are fetched: at servers of many kinds."""

from __future__ import annotations

import re

import pytest

from providers.base import Response
from providers.caldav.collection import CalendarCollection
from providers.caldav.listing import Page
from providers.caldav.session import Session
from providers.errors import (
    AnswerLost,
    AnswerTooLarge,
    CalendarNotFound,
    ProviderUnavailable,
    RateLimited,
)
from tests.providers.caldav.dav import (
    ACCESS,
    CALENDAR,
    HOST,
    Dav,
    Sent,
    event,
    gone,
    ical,
    multistatus,
    reply,
    version,
)
from tests.providers.caldav.listings import (
    PATH,
    A,
    B,
    C,
    reader,
    serving,
)


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
