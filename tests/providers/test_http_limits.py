"""Answers that are too large, too slow, broken off or no HTTP, and what the errors tell."""

from __future__ import annotations

import gzip
import logging
import socket
import threading
import time

import pytest

from providers.errors import InvalidResponse, ProviderError, ProviderUnavailable, RequestRefused
from providers.http import HttpClient
from tests.providers.http_server import (
    Reply,
    Server,
    answer,
    client,
    drip,
    last_words,
    resolver,
    text_chain,
)
from tests.services import free_port

# Limits


@pytest.mark.parametrize(
    "reply",
    [
        answer(b"x" * 1001),
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"3e9\r\n" + b"x" * 1001,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffff\r\n" + b"x" * 5000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n",
        answer(gzip.compress(b"x" * 1001, mtime=0), "200 OK", "Content-Encoding: gzip"),
    ],
)
def test_too_much(server: Server, reply: bytes) -> None:
    server.replies = [reply, answer()]
    http = client(server, max_bytes=1000)
    with pytest.raises(InvalidResponse, match="larger than 1000 bytes"):
        http.request("GET", server.url())
    assert http.request("GET", server.url()).body == b"hello"


def test_the_limit_itself_is_allowed_and_can_be_given_per_request(server: Server) -> None:
    server.replies = [answer(b"x" * 1000)]
    assert len(client(server, max_bytes=1000).request("GET", server.url()).body) == 1000
    with pytest.raises(InvalidResponse):
        client(server).request("GET", server.url(), max_bytes=999)


def test_a_compression_bomb_is_not_unpacked(server: Server) -> None:
    bomb = gzip.compress(b"\0" * 300_000_000, compresslevel=1)
    server.replies = [answer(bomb, "200 OK", "Content-Encoding: gzip")]
    started = time.process_time()
    with pytest.raises(InvalidResponse, match="decompressed"):
        client(server).request("GET", server.url())
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", b"not gzip"), ("gzip", gzip.compress(b"abc", mtime=0)[:-3]), ("br", b"abc")],
)
def test_what_cannot_be_unpacked(server: Server, encoding: str, body: bytes) -> None:
    server.replies = [answer(body, "200 OK", f"Content-Encoding: {encoding}")]
    with pytest.raises(InvalidResponse):
        client(server).request("GET", server.url())


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Long: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n",
    ],
)
def test_a_dripping_server_is_left_at_the_deadline(server: Server, start: bytes) -> None:
    server.replies = [drip(start)]
    started = time.monotonic()
    with pytest.raises(ProviderUnavailable, match="did not answer in time"):
        client(server, total_timeout=0.5).request("GET", server.url())
    assert time.monotonic() - started < 2


def test_a_silent_server_is_left_at_the_read_timeout(server: Server) -> None:
    server.replies = [lambda _: time.sleep(5)]
    started = time.monotonic()
    with pytest.raises(ProviderUnavailable, match="did not answer in time"):
        client(server, read_timeout=0.3).request("GET", server.url())
    assert time.monotonic() - started < 2


def test_endless_headers(server: Server) -> None:
    def reply(sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\n")
        for _ in range(90):
            sock.sendall(b"X-Many: " + b"x" * 60_000 + b"\r\n")

    server.replies = [reply]
    with pytest.raises(InvalidResponse):
        client(server).request("GET", server.url())


@pytest.mark.parametrize(
    "reply", [b"SSH-2.0-server\r\n\r\n", b"\0\1\2\3\r\n\r\n", b"HTTP/1.1 banana\r\n\r\n"]
)
def test_not_http(server: Server, reply: bytes) -> None:
    server.replies = [last_words(reply)]
    with pytest.raises(InvalidResponse):
        client(server).request("GET", server.url())


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ],
)
def test_broken_off(server: Server, reply: bytes) -> None:
    server.replies = [last_words(reply), answer()]
    http = client(server)
    with pytest.raises(ProviderUnavailable, match="broke off"):
        http.request("GET", server.url())
    assert http.request("GET", server.url()).body == b"hello"


# What an error tells


def test_closed_and_filtered_ports_read_alike_and_take_as_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def filtered(sock: socket.socket, _address: object) -> None:
        time.sleep(sock.gettimeout() or 0)
        raise TimeoutError

    def closed(_sock: socket.socket, _address: object) -> None:
        raise ConnectionRefusedError

    told = []
    for connect in (closed, filtered):
        resolver(monkeypatch, ["8.8.8.8", "1.1.1.1"])
        monkeypatch.setattr(socket.socket, "connect", connect)
        started = time.monotonic()
        with pytest.raises(ProviderUnavailable) as raised:
            HttpClient(user_agent="t", connect_timeout=0.5).request(
                "GET", "https://calendar.example/"
            )
        told.append((type(raised.value), raised.value.code, raised.value.detail))
        assert 0.5 <= time.monotonic() - started < 2
    assert told[0] == told[1]


def test_a_refusal_of_a_host_the_operator_named_is_told_at_once() -> None:
    host = f"127.0.0.1:{free_port()}"
    started = time.monotonic()
    with pytest.raises(ProviderUnavailable, match="No connection"):
        HttpClient(user_agent="t", allowed_hosts=frozenset({host}), connect_timeout=30).request(
            "GET", f"http://{host}/"
        )
    assert time.monotonic() - started < 5


def test_a_name_server_that_hangs_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answered.wait(20))
    started = time.monotonic()
    with pytest.raises(ProviderUnavailable, match="cannot be resolved"):
        HttpClient(user_agent="t", total_timeout=0.3).request("GET", "https://calendar.example/")
    assert time.monotonic() - started < 2
    answered.set()


def test_a_name_that_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(ProviderUnavailable, match="cannot be resolved"):
        HttpClient(user_agent="t").request("GET", "https://nowhere.example/")


@pytest.mark.parametrize(
    "reply",
    [
        drip(b"HTTP/1.1 200 OK\r\n\r\n"),
        lambda sock: sock.close(),
        last_words(b"canary canary\r\n\r\n"),
        answer(b"canary" * 20_000),
        answer(b"canary", "200 OK", "Content-Encoding: gzip"),
        b"HTTP/1.1 200 OK\r\n: canary\r\nno colon\r\nContent-Length: x, y\r\n\r\n",
    ],
)
def test_no_error_and_no_log_line_holds_the_query_the_token_or_a_body(
    server: Server, caplog: pytest.LogCaptureFixture, reply: Reply
) -> None:
    server.replies = [reply]
    with caplog.at_level(logging.DEBUG, logger="tests"), pytest.raises(ProviderError) as raised:
        client(server, total_timeout=0.3, max_bytes=1000).request(
            "POST", server.url(), headers={"Authorization": "Bearer canary"}, body=b"code=canary"
        )
    assert "canary" not in text_chain(raised.value)
    assert "canary" not in caplog.text


def test_a_header_that_cannot_be_sent_is_not_repeated_in_the_error(server: Server) -> None:
    server.replies = [answer()]
    with pytest.raises(RequestRefused) as raised:
        client(server).request("GET", server.url(), headers={"Authorization": "a\r\ncanary: 1"})
    assert "canary" not in text_chain(raised.value)
