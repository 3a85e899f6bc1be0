"""Which redirect URIs may be named: the table of bad ones of RFC 9700, section 4.11."""

import pytest

from talkover.environments.redirects import check_redirect_uri


@pytest.mark.parametrize(
    "uri",
    [
        "https://example.com/oauth/calendar/callback",
        "https://example.com",
        "https://example.com:8443/cb?tenant=7",
        "https://sub.example.co.uk/a%20b",
        "https://xn--mnchen-3ya.example/cb",
        "https://192.0.2.7/cb",
        "http://localhost/cb",
        "http://localhost:3000/cb",
        "http://127.0.0.1:3000/cb",
        "http://[::1]:3000/cb",
    ],
)
def test_good(uri: str) -> None:
    assert check_redirect_uri(uri) == ""


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/callback",
        "callback",
        "//example.com/cb",
        "///example.com/cb",
        "https:///cb",
        "https:example.com",
        "https://",
        "http://example.com/cb",
        "http://127.0.0.1.example.com/cb",
        "http://localhost.example.com/cb",
        "ftp://example.com/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://example.com/cb#fragment",
        "https://example.com/cb#",
        "https://user@example.com/cb",
        "https://user:secret@example.com/cb",
        "https://example.com@evil.example/cb",
        "https://example.com\\@evil.example/cb",
        "https://example.com\\cb",
        "https://example.com/a b",
        "https://example.com/\ncb",
        " https://example.com/cb",
        "https://example.com/\x00",
        "https://exämple.com/cb",
        "https://example.com:0/cb",
        "https://example.com:/cb",
        "https://example.com:99999/cb",
        "https://-example.com/cb",
        "https://exa_mple.com/cb",
        "https://[::1/cb",
        "https://example.com/cb?state=mine",
        "https://example.com/cb?x=1&signature=",
        "https://example.com/" + "a" * 10_000,
    ],
)
def test_bad_with_a_reason(uri: str) -> None:
    assert check_redirect_uri(uri).endswith((".", "…)."))
