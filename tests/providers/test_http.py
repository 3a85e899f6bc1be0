"""The door to the outside, against real sockets: each test's server says what it pleases."""

from __future__ import annotations

import gzip
import logging
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from providers.errors import (
    AddressBlocked,
    InvalidResponse,
    ProviderError,
    ProviderUnavailable,
    RequestRefused,
)
from providers.http import (
    HttpClient,
    clean_text,
    decode_json,
    path_segment,
    repair_json,
    retry_after_seconds,
)
from providers.sockets import is_allowed_address

Reply = bytes | Callable[[socket.socket], None]


class Server:
    """Answers each request with the next of `replies` (the last one for ever): bytes, or a function
    that gets the socket. `requests` are the requests' heads and bodies as they came.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.replies: list[Reply] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, path: str = "/path?secret=canary") -> str:
        return f"http://{self.host}{path}"

    def close(self) -> None:
        self._listener.close()
        for sock in self._sockets:
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            if self._context:
                sock = self._context.wrap_socket(sock, server_side=True)
            self._sockets.append(sock)
            while (request := self._read_request(sock)) is not None:
                self.requests.append(request)
                reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                if callable(reply):
                    reply(sock)
                else:
                    sock.sendall(reply)
                    if b"Connection: close" in reply:
                        break
        except OSError:
            pass
        finally:
            sock.close()

    def _read_request(self, sock: socket.socket) -> bytes | None:
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := sock.recv(65536)):
                return None
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [
            line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
        ]
        wanted = int(lengths[0].split(b":")[1]) if lengths else 0
        while len(body) < wanted:
            body += sock.recv(65536)
        return head + b"\r\n\r\n" + body


def last_words(data: bytes) -> Callable[[socket.socket], None]:
    """Sends `data` and closes the connection."""

    def reply(sock: socket.socket) -> None:
        sock.sendall(data)
        sock.close()

    return reply


def answer(body: bytes = b"hello", status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def client(server: Server, **options: float) -> HttpClient:
    allowed = frozenset({server.host})
    return HttpClient(user_agent="tests/1", allowed_hosts=allowed, **options)  # type: ignore[arg-type]


def text_chain(error: BaseException) -> str:
    """Everything a traceback or an error collector would show of `error`."""
    texts: list[str] = []
    link: BaseException | None = error
    while link is not None:
        texts += [str(link), repr(link), repr(link.args)]
        link = link.__cause__ or link.__context__
    return "\n".join(texts)


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
        ("gzip", gzip.compress(b"x" * 5000)),
        ("x-gzip", gzip.compress(b"x" * 5000)),
        ("GZIP", gzip.compress(b"x" * 5000)),
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


# Limits


@pytest.mark.parametrize(
    "reply",
    [
        answer(b"x" * 1001),
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"3e9\r\n" + b"x" * 1001,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffff\r\n" + b"x" * 5000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n",
        answer(gzip.compress(b"x" * 1001), "200 OK", "Content-Encoding: gzip"),
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
    [("gzip", b"not gzip"), ("gzip", gzip.compress(b"abc")[:-3]), ("br", b"abc")],
)
def test_what_cannot_be_unpacked(server: Server, encoding: str, body: bytes) -> None:
    server.replies = [answer(body, "200 OK", f"Content-Encoding: {encoding}")]
    with pytest.raises(InvalidResponse):
        client(server).request("GET", server.url())


def drip(start: bytes, *, every: float = 0.05) -> Callable[[socket.socket], None]:
    def reply(sock: socket.socket) -> None:
        sock.sendall(start)
        while True:
            sock.sendall(b"x")
            time.sleep(every)

    return reply


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


def test_html_is_an_answer_like_any_other(server: Server) -> None:
    server.replies = [answer(b"<html>Sorry</html>", "502 Bad Gateway", "Content-Type: text/html")]
    got = client(server).request("GET", server.url())
    assert (got.status, got.body) == (502, b"<html>Sorry</html>")


# Addresses

INNER_V4 = [
    "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0",
    "100.64.0.1", "192.0.0.1", "192.0.0.9", "192.0.0.170", "192.0.2.1", "192.88.99.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
]  # fmt: skip
INNER_V6 = [
    "::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "fe80::1",
    "fe80::1%eth0", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "ff0e::1", "2001:db8::1",
    "2001::1", "2001:0:7f00:1::", "2002:7f00:1::", "2002:808:808::", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b::808:808", "64:ff9b:1::1", "100::1",
]  # fmt: skip
OUTER = ["8.8.8.8", "1.1.1.1", "142.250.74.110", "2a00:1450:4001:82f::200e", "2606:4700::1111"]


@pytest.mark.parametrize("address", INNER_V4 + INNER_V6)
def test_inner_addresses_are_refused(address: str) -> None:
    assert not is_allowed_address(address)


@pytest.mark.parametrize("address", OUTER)
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_allowed_address(address)


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "8.8.8.8:80"])
def test_what_is_no_address_is_refused(text: str) -> None:
    assert not is_allowed_address(text)


@pytest.mark.parametrize(
    "host",
    [*INNER_V4, *(f"[{v6}]" for v6 in INNER_V6 if "%" not in v6), "localhost"],
)
def test_urls_with_inner_hosts_are_blocked(host: str) -> None:
    with pytest.raises(AddressBlocked):
        HttpClient(user_agent="t", connect_timeout=1).request("GET", f"https://{host}/")


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "0x7f000001"])
def test_other_spellings_of_loopback_are_blocked(host: str) -> None:
    with pytest.raises(AddressBlocked):
        HttpClient(user_agent="t", connect_timeout=1).request("GET", f"https://{host}/")


def resolver(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Let the name server give each of `answers` in turn; returns the names it was asked for."""
    asked: list[str] = []
    left = list(answers)

    def getaddrinfo(
        host: str, port: int, *args: object, **kwargs: object
    ) -> list[tuple[object, ...]]:
        asked.append(host)
        return [
            (
                socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port),
            )
            for address in left.pop(0)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The addresses that sockets were told to connect to; none of them answers."""
    seen: list[object] = []

    def connect(self: socket.socket, address: object) -> None:
        seen.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    return seen


@pytest.mark.parametrize(
    "answers", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["10.0.0.1", "8.8.8.8"], ["8.8.8.8", "::1"]]
)
def test_one_inner_answer_of_the_name_server_blocks_the_host(
    monkeypatch: pytest.MonkeyPatch, connected: list[object], answers: list[str]
) -> None:
    resolver(monkeypatch, answers)
    with pytest.raises(AddressBlocked) as raised:
        HttpClient(user_agent="t").request("GET", "https://calendar.example/?q=canary")
    assert connected == []
    assert not any(address in text_chain(raised.value) for address in answers)


def test_the_checked_address_is_the_one_connected_to(
    monkeypatch: pytest.MonkeyPatch, connected: list[object]
) -> None:
    asked = resolver(monkeypatch, ["8.8.8.8", "1.1.1.1"], ["127.0.0.1"])
    http = HttpClient(user_agent="t")
    with pytest.raises(ProviderUnavailable):
        http.request("GET", "https://calendar.example/")
    assert asked == ["calendar.example"]
    assert connected == [("8.8.8.8", 443), ("1.1.1.1", 443)]
    with pytest.raises(AddressBlocked):  # the name now points inside: the flip is seen
        http.request("GET", "https://calendar.example/")
    assert len(connected) == 2


def test_a_listed_host_may_be_inner_a_neighbouring_port_not(server: Server) -> None:
    server.replies = [answer()]
    assert client(server).request("GET", server.url()).status == 200
    other = HttpClient(user_agent="t", allowed_hosts=frozenset({f"127.0.0.1:{server.port + 1}"}))
    with pytest.raises(AddressBlocked):
        other.request("GET", server.url())
    with pytest.raises(AddressBlocked):
        client(server).request("GET", server.url().replace("127.0.0.1", "localhost"))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/relative",
        "//calendar.example/",
        "calendar.example",
        "http://calendar.example/",
        "http://calendar.example:443/",
        "ftp://calendar.example/",
        "file:///etc/passwd",
        "webcal://calendar.example/",
        "https:///path",
        "https://calendar.example:22/",
        "https://calendar.example:80/",
        "https://calendar.example:99999/",
        "https://user@calendar.example/",
        "https://user:password@calendar.example/",
        "https://calendar.example@127.0.0.1/",
        "https://calendar.example/#fragment",
        "https://calendar.example/ path",
        "https://calendar.example/\npath",
        "https://calendar.example/\x00",
        "https://calendar.example\\@127.0.0.1/",
        "https://ⓔxample.com/",
        "https://①②⑦.0.0.1/",
        "https://[fe80::1%25eth0]/",
        "https://[::1/",
        "https://calendar.example/?" + "x" * 9000,
    ],
)
def test_urls_that_are_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    asked = resolver(monkeypatch)
    with pytest.raises(AddressBlocked):
        HttpClient(user_agent="t").request("GET", url)
    assert asked == []


@pytest.mark.parametrize(
    "host", ["calendar.example", "calendar.example:443", "calendar.example:8443"]
)
def test_urls_that_are_allowed(
    monkeypatch: pytest.MonkeyPatch, connected: list[object], host: str
) -> None:
    resolver(monkeypatch, ["8.8.8.8"])
    with pytest.raises(ProviderUnavailable):
        HttpClient(user_agent="t").request("GET", f"HTTPS://{host.upper()}/")
    assert len(connected) == 1


# TLS


@pytest.fixture
def authority(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for calendar.example alone: its file, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "calendar.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("calendar.example")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    public = tmp_path / "certificate.pem"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = tmp_path / "key.pem"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return public, context


@pytest.mark.parametrize(
    ("name", "trusted", "works"),
    [
        ("calendar.example", True, True),
        ("calendar.example", False, False),
        ("other.example", True, False),
    ],
)
def test_the_certificate_must_be_trusted_and_for_the_name(
    authority: tuple[Path, ssl.SSLContext],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    trusted: bool,
    works: bool,
) -> None:
    public, context = authority
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
        with pytest.raises(ProviderUnavailable, match="No trusted TLS connection") as raised:
            http.request("GET", url)
        assert "canary" not in text_chain(raised.value)
    server.close()


def test_plain_http_on_a_tls_port(server: Server) -> None:
    with pytest.raises(ProviderUnavailable):
        client(server, connect_timeout=0.3).request("GET", f"https://{server.host}/")


# What an error tells


def test_closed_and_filtered_ports_read_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver(monkeypatch, ["8.8.8.8"], ["8.8.8.8"])
    texts = []
    for failure in (ConnectionRefusedError, TimeoutError):
        monkeypatch.setattr(
            socket.socket, "connect", lambda *_, failure=failure: (_ for _ in ()).throw(failure)
        )
        with pytest.raises(ProviderUnavailable) as raised:
            HttpClient(user_agent="t").request("GET", "https://calendar.example/")
        texts.append((type(raised.value), raised.value.detail))
    assert texts[0] == texts[1]


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


# Helpers


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("99999999999999", 86_400.0),
        ("Thu, 01 Jan 2026 00:01:00 GMT", 60.0),
        ("Thu, 01 Jan 2026 00:01:00 -0000", 60.0),
        ("Wed, 31 Dec 2025 23:00:00 GMT", 0.0),
        ("Fri, 01 Jan 2066 00:00:00 GMT", 86_400.0),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("²", None),
        ("Thu, 99 Jan 2026 00:01:00 GMT", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert retry_after_seconds({"Retry-After": value}, now) == seconds


def test_retry_after_is_absent() -> None:
    assert retry_after_seconds({}, datetime.now(UTC)) is None


@pytest.mark.parametrize(
    ("value", "cleaned"),
    [
        ("plain", "plain"),
        ("  a\r\nINJECTED line\x00\x1b[31m ", "a  INJECTED line  [31m"),
        ("right\u202eleft\u2028next", "right left next"),
        ("x" * 20, "x" * 9 + "…"),
        (None, "None"),
    ],
)
def test_clean_text(value: object, cleaned: str) -> None:
    assert clean_text(value, limit=10 if value == "x" * 20 else 500) == cleaned


def test_path_segment() -> None:
    assert path_segment("a/b#c@d e%?") == "a%2Fb%23c%40d%20e%25%3F"


class Thing(msgspec.Struct):
    text: str


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (rb'{"text": "a\u0000b"}', "ab"),
        (rb'{"text": "a\\u0000b"}', r"a\u0000b"),
        (rb'{"text": "\ud83d\ude00"}', "😀"),
        (rb'{"text": "\ud83d\ude00\u0000"}', "😀"),
        (rb'{"text": "a\ud83dz"}', "a\ufffdz"),
        (rb'{"text": "a\ude00z"}', "a\ufffdz"),
        (rb'{"text": "a\u0041\ude00z"}', "aA\ufffdz"),
        (rb'{"text": "\ud83d\ud83d\ude00"}', "\ufffd😀"),
        (b'{"text": "a\xffb"}', "a\ufffdb"),
        (b'{"text": "a\xed\xa0\x80b"}', "a\ufffd\ufffd\ufffdb"),
        ('{"text": "ünï"}'.encode(), "ünï"),
    ],
)
def test_decoding_repairs_texts(body: bytes, text: str) -> None:
    assert decode_json(body, Thing).text == text


def test_repairing_leaves_the_rest_alone() -> None:
    body = rb'{"a": "\"\\\/\b\n\u00e9\ud83d\ude00", "b": [1, null]}'
    assert repair_json(body) == body


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b'{"text": 1}', b'{"text"', b"[" * 100_000]
)
def test_what_is_not_the_promised_json(body: bytes) -> None:
    with pytest.raises(InvalidResponse) as raised:
        decode_json(body, Thing)
    assert "html" not in text_chain(raised.value)
