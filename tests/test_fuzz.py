"""Generated requests at the doors that need no token: the OAuth callback, and pushes.

Whatever comes, nothing breaks, nothing is answered that was sent, and nothing takes long.
"""

from __future__ import annotations

import io
import re
import time
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote_from_bytes, urlsplit

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.urls import get_resolver, reverse
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from providers.models import AuthorizationRequest, ProviderConfiguration, ProviderConnection
from tests.factories import ProviderConnectionFactory
from tests.talkover.routes import walk

# Of processor time, for one request. Ten times what any takes on a slow machine.
MOST_SECONDS = 2.0
# Long enough not to be there by chance, and with what markup and headers would break on.
CANARY = b"c4n4ry<'\">"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW", "get"]
generated = hypothesis_settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

nasty = st.sampled_from(
    [
        b"",
        b"\x00",
        b"\r\nSet-Cookie: a=b",
        b"\xff\xfe\x80",
        b"\xed\xa0\x80",  # a lone surrogate
        "\u202e\u0131\u337f\U0001d518".encode(),
        b"../../etc/passwd",
        b"{{7*7}}${7*7}<script>alert(1)</script>",
        b"' OR 1=1 --",
        b"%",
        b"%zz",
        b"%25",
        b"+",
        b"=",
        b"&",
        b";",
        b"#",
        b"?",
        b"[" * 2000,
        b"x" * 257,
        b"x" * 513,
        b"x" * 4097,
    ]
)
value = st.one_of(
    nasty,
    st.binary(max_size=40),
    st.text(max_size=40).map(lambda t: t.encode("utf-8", "surrogatepass")),
)
name = st.one_of(
    st.sampled_from(
        [b"state", b"code", b"error", b"iss", b"scope", b"error_description", b"STATE"]
    ),
    value,
)


def encoded(pairs: list[tuple[bytes, bytes]]) -> bytes:
    return b"&".join(
        quote_from_bytes(n).encode() + b"=" + quote_from_bytes(v).encode() for n, v in pairs
    )


# Well formed with odd contents, doubled and in any order; or simply bytes.
query = st.one_of(
    st.lists(st.tuples(name, value.map(lambda v: CANARY + v)), max_size=8).map(encoded),
    st.lists(st.tuples(name, value), max_size=8).map(encoded),
    st.binary(max_size=200),
    nasty,
)
header = st.one_of(nasty, st.binary(max_size=60)).map(
    # What a server hands on: no line ends, and as WSGI wants it (PEP 3333).
    lambda raw: raw.replace(b"\r", b"").replace(b"\n", b"").decode("latin-1")
)
headers = st.dictionaries(
    st.sampled_from(
        [
            "HTTP_ACCEPT", "HTTP_AUTHORIZATION", "HTTP_COOKIE", "HTTP_HOST", "HTTP_ORIGIN",
            "HTTP_REFERER", "HTTP_X_REQUEST_ID", "HTTP_X_FORWARDED_PROTO", "HTTP_USER_AGENT",
            "HTTP_ACCEPT_LANGUAGE", "HTTP_IDEMPOTENCY_KEY",
            "HTTP_TRANSFER_ENCODING", "CONTENT_TYPE",
            "HTTP_X_GOOG_CHANNEL_ID", "HTTP_X_GOOG_CHANNEL_TOKEN", "HTTP_X_GOOG_RESOURCE_ID",
            "HTTP_X_GOOG_RESOURCE_STATE", "HTTP_X_GOOG_MESSAGE_NUMBER",
            "HTTP_X_GOOG_CHANNEL_EXPIRATION",
        ]
    ),
    header,
    max_size=6,
)  # fmt: skip
body = st.one_of(nasty, st.binary(max_size=300), st.sampled_from([b"x" * 70_000, b"[" * 70_000]))


@pytest.fixture
def connection(db: None) -> Iterator[ProviderConnection]:
    # The test's transaction must outlive requests, as under Django's own test client.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield ProviderConnectionFactory()
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def send(
    method: str,
    path: str,
    query: bytes = b"",
    body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> tuple[int, str, bytes]:
    """As a server calls us: status, headers and body. Fails when it takes long."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
        "QUERY_STRING": query.decode("latin-1"),
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "127.0.0.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **(headers or {}),
    }
    answered: list[tuple[str, list[tuple[str, str]]]] = []
    begun = time.process_time()
    response: Any = HANDLER(environ, lambda status, fields, *_: answered.append((status, fields)))
    content = b"".join(response)
    response.close()
    assert time.process_time() - begun < MOST_SECONDS
    status, fields = answered[0]
    return int(status[:3]), "\n".join(f"{key}: {text}" for key, text in fields), content


HANDLER: Any = WSGIHandler()


def assert_calm(status: int, fields: str, content: bytes) -> None:
    assert status < 500, (status, content[:500])
    assert b"c4n4ry" not in content
    assert "c4n4ry" not in fields
    assert "Set-Cookie: a=b" not in fields


def callback_of(configuration: ProviderConfiguration) -> str:
    return reverse("oauth-callback", args=[configuration.kind, configuration.pk])


@generated
@given(method=st.sampled_from(METHODS), query=query, headers=headers, known=st.booleans())
def test_the_callback_stays_calm(
    connection: ProviderConnection, method: str, query: bytes, headers: dict[str, str], known: bool
) -> None:
    configuration = connection.configuration
    path = callback_of(configuration) if known else f"/oauth/callback/google/{uuid.uuid4()}"
    status, fields, content = send(method, path, query, headers=headers)
    assert_calm(status, fields, content)
    if status == 303:
        # Nowhere but to our own words; and the same when the configuration is not there.
        location = dict(line.split(": ", 1) for line in fields.splitlines())["Location"]
        assert location in {"/oauth/error/invalid_request", "/oauth/error/request_unknown"}
        assert "Cache-Control: no-store" in fields
        assert not urlsplit(location).query
    else:
        assert status in {400, 403, 404, 405}


@generated
@given(query=st.lists(st.tuples(name, value), max_size=4).map(encoded), doubled=st.booleans())
def test_a_living_request_survives_what_is_no_answer(
    connection: ProviderConnection, query: bytes, doubled: bool
) -> None:
    """Nothing generated guesses a state, so none is used up."""
    request = AuthorizationRequest.objects.filter(connection=connection).first()
    if request is None:
        request = AuthorizationRequest.objects.create(
            environment=connection.environment,
            connection=connection,
            configuration=connection.configuration,
            purpose=AuthorizationRequest.Purpose.CONNECT,
            state_digest="0" * 64,
            provider_redirect_uri="https://example.com",
            client_id="client",
            endpoints={},
            scopes=[],
            expires_at="2999-01-01T00:00:00Z",
        )
    path = callback_of(connection.configuration)
    assert_calm(*send("GET", path, query + (b"&" + query if doubled else b"")))
    request.refresh_from_db()
    assert request.consumed_at is None


@generated
@given(
    kind=st.one_of(nasty, st.binary(max_size=30)),
    rest=st.one_of(nasty, st.binary(max_size=50), st.uuids().map(lambda u: str(u).encode())),
)
def test_paths_that_lead_nowhere(connection: ProviderConnection, kind: bytes, rest: bytes) -> None:
    for prefix in ("/oauth/callback/", "/oauth/error/", "/push/"):
        path = prefix + (kind + b"/" + CANARY + rest).decode("latin-1")
        status, fields, content = send("GET", path)
        assert_calm(status, fields, content)
        assert status in {400, 404}


def push_paths(kind: str) -> list[str]:
    """Where pushes arrive, in the product's routes; none as long as there are none."""
    values = {"slug": kind, "str": kind, "uuid": str(uuid.uuid4()), "id": str(uuid.uuid4())}
    return [
        "/" + re.sub(r"<(\w+):\w+>", lambda match: values[match[1]], route)
        for route, _ in walk(get_resolver().url_patterns)
        if route.startswith("push/")
    ]


@pytest.mark.parametrize("kind", ["google", "nonsense"])
@generated
@given(method=st.sampled_from(METHODS), query=query, headers=headers, body=body)
def test_the_push_door_stays_calm(
    connection: ProviderConnection,
    kind: str,
    method: str,
    query: bytes,
    headers: dict[str, str],
    body: bytes,
) -> None:
    for path in push_paths(kind) or ["/push/nothing"]:
        assert_calm(*send(method, path, query, CANARY + body, headers))
