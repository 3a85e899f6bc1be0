"""What people type or paste as an address."""

from __future__ import annotations

import pytest

from providers.addresses import Entered, read_address
from providers.errors import NotACalendar

SCHEMES = {"https": "https", "http": "http", "webcal": "https"}


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("a.example", "https://a.example"),
        (" https://A.example/X.ics\n", "https://a.example/X.ics"),
        ("WEBCAL://a.example/x?key=1", "https://a.example/x?key=1"),
        ("http://a.example:5232/", "http://a.example:5232/"),
        ("a.example:8443/dav", "https://a.example:8443/dav"),
        ("https://a.example/x.ics#today", "https://a.example/x.ics"),
        ("https://münchen.example/Köln/x.ics", "https://xn--mnchen-3ya.example/K%C3%B6ln/x.ics"),
        (
            "https://a.example/My calendar.ics?of=a b",
            "https://a.example/My%20calendar.ics?of=a%20b",
        ),
        ("https://a.example/a%20b%2Fc@d", "https://a.example/a%20b%2Fc@d"),
        ("https://[2001:DB8::1]:8443/x", "https://[2001:db8::1]:8443/x"),
        ("https://192.0.2.1/x", "https://192.0.2.1/x"),
        ("my_server.local.", "https://my_server.local."),
    ],
)
def test_what_is_meant(text: str, url: str) -> None:
    assert read_address(text, SCHEMES) == (url, "", "")
    assert read_address(url, SCHEMES).url == url


def test_user_name_and_password() -> None:
    entered = read_address("https://anna%40a.example:p%3Ass@a.example/x", SCHEMES)
    assert entered == Entered("https://a.example/x", "anna@a.example", "p:ss")
    assert "ss" not in repr(entered)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "not an address", "foo bar.com", "exa%20mple.com", "https://", "//x", "/x", "@",
        "-", "ftp://a.example/x", "file:///etc/passwd", "javascript:alert(1)", "a.example:99999",
        "a.example:port", "https://a..example/", "https://[::1", "https://[x]/",
        "https://[fe80::1%25eth0]/", "https://x\x00y/", f"https://{'a' * 64}.example/",
        f"https://{'a.' * 150}example/", "\u2028..y",
    ],
)  # fmt: skip
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(NotACalendar):
        read_address(text, SCHEMES)
