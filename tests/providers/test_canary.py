"""One life of a connection, with every secret known: none of them turns up where it must not."""

from __future__ import annotations

import html
import json
import logging
import pickle
import shutil
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from django.utils.log import AdminEmailHandler

from providers import grants, oauth2, scheduler, tasks
from providers.base import ClientRegistration, Endpoints, Response, TokenSet
from providers.errors import ProviderError
from providers.models import (
    AuthorizationRequest,
    ConnectionCredential,
    ProviderConfiguration,
    ProviderConnection,
)
from talkover.encryption import seal, unseal
from talkover.environments.models import IdempotencyKey, User
from tests.providers.canaries import (
    Canaries,
    Journal,
    admin_pages,
    broker_and_cache,
    database_dump,
    texts_of,
)
from tests.providers.conftest import CALLBACK, SECRET, Person
from tests.providers.http_server import Server, answer
from tests.providers.test_credentials import end_cool_down, expire, tokens_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def canaries(environment: Any, token: str, settings: Any, monkeypatch: Any) -> Canaries:
    """The secrets there are at the start; tokens are added as they come."""
    canaries = Canaries()
    canaries.add(
        client_secret=SECRET,
        signing_key=environment.read_signing_key(),
        api_token=token,
        encryption_key=settings.CREDENTIAL_KEYS.partition(":")[2],
        secret_key=settings.SECRET_KEY,
    )
    checked = oauth2._checked

    def watching(body: bytes) -> Any:
        tokens = checked(body)
        canaries.add(access_token=tokens.access_token, refresh_token=tokens.refresh_token)
        return tokens

    monkeypatch.setattr(oauth2, "_checked", watching)
    return canaries


@pytest.fixture
def broker(settings: Any) -> Iterator[None]:
    """The folders of the embedded broker, which a local run makes."""
    folder = Path(settings.VAR_DIR) / "broker"
    for name in ("queue", "control"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    yield
    shutil.rmtree(folder)


@pytest.fixture
def root(canaries: Canaries) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root@example.com"))
    canaries.add(session=client.cookies["sessionid"].value)
    return client


def watch_start(canaries: Canaries, authorization_url: str) -> None:
    """Note the state and the verifier of an authorization that was begun."""
    [state] = parse_qs(urlsplit(authorization_url).query)["state"]
    canaries.add(state=state)
    for request in AuthorizationRequest.objects.all():
        canaries.add(code_verifier=unseal(request, "code_verifier"))


def at_provider(journal: Journal, canaries: Canaries, person: Person, url: str) -> str:
    """Walk the provider's pages; notes the code that the browser is sent back with."""
    with journal.paused():
        location = person.answer(url)
    canaries.add(code=parse_qs(urlsplit(location).query).get("code", [None])[0])
    return location


def sync(connection: ProviderConnection) -> None:
    """A sync as a worker runs it, whatever failed before."""
    ProviderConfiguration.objects.update(paused_at=None)
    ProviderConnection.objects.filter(pk=connection.pk).update(status="active")
    connection.external_calendars.update(blocked_until=None)
    assert scheduler.request_sync(connection.external_calendars.all())
    for external in connection.external_calendars.all():
        tasks.sync_external_calendar.apply(args=(str(external.pk),))


def echo(server: Server, status: str) -> None:
    """The server answers with all that it was sent, in the places where providers put texts."""

    def reply(sock: socket.socket) -> None:
        said = server.requests[-1].decode()
        form = parse_qs(said.partition("\r\n\r\n")[2])
        sent = form.get("refresh_token") or form.get("code") or ["nothing"]
        quoted = {"error_description": said, "message": said, "code": 400}
        # The API's errors are objects, those of the token endpoint words.
        error = {"error": {**quoted, "errors": [{"reason": said}]}, **quoted}
        if "/api" not in said.partition("\r\n")[0]:
            error["error"] = sent[0] if status.startswith("4") else "invalid_grant"
        body = json.dumps(error)
        sock.sendall(answer(body.encode(), status, f"X-Echo: {said.splitlines()[-1]}"))

    server.replies = [reply]


def test_the_whole_life_of_a_connection_lets_nothing_out(
    journal,
    canaries,
    broker,
    root,
    api,
    calendar,
    configuration,
    start,
    person,
    outside,
    settings,
    server,
) -> None:
    said: list[str] = []
    base = f"/api/v1/calendars/{calendar.pk}"

    # Connect, sync, refresh, reconnect.
    begun = start(state="the application's own")
    watch_start(canaries, begun["authorization_url"])
    location = at_provider(journal, canaries, person, begun["authorization_url"])
    back = person.come_back(location)
    assert back.status_code == 303
    said += [back["Location"], str(back.headers), back.content.decode()]
    connection = ProviderConnection.objects.get()
    credential = ConnectionCredential.objects.get()
    sync(connection)
    expire(credential)
    sync(connection)
    assert connection.sync_runs.filter(status="succeeded").count() == 2
    again = api.post(f"{base}/providers/{connection.pk}/reconnect", {"redirect_uri": CALLBACK},
                     format="json")  # fmt: skip
    watch_start(canaries, again.json()["data"]["authorization_url"])
    location = at_provider(journal, canaries, person, again.json()["data"]["authorization_url"])
    assert "status=connected" in person.come_back(location)["Location"]
    said.append(str(person.come_back(location).headers))  # used: the error page

    # Everything fails, and quotes what it was sent.
    settings.OUTBOUND_ALLOWED_HOSTS = settings.OUTBOUND_ALLOWED_HOSTS | {server.host}
    at_work = ProviderConfiguration.objects.filter(pk=configuration.pk)
    healthy = at_work.values("token_endpoint", "api_root_endpoint", "revocation_endpoint").get()
    for status in ("400 Bad Request", "401 No", "403 No", "429 Slow down", "500 Oops", "200 OK"):
        echo(server, status)
        at_work.update(**(healthy | {"token_endpoint": server.url("/token")}))
        expire(credential)
        end_cool_down()
        sync(connection)
        at_work.update(**(healthy | {"api_root_endpoint": server.url("/api")}))
        end_cool_down()
        sync(connection)
        at_work.update(**(healthy | {"token_endpoint": server.url("/token")}))
        failing = start()
        watch_start(canaries, failing["authorization_url"])
        location = at_provider(journal, canaries, person, failing["authorization_url"])
        said.append(person.come_back(location)["Location"])
        at_work.update(**healthy)
    assert len(server.requests) >= 18
    refused = start()
    watch_start(canaries, refused["authorization_url"])
    [state] = parse_qs(urlsplit(refused["authorization_url"]).query)["state"]
    canaries.add(description="canary-of-the-description")
    said.append(person.come_back(
        f"{urlsplit(location).path}?state={state}&error=canary-of-the-description"
        "&error_description=canary-of-the-description"
    )["Location"])  # fmt: skip

    # What the API and the pages say of it, and the end.
    ProviderConnection.objects.filter(pk=connection.pk).update(status="active")
    paths = ["/api/v1/calendars", "/api/v1/environment", "/api/v1/calendars/sync-status", base,
             f"{base}/providers", f"{base}/providers/{connection.pk}", f"{base}/events",
             "/api/v1/nowhere"]  # fmt: skip
    said += [api.get(path).content.decode() for path in paths]
    pages = list(admin_pages(root))
    echo(server, "500 Oops")
    at_work.update(revocation_endpoint=server.url("/revoke"))
    said.append(api.delete(f"{base}/providers/{connection.pk}").content.decode())
    assert grants.revoke_due() == 0
    pages += list(admin_pages(root))
    messages, dump = broker_and_cache(), database_dump()

    assert set(canaries.secrets) >= {"access_token", "refresh_token", "code", "state", "session",
                                     "code_verifier", "client_secret", "api_token"}  # fmt: skip
    assert "revoke_grants" in messages
    assert str(connection.external_calendars.get().pk) in messages, "no body was decoded"
    assert len(pages) > 60
    canaries.check("\n".join(journal.raw), "a log")
    canaries.check("\n".join(said), "an answer")
    canaries.check(messages, "the broker or the cache")
    canaries.check(dump, "the database")
    for path, body in pages:
        canaries.check(body, path)


def test_an_exception_in_a_view_and_in_a_task(
    journal, canaries, connected, configuration, monkeypatch, settings, mailoutbox
) -> None:
    """What nobody expected: the log's net and the reports' own rules are what is left."""
    # Made here: a report quotes source lines, too.
    query = {"code": uuid.uuid4().hex, "state": uuid.uuid4().hex}
    session = uuid.uuid4().hex
    canaries.add(**query, session=session)
    credential = ConnectionCredential.objects.get()
    token = unseal(credential, "refresh_token")
    canaries.add(access_token=unseal(credential, "access_token"), refresh_token=token)

    def fail(*_: Any, **arguments: Any) -> None:
        answer_with_secrets = arguments
        raise RuntimeError(f"{answer_with_secrets!r} refresh_token={token!r}")

    monkeypatch.setattr("providers.handshake.complete", fail)
    monkeypatch.setattr(oauth2, "refresh", fail)
    path = f"/oauth/callback/google/{configuration.pk}"
    browser = Client(raise_request_exception=False)
    browser.cookies["sessionid"] = session

    answered = [browser.get(path, query)]
    settings.DEBUG = True
    answered.append(browser.get(path, query))
    settings.DEBUG = False
    settings.ADMINS = [("Operator", "operator@example.com")]
    answered.append(browser.get(path, query))
    expire(credential)
    sync(connected)

    assert [response.status_code for response in answered] == [500, 500, 500]
    assert "RuntimeError" in answered[1].content.decode(), "no debug page"
    for response in answered:
        canaries.check(html.unescape(response.content.decode()), "an error page")
    assert not mailoutbox, "a mail that no filter of ours has seen"
    canaries.check("\n".join(journal.redacted), "a log")
    assert "RuntimeError" in "\n".join(journal.redacted)
    canaries.check(database_dump(), "the database")


@pytest.mark.parametrize("as_html", [False, True])
def test_a_mailed_report_holds_no_secret(canaries, settings, mailoutbox, rf, as_html) -> None:
    """An operator who lets Django mail its reports gets where it happened, and no values."""
    settings.ADMINS = [("Operator", "operator@example.com")]
    settings.REDIS_URL = f"redis://:{uuid.uuid4().hex}@redis/0"
    canaries.add(redis_password=settings.REDIS_URL, query=uuid.uuid4().hex, body=uuid.uuid4().hex)
    [query], [body] = canaries.secrets["query"], canaries.secrets["body"]
    request = rf.post(f"/oauth/callback?code={query}", {"code": body}, HTTP_AUTHORIZATION=query,
                      HTTP_COOKIE=f"sessionid={query}", HTTP_REFERER=query)  # fmt: skip
    try:
        verifier = query
        try:
            raise ValueError(f"code_verifier={verifier}")
        except ValueError as error:
            raise RuntimeError(f"{{'refresh_token': '{body}'}}") from error
    except RuntimeError as error:
        record = logging.LogRecord("django.request", 40, "", 1, "Error", (), None)
        record.exc_info = (type(error), error, error.__traceback__)
        record.request = request
    AdminEmailHandler(include_html=as_html).handle(record)

    [mail] = mailoutbox
    shown = [mail.subject, mail.body, *(content for content, _ in mail.alternatives)]
    assert "RuntimeError" in mail.body
    assert "verifier" in html.unescape(shown[-1])
    canaries.check(html.unescape("\n".join(shown)), "a report")


@pytest.mark.parametrize("status", ["400 Bad Request", "401 No", "500 Oops", "200 OK"])
def test_exceptions_hold_no_secret(canaries, connected, outside, settings, server, status) -> None:
    credential = ConnectionCredential.objects.get()
    canaries.add(
        access_token=unseal(credential, "access_token"),
        refresh_token=unseal(credential, "refresh_token"),
    )
    settings.OUTBOUND_ALLOWED_HOSTS = frozenset({server.host})
    ProviderConfiguration.objects.update(token_endpoint=server.url("/token"))
    connected.refresh_from_db()
    echo(server, status)
    expire(credential)

    with pytest.raises(ProviderError) as raised:
        tokens_of(connected).current()

    assert server.requests
    canaries.check("\n".join(texts_of(raised.value)), "an exception")


ENDPOINTS = Endpoints(*("https://calendar.example",) * 6)


@pytest.mark.parametrize(
    "shape",
    [
        ClientRegistration("client", "canary-secret", ENDPOINTS, ()),
        TokenSet("canary-access", timezone.now(), "canary-refresh", ()),
        Response(200, {"X": "canary-header"}, b"canary-body"),
    ],
    ids=lambda shape: type(shape).__name__,
)
def test_shapes_with_secrets_show_none_and_do_not_travel(shape: Any) -> None:
    assert "canary" not in f"{shape} {shape!r} {[shape]}"
    with pytest.raises(TypeError, match="holds secrets") as raised:
        pickle.dumps(shape)
    assert "canary" not in "".join(texts_of(raised.value))


def test_rows_with_secrets_show_none(connected: ProviderConnection) -> None:
    credential = ConnectionCredential.objects.get()
    canaries = Canaries()
    canaries.add(token=unseal(credential, "access_token"), client_secret=SECRET)
    kept = IdempotencyKey(environment_id=connected.environment_id, key="k")
    seal(kept, "answer", "canary-of-an-answer")
    canaries.add(answer="canary-of-an-answer")
    rows = [credential, connected.configuration, AuthorizationRequest.objects.get(), kept]
    for row in rows:
        canaries.check(f"{row} {row!r} {pickle.dumps(row)!r} {vars(row)}", type(row).__name__)


def test_a_dump_has_no_session_that_could_be_used(root: Client) -> None:
    assert Session.objects.count() == 1
    assert root.cookies["sessionid"].value not in database_dump()
    assert root.get("/admin/").status_code == 200
    root.logout()
    assert not Session.objects.exists()
