"""WebDAV's XML: what is understood, what is forgiven, and what is refused."""

from __future__ import annotations

import tracemalloc

import pytest
from lxml import etree

from providers.caldav import multistatus as multistatus_module
from providers.caldav.multistatus import (
    CALDAV,
    DAV,
    Members,
    calendar_query,
    multiget,
    preconditions,
    propfind,
    read_multistatus,
    sync_collection,
)
from providers.errors import InvalidResponse
from tests.providers.caldav.dav import error, gone, multistatus, resource, version

URL = "https://dav.example.com/cal/"
ETAG = f"{DAV}getetag"


def read(body: bytes | str) -> list[tuple[str, int, str]]:
    raw = body.encode() if isinstance(body, str) else body
    found = read_multistatus(URL, raw)
    return [(member.href, member.status, member.text(ETAG)) for member in found.members]


def test_members_and_the_token() -> None:
    answer = multistatus(version("/cal/a.ics", '"1"'), gone("/cal/b.ics"), token="http://t/?a=1&b")
    found = Members(URL, answer.body)
    assert [member.href for member in found] == ["/cal/a.ics", "/cal/b.ics"]
    assert (found.url, found.sync_token) == (URL, "http://t/?a=1&b")
    assert read(answer.body) == [("/cal/a.ics", 0, '"1"'), ("/cal/b.ics", 404, "")]


def test_what_stands_where_two_pieces_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Characters of several bytes, references, markup."""
    href = "/a\u00e9\u20ac\U0001f600&amp;&#38;&#x0000000b;&#1;b\x01c"
    body = (
        f'  <multistatus xmlns="DAV:"><response><href>{href}</href></response>'
        "<sync-token>t</sync-token></multistatus>"
    ).encode()
    for size in range(1, 40):
        monkeypatch.setattr(multistatus_module, "_PIECE", size)
        found = Members(URL, b"\xef\xbb\xbf" + body)
        assert [member.href for member in found] == ["/a\u00e9\u20ac\U0001f600&&bc"]
        assert found.sync_token == "t"


def test_what_is_not_there_is_absent() -> None:
    answer = multistatus(
        resource("/cal/", "<d:displayname>Work</d:displayname>", missing="<d:owner/>")
    )
    [member] = read_multistatus(URL, answer.body).members
    assert set(member.properties) == {f"{DAV}displayname"}


def test_names_hrefs_and_components_of_a_property() -> None:
    answer = multistatus(
        resource(
            "/cal/",
            "<d:resourcetype><d:collection/><c:calendar/></d:resourcetype>"
            '<c:supported-calendar-component-set><c:comp name="vevent"/>'
            "</c:supported-calendar-component-set>"
            "<c:calendar-user-address-set><d:href>mailto:b@example.com</d:href>"
            '<d:href preferred="1"> mailto:a@example.com </d:href></c:calendar-user-address-set>',
        )
    )
    [member] = read_multistatus(URL, answer.body).members
    assert member.names(f"{DAV}resourcetype") == {f"{DAV}collection", f"{CALDAV}calendar"}
    components = member.properties[f"{CALDAV}supported-calendar-component-set"].components
    assert components == {"VEVENT"}
    assert member.hrefs(f"{CALDAV}calendar-user-address-set") == (
        "mailto:a@example.com",
        "mailto:b@example.com",
    )


def test_several_hrefs_share_a_status() -> None:
    body = (
        '<multistatus xmlns="DAV:"><response><href>/a</href><href>/b</href>'
        "<status>HTTP/1.1 404 Not Found</status></response></multistatus>"
    )
    assert read(body) == [("/a", 404, ""), ("/b", 404, "")]


@pytest.mark.parametrize(
    "bad",
    ["\x00", "\x08", "\x1f", "&#0;", "&#x0;", "&#x1F;", "&#11;", "&#xD800;", "\ufffe", "\uffff"],
)
def test_characters_that_xml_does_not_have_are_dropped(bad: str) -> None:
    body = f'<multistatus xmlns="DAV:"><response><href>/a{bad}b</href></response></multistatus>'
    assert read(body) == [("/ab", 0, "")]


def test_line_breaks_stay() -> None:
    data = "BEGIN:VCALENDAR&#13;\nEND:VCALENDAR&#xD;\n"
    body = (
        '<multistatus xmlns="DAV:"><response><href>/a</href><propstat><prop>'
        f"<getetag>{data}</getetag></prop></propstat></response></multistatus>"
    )
    assert read(body) == [("/a", 0, "BEGIN:VCALENDAR\r\nEND:VCALENDAR")]


def test_damaged_utf8_and_a_byte_order_mark() -> None:
    body = b'<multistatus xmlns="DAV:"><response><href>/\xff</href></response></multistatus>'
    assert read(b"\xef\xbb\xbf" + body) == [("/\ufffd", 0, "")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Welcome<br></html>",
        b"<!DOCTYPE html><html><head></head></html>",
        b'<!DOCTYPE x [<!ENTITY e "y">]><multistatus xmlns="DAV:"/>',
        b'<error xmlns="DAV:"/>',
        b'<html><multistatus xmlns="DAV:"/></html>',
        b'<response xmlns="DAV:"><href>/a</href></response>',
        b'<multistatus xmlns="DAV:"><response><href>/a</href>',
        b"{}",
    ],
)
def test_what_is_no_multistatus(body: bytes) -> None:
    with pytest.raises(InvalidResponse):
        read_multistatus(URL, body)


def test_entities_are_not_followed() -> None:
    secret = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    with pytest.raises(InvalidResponse) as raised:
        read_multistatus(URL, secret + b'<multistatus xmlns="DAV:">&e;</multistatus>')
    assert "root" not in str(raised.value)


def test_a_million_elements_in_each_other() -> None:
    body = b'<multistatus xmlns="DAV:">' + b"<a>" * 1_000_000
    with pytest.raises(InvalidResponse):
        read_multistatus(URL, body)


def test_a_long_listing_is_no_tree_in_memory() -> None:
    body = multistatus(*(version(f"/cal/{n}.ics", f'"{n}"') for n in range(20_000))).body
    tracemalloc.start()
    try:
        number = sum(1 for _ in Members(URL, body))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert number == 20_000
    assert most < 2_000_000  # beside the body, which was there before


def test_preconditions() -> None:
    assert preconditions(error("c:no-uid-conflict").encode()) == {"no-uid-conflict"}
    assert preconditions(b"<html></html>") == preconditions(b"") == frozenset()


def test_what_is_asked_is_well_formed_and_escaped() -> None:
    token, href = 'a&b<c>"', "/cal/&<x>.ics"
    [asked] = etree.fromstring(sync_collection(token)).iter(f"{DAV}sync-token")
    assert asked.text == token
    assert b"limit" not in sync_collection(token)
    assert [each.text for each in etree.fromstring(multiget([href])).iter(f"{DAV}href")] == [href]
    names = [ETAG, f"{CALDAV}calendar-timezone"]
    assert [str(each.tag) for each in etree.fromstring(propfind(names))[0]] == names
    query = etree.fromstring(calendar_query("20260101T000000Z", "20270101T000000Z"))
    assert [each.get("name") for each in query.iter(f"{CALDAV}comp-filter")] == [
        "VCALENDAR",
        "VEVENT",
    ]
    [span] = query.iter(f"{CALDAV}time-range")
    assert (span.get("start"), span.get("end")) == ("20260101T000000Z", "20270101T000000Z")
