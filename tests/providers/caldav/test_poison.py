"""Whatever a server says, it is understood or refused: no other error comes out."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from providers.caldav import urls
from providers.caldav.auth import choose
from providers.caldav.multistatus import conflicting, preconditions, read_multistatus
from providers.caldav.scheduling import addressed, has_attendees, is_organized_by
from providers.errors import InvalidResponse
from tests.providers.caldav.dav import event, gone, ical, multistatus, version

SANE = multistatus(version("/a.ics", '"1"'), event("/b", '"2"', ical()), gone("/c"), token="t").body
INSERTED = [
    *(b"<![CDATA[", b"]]>", b"&#x1;", b"&e;", b"<!--", b"<?x?>", b"<!DOCTYPE a>", b"\x00"),
    *(b"</d:response>", b"\xff\xfe", b"<d:href>", b"<d:propstat>", b"&", b"<"),
]


@given(st.lists(st.tuples(st.integers(0, len(SANE)), st.sampled_from(INSERTED)), max_size=5))
def test_answers_with_things_in_them(damage: list[tuple[int, bytes]]) -> None:
    body = SANE
    for at, inserted in damage:
        body = body[:at] + inserted + body[at:]
    with suppress(InvalidResponse):
        read_multistatus("https://dav.example.com/", body)


@given(st.binary(max_size=200))
def test_answers_of_any_bytes(body: bytes) -> None:
    with suppress(InvalidResponse):
        read_multistatus("https://dav.example.com/", body)
    assert preconditions(body) == frozenset()
    assert conflicting(body) == ()


@given(st.text("/:?#[]@%2eé\\ .\nx", max_size=30))
def test_hrefs_of_any_characters(href: str) -> None:
    base = "https://dav.example.com/calendars/"
    with suppress(InvalidResponse):
        url = urls.resolve(base, href)
        assert url.isascii()
        assert "#" not in url
        assert not set(url) & set(" \n\r\t\\")
        assert urls.is_same(url, urls.resolve(base, href))
        urls.may_know_password(base, url)
        urls.path_of(base, href)


@given(
    st.lists(st.sampled_from(["Digest ", "Basic ", 'realm="', '"', "nonce=", ",", "=", "\\", "é"]))
)
def test_challenges_of_any_kind(parts: list[str]) -> None:
    scheme = choose("".join(parts), user="anna", secret="canary", used=None)
    if scheme is not None:
        assert scheme.header("GET", "https://dav.example.com/").isascii()


@given(
    st.lists(st.sampled_from(["ATTENDEE", "ORGANIZER", ";", ":", '"', "\n", "BEGIN:VEVENT", "a@b"]))
)
def test_texts_of_any_kind(parts: list[str]) -> None:
    text = "".join(parts)
    is_organized_by(text, ["mailto:a@b"])
    if has_attendees(text):
        quiet = addressed(text, notify=False, organizer="anna@example.com")
        assert addressed(quiet, notify=False) == quiet
