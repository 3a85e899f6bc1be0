"""The only door to the outside: addresses are checked, sizes and times are bounded.

One `HttpClient` serves a whole process; it is thread-safe and keeps connections open. It follows no
redirect, repeats no request, reads no proxy from the environment and always verifies TLS.
"""

from __future__ import annotations

import http.client
import logging
import re
import socket
import ssl
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import monotonic
from typing import TypeVar
from urllib.parse import quote

import msgspec
import urllib3
from urllib3 import exceptions as wire
from urllib3.connection import HTTPConnection

from providers.base import Response
from providers.errors import (
    AddressBlocked,
    AnswerLost,
    AnswerTooLarge,
    CertificateInvalid,
    InvalidResponse,
    ProviderUnavailable,
    RequestRefused,
)
from providers.sockets import Guard, GuardedPools, Network

T = TypeVar("T")

# The largest regular answer is a page of 2,500 events: 3 to 8 MB as text. Twice that leaves room
# for long descriptions, and still lets a worker with two pages in hand stay well below 100 MB.
MAX_BYTES = 16 * 1024 * 1024
MAX_URL_LENGTH = 8192
HTTPS_PORTS = frozenset({443, 8443})

# urllib3's own lines below ERROR hold whole URLs, and a query can be secret.
for _name in ("urllib3.connection", "urllib3.connectionpool"):
    logging.getLogger(_name).setLevel(logging.ERROR)


class HttpClient:
    """Sends requests under this deployment's rules. Times in seconds, sizes in bytes.

    `allowed_hosts` are the operator's exact `host:port` that may be plain http, any port, and any
    address. Everything else is https on port 443 or 8443 to a public address, or to one within
    `allowed_networks`. `total_timeout` runs from the call to the last byte, resolving included.
    """

    def __init__(
        self,
        *,
        user_agent: str,
        allowed_hosts: frozenset[str] = frozenset(),
        allowed_networks: tuple[Network, ...] = (),
        connect_timeout: float = 5,
        read_timeout: float = 15,
        total_timeout: float = 30,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        # Google compresses only for clients that also name gzip here:
        # https://developers.google.com/workspace/calendar/api/guides/performance
        self._headers = {"User-Agent": f"{user_agent} (gzip)", "Accept-Encoding": "gzip, deflate"}
        self._allowed_hosts = allowed_hosts
        self._total_timeout = total_timeout
        self._max_bytes = max_bytes
        self._timeout = urllib3.Timeout(connect=connect_timeout, read=read_timeout)
        self._pools = GuardedPools(
            Guard(allowed_hosts, allowed_networks, connect_timeout, read_timeout),
            maxsize=10,
            ssl_context=ssl.create_default_context(),
            # Gateways forget idle connections silently; the next request would wait in vain.
            socket_options=[
                *HTTPConnection.default_socket_options,
                (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
                *((socket.IPPROTO_TCP, n, 60) for n in (getattr(socket, "TCP_KEEPIDLE", 0),) if n),
            ],
        )

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_bytes: int | None = None,
    ) -> Response:
        """The answer, whatever its status; redirects are answers. `max_bytes` counts as sent and
        again as decompressed.

        Raises AddressBlocked, ProviderUnavailable (no connection, no TLS), CertificateInvalid,
        AnswerLost (time-out, or broken off), AnswerTooLarge, InvalidResponse (undecodable, not
        HTTP), RequestRefused (cannot be sent). None of them holds the path, the query, a header or
        a body.
        """
        parts = self._check(url)
        host, limit = parts.host or "", max_bytes or self._max_bytes
        pool = self._pools.connection_from_host(host, parts.port, parts.scheme)
        try:
            answer = pool.urlopen(
                method,
                parts.request_uri,
                body=body,
                headers={**self._headers, **(headers or {})},
                retries=False,
                redirect=False,
                assert_same_host=False,
                timeout=self._timeout,
                preload_content=False,
                decode_content=False,
                deadline=monotonic() + self._total_timeout,
            )
            try:
                content = _read(answer, limit)
            except BaseException:
                answer.close()
                raise
            finally:
                answer.release_conn()
        except (wire.HTTPError, http.client.HTTPException, OSError, ValueError) as error:
            failure = _translate(error, host)
        else:
            encoding = answer.headers.get("Content-Encoding", "").strip().lower()
            return Response(answer.status, answer.headers, _decoded(content, encoding, limit))
        # Outside of the handler: the original, which names the URL, is not chained to it.
        raise failure

    def close(self) -> None:
        """Close the idle connections."""
        self._pools.clear()

    def _check(self, url: str) -> urllib3.util.Url:
        if len(url) > MAX_URL_LENGTH or not url.isascii() or re.search(r"[\x00-\x20\x7f\\]", url):
            raise AddressBlocked("The URL is too long or has characters that do not belong there.")
        try:
            parts = urllib3.util.parse_url(url)
        except wire.HTTPError:
            raise AddressBlocked("The URL cannot be read.") from None
        if not parts.host or parts.scheme not in {"http", "https"} or "%" in parts.host:
            raise AddressBlocked("Only absolute https URLs are requested.")
        if parts.auth is not None or parts.fragment is not None:
            raise AddressBlocked("The URL has user information or a fragment.")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        if f"{parts.host}:{port}" not in self._allowed_hosts and (
            parts.scheme != "https" or port not in HTTPS_PORTS
        ):
            raise AddressBlocked(f"{parts.host}:{port} is not https on port 443 or 8443.")
        return parts


def _read(answer: urllib3.BaseHTTPResponse, limit: int) -> bytes:
    """The body as sent. One read: the reader beneath it keeps the clock, and nothing is copied."""
    expected = answer.length_remaining
    if expected is not None and expected > limit:
        raise AnswerTooLarge(f"The answer is larger than {limit} bytes.")
    content = answer.read(limit + 1)
    if len(content) > limit:
        raise AnswerTooLarge(f"The answer is larger than {limit} bytes.")
    if expected is not None and len(content) < expected:
        raise http.client.IncompleteRead(b"")
    return content


def _decoded(content: bytes, encoding: str, limit: int) -> bytes:
    """`content` without its Content-Encoding. Raises InvalidResponse."""
    if not content or encoding in {"", "identity"}:
        return content
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        raise InvalidResponse("The answer has a Content-Encoding that was not asked for.")
    # zlib finds out whether it is gzip or zlib; "deflate" without either is common, too.
    for window_bits in (47, -15):
        unpacker = zlib.decompressobj(window_bits)
        try:
            unpacked = unpacker.decompress(content, limit + 1)
        except zlib.error:
            continue
        if len(unpacked) > limit:
            raise AnswerTooLarge(f"The answer is larger than {limit} bytes, decompressed.")
        if unpacker.eof:
            return unpacked
    raise InvalidResponse("The answer's compression is damaged.")


def _translate(error: Exception, host: str) -> Exception:
    if isinstance(error, wire.SSLError | ssl.SSLError):
        if any(isinstance(each, ssl.SSLCertVerificationError) for each in (error, *error.args)):
            return CertificateInvalid(f"No trusted TLS connection to {host}.")
        return ProviderUnavailable(f"No trusted TLS connection to {host}.")
    if isinstance(error, wire.TimeoutError | TimeoutError):
        return AnswerLost(f"{host} did not answer in time.")
    cause = error.args[1] if isinstance(error, wire.ProtocolError) and error.args[1:] else error
    if isinstance(cause, TimeoutError):
        return AnswerLost(f"{host} did not answer in time.")
    if isinstance(cause, OSError | http.client.IncompleteRead):  # RemoteDisconnected is an OSError
        return AnswerLost(f"The connection to {host} broke off.")
    if isinstance(cause, ValueError):
        return RequestRefused(f"The request to {host} cannot be sent as HTTP.")
    return InvalidResponse(f"{host} answered with something that is not HTTP.")


holds_nul = re.compile(rb"\\u0000").search  # twice as fast as `in` on a text full of backslashes
_JSON_ESCAPE = re.compile(
    rb"\\(?:u(?P<unit>[0-9a-fA-F]{4})(?P<low>\\u[dD][c-fC-F][0-9a-fA-F]{2})?|.)", re.DOTALL
)
# A text that never ends is one, too: else each of its quotes would be tried as a beginning.
_JSON_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|(?P<open>[\[{])|(?P<close>[\]}])', re.DOTALL)
# No answer that we read goes as deep as a tenth of that.
_DEEPEST = 100


def repair_json(body: bytes) -> bytes:
    """`body` without what no database and no strict decoder takes: NUL characters are dropped, and
    lone surrogates (RFC 8259 section 8.2) and bytes that are not UTF-8 replaced by U+FFFD.
    """

    def repaired(match: re.Match[bytes]) -> bytes:
        if match["unit"] is None:
            return match[0]
        unit, low = int(match["unit"], 16), match["low"]
        if 0xD800 <= unit <= 0xDBFF:
            return match[0] if low else rb"\ufffd"
        first = rb"\ufffd" if 0xDC00 <= unit <= 0xDFFF else match[0][:6] if unit else b""
        return first + (rb"\ufffd" if low else b"")

    return _JSON_ESCAPE.sub(repaired, body.decode("utf-8", "replace").encode())


def _as_it_is(body: bytes) -> bytes:
    return body


def flatten_json(body: bytes) -> bytes:
    """`body` with null for each value that lies in more than a hundred others. A decoder that meets
    a thousand gives up the whole.
    """
    kept, depth, begin = [], 0, 0
    for found in _JSON_BRACKET.finditer(body):
        if found["open"]:
            depth += 1
            if depth == _DEEPEST + 1:
                kept += [body[begin : found.start()], b"null"]
        elif found["close"]:
            depth -= 1
            if depth == _DEEPEST:
                begin = found.end()
    # What never closes is not kept: it is no JSON either way.
    return b"".join([*kept, body[begin:]]) if depth <= _DEEPEST else b"".join(kept)


def decode_json(body: bytes, kind: type[T]) -> T:
    """`body` as a `kind`, repaired where needed. Raises InvalidResponse when it is not that."""
    if holds_nul(body):
        body = repair_json(body)
    for repaired in (_as_it_is, repair_json, flatten_json):
        try:
            body = repaired(body)
            return msgspec.json.decode(body, type=kind)
        except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
            pass
    raise InvalidResponse("The answer is not the JSON that the protocol promises.")


def clean_text(value: object, limit: int = 500) -> str:
    """Foreign text for a log line or an error: printable, on one line, at most `limit` long."""
    text = "".join(c if c.isprintable() else " " for c in str(value)[: limit + 1]).strip()
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def path_segment(value: str) -> str:
    """`value` as one segment of a path. Calendar ids hold `@`, `#` and `/`."""
    return quote(value, safe="")


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """What `Retry-After` (RFC 9110 section 10.2.3) says, as seconds from `now` (aware); None when
    it is absent or unreadable. Never negative, and never more than a day.
    """
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(min(int(value[:9]), 86_400))
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max((moment - now).total_seconds(), 0.0), 86_400.0)
