"""Basic and Digest, and which of them a server gets."""

from __future__ import annotations

import hashlib
import re

import pytest

from providers.caldav.auth import Basic, Digest, Scheme, choose

URL = "https://dav.example.com/dir/index.html?a=1"
# RFC 7616 section 3.9.1.
USER, SECRET, REALM = "Mufasa", "Circle of Life", "http-auth@example.org"
NONCE, OPAQUE = (
    "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
    "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
)


def challenge(algorithm: str, extra: str = "", nonce: str = NONCE) -> str:
    return (
        f'Digest realm="{REALM}", qop="auth, auth-int", algorithm={algorithm}, nonce="{nonce}",'
        f' opaque="{OPAQUE}"{extra}'
    )


def chosen(header: str, used: Scheme | None = None) -> Scheme | None:
    return choose(header, user=USER, secret=SECRET, used=used)


def parts(header: str) -> dict[str, str]:
    return {
        name: quoted or plain
        for name, quoted, plain in re.findall(r'([\w*]+)=(?:"((?:\\.|[^"])*)"|([^\s,]+))', header)
    }


def test_the_answer_of_the_standard(monkeypatch: pytest.MonkeyPatch) -> None:
    own = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    monkeypatch.setattr("providers.caldav.auth.secrets.token_hex", lambda _size: own)
    url = "http://www.example.org/dir/index.html"
    expected = {
        "MD5": "8ca523f5e9506fed4657c9700eebdbec",
        "SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
    }
    for algorithm, response in expected.items():
        scheme = chosen(challenge(algorithm))
        assert isinstance(scheme, Digest)
        said = parts(scheme.header("GET", url))
        assert said["response"] == response
        assert (said["nc"], said["qop"], said["opaque"]) == ("00000001", "auth", OPAQUE)


def test_a_session_algorithm() -> None:
    scheme = chosen(challenge("MD5-sess"))
    assert isinstance(scheme, Digest)
    said = parts(scheme.header("PROPFIND", URL))
    md5 = lambda text: hashlib.md5(text.encode()).hexdigest()  # noqa: E731
    first = md5(f"{md5(f'{USER}:{REALM}:{SECRET}')}:{NONCE}:{said['cnonce']}")
    second = md5("PROPFIND:/dir/index.html?a=1")
    assert said["response"] == md5(f"{first}:{NONCE}:00000001:{said['cnonce']}:auth:{second}")


def test_each_use_counts() -> None:
    scheme = chosen(challenge("MD5"))
    assert isinstance(scheme, Digest)
    counts = [parts(scheme.header("GET", URL))["nc"] for _ in range(3)]
    assert counts == ["00000001", "00000002", "00000003"]


def test_the_strongest_is_chosen() -> None:
    offers = f'Basic realm="x", {challenge("MD5")}, {challenge("SHA-256")}'
    scheme = chosen(offers)
    assert isinstance(scheme, Digest)
    assert scheme.challenge["algorithm"] == "SHA-256"


@pytest.mark.parametrize(
    "header",
    [
        "",
        'Basic realm="a, \\"b\\", Digest"',
        'X-MobileMe-AuthToken realm="Newcastle", basic realm="Newcastle"',
        'Negotiate abc==, Basic realm="x"',
        'Digest realm="x", nonce="n", algorithm=MD5, qop="auth-int", Basic realm="x"',
        'Digest realm="x", nonce="n", algorithm=SHA-512-256, qop="auth", Basic realm="x"',
    ],
)
def test_basic(header: str) -> None:
    scheme = chosen(header)
    assert isinstance(scheme, Basic)
    assert scheme.header("GET", URL) == "Basic TXVmYXNhOkNpcmNsZSBvZiBMaWZl"
    assert chosen(header, used=scheme) is None


@pytest.mark.parametrize("header", ['Bearer realm="x"', "Negotiate"])
def test_a_way_that_a_password_does_not_go(header: str) -> None:
    assert chosen(header) is None


def test_a_nonce_that_is_stale_is_replaced_and_a_wrong_password_is_not() -> None:
    used = chosen(challenge("MD5"))
    assert chosen(challenge("MD5", nonce="other"), used) is None
    fresh = chosen(challenge("MD5", ", stale=TRUE", nonce="other"), used)
    assert isinstance(fresh, Digest)
    assert fresh.challenge["nonce"] == "other"


def test_from_basic_to_digest() -> None:
    assert isinstance(chosen(challenge("MD5"), Basic(USER, SECRET)), Digest)


def test_names_outside_of_ascii_and_with_quotes() -> None:
    scheme = choose(challenge("MD5"), user="Jürgen", secret="ü", used=None)
    assert scheme is not None
    assert "username*=UTF-8''J%C3%BCrgen," in scheme.header("GET", URL)
    scheme = choose(challenge("MD5"), user='a"b\\', secret="x", used=None)
    assert scheme is not None
    assert 'username="a\\"b\\\\"' in scheme.header("GET", URL)


def test_no_secret_in_a_repr() -> None:
    for scheme in (Basic(USER, SECRET), Digest(USER, SECRET, {"nonce": "n"})):
        assert SECRET not in repr(scheme)
