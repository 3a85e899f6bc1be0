"""The door to the outside, against real sockets: what is sent, what comes back, and TLS."""

from __future__ import annotations

import gzip
import threading
import zlib
from pathlib import Path

import pytest

from providers.errors import CertificateInvalid, ProviderError, ProviderUnavailable
from providers.http import HttpClient
from tests.providers.certificates import certify
from tests.providers.http_server import Server, answer, client, resolver, text_chain

# What is sent, and what comes back


def test_request_and_answer(server: Server) -> None:
    server.replies = [answer(b'{"a": 1}', "201 Created", "X-One: 1")]
    got = client(server).request("POST", server.url(), headers={"X-Two": "2"}, body=b"a=b")
    assert (got.status, got.body) == (201, b'{"a": 1}')
    assert got.headers["x-one"] == got.headers["X-ONE"] == "1"
    assert server.requests[0].startswith(b"POST /path?secret=canary HTTP/1.1\r\n")
    assert b"User-Agent: tests/1 (gzip)\r\n" in server.requests[0]
    assert b"X-Two: 2\r\n" in server.requests[0]
    assert server.requests[0].endswith(b"\r\n\r\na=b")


def test_an_answer_shows_neither_headers_nor_body_in_its_repr(server: Server) -> None:
    server.replies = [answer(b"canary", "200 OK", "Set-Cookie: canary")]
    assert "canary" not in repr(client(server).request("GET", server.url("/")))


def test_connections_are_kept_open_and_shared_by_threads(server: Server) -> None:
    server.replies = [answer()]
    http = client(server)
    for _ in range(5):
        http.request("GET", server.url())
    assert server.connections == 1
    failures: list[ProviderError] = []

    def work() -> None:
        try:
            for _ in range(20):
                assert http.request("GET", server.url()).body == b"hello"
        except ProviderError as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert server.connections <= 5


def test_a_connection_the_server_closed_meanwhile_is_replaced(server: Server) -> None:
    server.replies = [answer(b"hello", "200 OK", "Connection: close")]
    http = client(server)
    for _ in range(3):
        assert http.request("GET", server.url()).body == b"hello"
    assert server.connections == 3


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_redirects_are_answers(server: Server, status: str) -> None:
    server.replies = [answer(b"", status, f"Location: {server.url('/elsewhere')}")]
    assert client(server).request("GET", server.url()).status == int(status[:3])
    assert len(server.requests) == 1


def test_nothing_is_repeated(server: Server) -> None:
    server.replies = [answer(b"", "503 Busy", "Retry-After: 0")]
    assert client(server).request("GET", server.url()).status == 503
    server.replies = [lambda sock: sock.close()]
    with pytest.raises(ProviderUnavailable):
        client(server).request("GET", server.url())
    assert len(server.requests) == 2


def test_no_proxy_from_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    server.replies = [answer()]
    assert client(server).request("GET", server.url()).body == b"hello"


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_empty_answers(server: Server, reply: bytes) -> None:
    server.replies = [reply]
    http = client(server)
    assert http.request("GET", server.url()).body == b""
    assert http.request("GET", server.url()).body == b""
    assert server.connections == 1


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b"x" * 5000, mtime=0)),
        ("x-gzip", gzip.compress(b"x" * 5000, mtime=0)),
        ("GZIP", gzip.compress(b"x" * 5000, mtime=0)),
        ("deflate", zlib.compress(b"x" * 5000)),
        ("deflate", zlib.compress(b"x" * 5000, wbits=-15)),
        ("identity", b"x" * 5000),
    ],
)
def test_compressed_answers(server: Server, encoding: str, packed: bytes) -> None:
    server.replies = [answer(packed, "200 OK", f"Content-Encoding: {encoding}")]
    assert client(server).request("GET", server.url()).body == b"x" * 5000


def test_a_chunked_answer_leaves_the_connection_usable(server: Server) -> None:
    packed = gzip.compress(bytes(range(256)) * 400)
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (len(part), part)
        for part in (packed[i : i + 100] for i in range(0, len(packed), 100))
    )
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"
    server.replies = [head + chunks + b"0\r\n\r\n"]
    http = client(server)
    for _ in range(2):
        assert http.request("GET", server.url()).body == bytes(range(256)) * 400
    assert server.connections == 1


def test_html_is_an_answer_like_any_other(server: Server) -> None:
    server.replies = [answer(b"<html>Sorry</html>", "502 Bad Gateway", "Content-Type: text/html")]
    got = client(server).request("GET", server.url())
    assert (got.status, got.body) == (502, b"<html>Sorry</html>")


# TLS


@pytest.mark.parametrize(
    ("name", "trusted", "days", "works"),
    [
        ("calendar.example", True, 1, True),
        ("calendar.example", False, 1, False),
        ("calendar.example", True, -1, False),
        ("other.example", True, 1, False),
    ],
)
def test_the_certificate_must_be_trusted_and_valid_and_for_the_name(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    trusted: bool,
    days: int,
    works: bool,
) -> None:
    public, context = certify(tmp_path, "calendar.example", days=days)
    server = Server(context)
    server.replies = [answer()]
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(public))
    http = HttpClient(user_agent="t", allowed_hosts=frozenset({f"{name}:{server.port}"}))
    resolver(monkeypatch, ["127.0.0.1"], ["127.0.0.1"])
    url = f"https://{name}:{server.port}/?secret=canary"
    if works:
        assert http.request("GET", url).body == b"hello"
        assert http.request("GET", url).body == b"hello"  # on the same connection
    else:
        with pytest.raises(CertificateInvalid, match="No trusted TLS connection") as raised:
            http.request("GET", url)
        assert "canary" not in text_chain(raised.value)
    server.close()


def test_plain_http_on_a_tls_port(server: Server) -> None:
    with pytest.raises(ProviderUnavailable):
        client(server, connect_timeout=0.3).request("GET", f"https://{server.host}/")
