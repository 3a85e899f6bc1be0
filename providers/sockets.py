"""Sockets under this deployment's rules: which addresses are connected to, and for how long.

Classes of urllib3 with three changes: a name is resolved once per connection and only a checked
address is connected to, so that no second answer of a name server can slip in; resolving and every
byte read run against one deadline; and headers are bounded. `providers.http` is the only user.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import queue
import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from providers.errors import AddressBlocked, ProviderUnavailable

MAX_HEADER_BYTES = 64 * 1024
BUFFER_SIZE = 64 * 1024

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


# Some Python versions call these global, yet they are no hosts in the public internet: site-local,
# shared address space, protocol assignments, the 6to4 relay.
NOT_PUBLIC = _networks("fec0::/10", "192.0.0.0/24", "192.88.99.0/24", "100.64.0.0/10")
# What no network that the operator lists may open: IPv4 addresses in the dress of IPv6 (RFC 4291
# section 2.5.5, RFC 6052, RFC 3056, RFC 4380), and the metadata services of Amazon, Google, Azure
# and Alibaba outside of the link-local range, which hand out a machine's credentials.
NEVER_LISTED = _networks(
    *("::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"),
    *("fd00:ec2::254/128", "fd20:ce::254/128", "168.63.129.16/32", "100.100.100.200/32"),
)


def is_allowed_address(address: str, networks: Iterable[Network] = ()) -> bool:
    """Whether `address`, as the resolver gave it, is one host in the public internet, or in one of
    the operator's `networks`. Loopback, link-local and metadata addresses are neither.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if ip.is_multicast or ip.is_reserved or ip.is_unspecified or _within(ip, NEVER_LISTED):
        return False
    if _within(ip, networks):
        return not ip.is_loopback and not ip.is_link_local
    return ip.is_global and not _within(ip, NOT_PUBLIC)


def _within(ip: Address, networks: Iterable[Network]) -> bool:
    return any(ip in network for network in networks if network.version == ip.version)


@dataclass(frozen=True, slots=True)
class Guard:
    """What each new connection obeys. Times in seconds."""

    allowed_hosts: frozenset[str]
    allowed_networks: tuple[Network, ...]
    connect_timeout: float
    read_timeout: float


class _TimedReader(io.RawIOBase):
    """A socket's bytes until a deadline, so that a server that drips cannot hold a worker."""

    def __init__(self, sock: socket.socket, guard: Guard, deadline: float) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)  # keeps the socket open until closed
        self._read_timeout = guard.read_timeout
        self._deadline = deadline
        self.header_allowance: int | None = MAX_HEADER_BYTES + BUFFER_SIZE

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        remaining = self._deadline - monotonic()
        if remaining <= 0:
            raise TimeoutError
        self._sock.settimeout(min(self._read_timeout, remaining))
        count = self._raw.readinto(buffer)
        if self.header_allowance is not None:
            self.header_allowance -= count or 0
            if self.header_allowance < 0:
                raise http.client.HTTPException("too many header bytes")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Source:
    """What `http.client.HTTPResponse` takes for a socket."""

    def __init__(self, reader: _TimedReader) -> None:
        self._reader = reader

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._reader, BUFFER_SIZE)


def _resolve(host: str, port: int, give_up: float) -> list[Any]:
    """What `getaddrinfo` finds until `give_up` (monotonic), empty when nothing. It knows no time
    limit of its own, so a thread waits for it, which ends when the system's resolver gives up.
    """
    answers: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()

    def ask() -> None:
        found: list[Any] = []
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            pass
        finally:
            answers.put(found)

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        return answers.get(timeout=max(0.0, give_up - monotonic()))
    except queue.Empty:
        return []


class GuardedConnection(HTTPConnection):
    """Resolves its host once, refuses it unless every address is allowed, connects to those."""

    deadline: float

    def __init__(self, *args: Any, guard: Guard, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._guard = guard

    def _new_conn(self) -> socket.socket:
        give_up = min(self.deadline, monotonic() + self._guard.connect_timeout)
        listed = f"{self._dns_host}:{self.port}" in self._guard.allowed_hosts
        found = _resolve(self._dns_host.strip("[]"), self.port, give_up)
        if not found:
            raise ProviderUnavailable(f"{self.host} cannot be resolved.")
        networks = self._guard.allowed_networks
        if not listed and not all(
            is_allowed_address(str(entry[4][0]), networks) for entry in found
        ):
            raise AddressBlocked(f"{self.host} resolves to an address that is not allowed.")
        for left, (family, kind, protocol, _, address) in zip(
            range(len(found), 0, -1), found, strict=True
        ):
            if (share := (give_up - monotonic()) / left) <= 0:
                break
            sock = socket.socket(family, kind, protocol)
            try:
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
                sock.settimeout(share)
                sock.connect(address)
            except OSError:
                sock.close()
            else:
                return sock
        # A closed and a filtered port read alike and take as long, or this would be a port scanner.
        if not listed:
            sleep(max(0.0, give_up - monotonic()))
        raise ProviderUnavailable(f"No connection to {self.host}:{self.port}.")

    def response_class(  # type: ignore[override]  # http.client calls it as a factory
        self, sock: socket.socket, **kwargs: Any
    ) -> http.client.HTTPResponse:
        self._reader = _TimedReader(sock, self._guard, self.deadline)
        return http.client.HTTPResponse(_Source(self._reader), **kwargs)  # type: ignore[arg-type]

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as urllib3 has it
        response = super().getresponse()
        self._reader.header_allowance = None
        return response


class GuardedTlsConnection(GuardedConnection, HTTPSConnection):
    """The same with TLS. Certificate and SNI are for the name, whatever the address."""


class PlainPool(HTTPConnectionPool):
    ConnectionCls = GuardedConnection

    def _make_request(  # type: ignore[override]  # urlopen() passes `deadline` on to here
        self, conn: Any, *args: Any, deadline: float, **kwargs: Any
    ) -> urllib3.BaseHTTPResponse:
        conn.deadline = deadline
        return super()._make_request(conn, *args, **kwargs)


class TlsPool(PlainPool, HTTPSConnectionPool):
    ConnectionCls = GuardedTlsConnection


class GuardedPools(urllib3.PoolManager):
    def __init__(self, guard: Guard, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._guard = guard
        self.pool_classes_by_scheme = {"http": PlainPool, "https": TlsPool}

    def _new_pool(self, *args: Any, **kwargs: Any) -> HTTPConnectionPool:
        pool = super()._new_pool(*args, **kwargs)
        pool.conn_kw["guard"] = self._guard
        return pool
