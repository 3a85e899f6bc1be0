"""The pages for people: who sees what, what they say, and what their forms do."""

from __future__ import annotations

import html
import re
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.messages import get_messages
from django.core import mail
from django.db import connection as database
from django.template.loader import get_template
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from calendars.models import Calendar
from providers import connect
from providers.models import (
    AuthorizationRequest,
    ExternalCalendar,
    ProviderConfiguration,
    ProviderConnection,
    SyncRun,
)
from providers.templatetags.talkover import describe, plain
from talkover.encryption import generate_key, seal
from talkover.environments.models import Environment, User
from tests.factories import (
    CalendarFactory,
    EventFactory,
    MembershipFactory,
    ProviderConfigurationFactory,
    ProviderConnectionFactory,
    UserFactory,
)

TEMPLATES = Path(__file__).resolve().parent.parent.parent / "templates"
AUTHORIZATION = "https://accounts.example.net/authorize"
PASSWORD = "correct horse battery staple"
CALENDAR_ROUTES = ("calendar-detail", "connect-calendar")
CONNECTION_ROUTES = (
    "connection-detail",
    "connection-progress",
    "reconnect-calendar",
    "sync-connection",
    "disconnect-calendar",
)


def signed_in(user: User, **options: Any) -> Client:
    client = Client(**options)
    client.force_login(user)
    return client


@pytest.fixture
def owner(calendar: Calendar) -> Client:
    """The browser of the calendar's owner."""
    return signed_in(calendar.owner)


def sealed_configuration(environment: Environment, **fields: Any) -> ProviderConfiguration:
    configuration: ProviderConfiguration = ProviderConfigurationFactory.build(
        environment=environment, authorization_endpoint=AUTHORIZATION, **fields
    )
    seal(configuration, "client_secret", "secret")
    configuration.save()
    return configuration


@pytest.fixture
def configuration(environment: Environment) -> ProviderConfiguration:
    return sealed_configuration(environment)


@pytest.fixture
def connection(calendar: Calendar, configuration: ProviderConfiguration) -> ProviderConnection:
    """An active connection that was synced a moment ago."""
    connection: ProviderConnection = ProviderConnectionFactory(
        calendar=calendar,
        configuration=configuration,
        account_subject="subject",
        activated_at=timezone.now(),
    )
    external_calendar(connection)
    return connection


def external_calendar(connection: ProviderConnection, **fields: Any) -> ExternalCalendar:
    synced = {
        "last_sync_at": timezone.now() - timedelta(seconds=20),
        "next_sync_at": timezone.now() + timedelta(minutes=5),
        "events_synced": 312,
    }
    return ExternalCalendar.objects.create(
        connection=connection, external_id="person@example.com", **(synced | fields)
    )


def change(connection: ProviderConnection, **fields: Any) -> None:
    """Set fields of the connection, and of its external calendar those that are its."""
    own = {name for name in fields if hasattr(ExternalCalendar, name)}
    calendar_fields = {name: fields.pop(name) for name in own - {"status"}}
    ExternalCalendar.objects.filter(connection=connection).update(**calendar_fields)
    ProviderConnection.objects.filter(pk=connection.pk).update(**fields)


def text_of(response: Any) -> str:
    """What the page's main part reads as."""
    main = response.content.decode().partition("<main")[2] or response.content.decode()
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", main)).split())


def url(name: str, *arguments: Any) -> str:
    return reverse(name, args=arguments)


def notices(response: Any) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


# Who sees what -----------------------------------------------------------------------------------


def test_home_leads_on(client: Client, owner: Client) -> None:
    assert client.get("/")["Location"] == url("account_login")
    assert owner.get("/")["Location"] == url("calendar-list")


def routes_of(calendar: Calendar, connection: ProviderConnection) -> list[str]:
    return [
        *(url(name, calendar.pk) for name in CALENDAR_ROUTES),
        *(url(name, connection.pk) for name in CONNECTION_ROUTES),
    ]


@pytest.mark.parametrize("method", ["get", "post"])
def test_every_page_wants_a_sign_in(
    client: Client, calendar: Calendar, connection: ProviderConnection, method: str
) -> None:
    for path in [url("calendar-list"), *routes_of(calendar, connection)]:
        response = getattr(client, method)(path)
        if response.status_code == 405:
            continue
        assert response.status_code == 302, path
        assert response["Location"].startswith(url("account_login")), path


def test_what_is_somebody_elses_is_not_found(
    calendar: Calendar, connection: ProviderConnection, environment: Environment
) -> None:
    """Neither for a member of the same environment, nor for another environment's administrator."""
    colleague = MembershipFactory(environment=environment).user
    stranger = MembershipFactory(role="admin").user
    for user in (colleague, stranger):
        client = signed_in(user)
        for path in routes_of(calendar, connection):
            if not path.endswith(("/connect", "/reconnect", "/sync")):
                assert client.get(path).status_code == 404, path
            if not path.endswith(("/progress", str(calendar.pk), str(connection.pk))):
                assert client.post(path).status_code == 404, path
    connection.refresh_from_db()
    assert connection.is_active
    assert not AuthorizationRequest.objects.exists()


def test_a_disconnected_connection_is_not_found(
    owner: Client, connection: ProviderConnection
) -> None:
    change(connection, status="disconnected")
    for name in CONNECTION_ROUTES:
        response = owner.post(url(name, connection.pk))
        assert response.status_code in {404, 405}, name
    assert owner.get(url("connection-detail", connection.pk)).status_code == 404


def test_an_unknown_id_is_not_found(owner: Client) -> None:
    response = owner.get(url("calendar-detail", uuid.uuid4()))
    assert response.status_code == 404
    assert "Page not found" in text_of(response)


def test_an_administrator_sees_the_environments_calendars(
    environment: Environment, calendar: Calendar
) -> None:
    CalendarFactory(name="Of another environment")
    boss = signed_in(MembershipFactory(environment=environment, role="admin").user)
    listed = text_of(boss.get(url("calendar-list")))
    assert calendar.name in listed
    assert calendar.owner.email in listed
    assert "Of another environment" not in listed
    assert boss.get(url("calendar-detail", calendar.pk)).status_code == 200


def test_forms_need_their_token(calendar: Calendar, connection: ProviderConnection) -> None:
    client = signed_in(calendar.owner, enforce_csrf_checks=True)
    for name in ("reconnect-calendar", "sync-connection", "disconnect-calendar"):
        response = client.post(url(name, connection.pk))
        assert response.status_code == 403, name
        assert "Please try again" in text_of(response)
    assert client.post(url("connect-calendar", calendar.pk)).status_code == 403


def test_the_url_of_an_action_leads_to_its_page(
    owner: Client, calendar: Calendar, connection: ProviderConnection
) -> None:
    """Where a person lands who had to sign in before a POST."""
    assert owner.get(url("connect-calendar", calendar.pk))["Location"] == url(
        "calendar-detail", calendar.pk
    )
    for name in ("reconnect-calendar", "sync-connection"):
        assert owner.get(url(name, connection.pk))["Location"] == url(
            "connection-detail", connection.pk
        )


def test_pages_are_not_kept_by_caches(owner: Client, calendar: Calendar) -> None:
    assert "no-store" in owner.get(url("calendar-detail", calendar.pk))["Cache-Control"]


# My calendars ------------------------------------------------------------------------------------


def test_a_person_without_calendars_is_told_so(db: None) -> None:
    client = signed_in(UserFactory(email="new@example.com"))
    assert "There is no calendar for new@example.com yet." in text_of(
        client.get(url("calendar-list"))
    )


def test_calendars_are_listed_with_how_they_stand(
    owner: Client, calendar: Calendar, connection: ProviderConnection
) -> None:
    assert "In sync Google Calendar , person@example.com Last synced 20 seconds ago" in text_of(
        owner.get(url("calendar-list"))
    )
    change(connection, status="reauthorization_required", last_error_code="authorization_revoked")
    listed = text_of(owner.get(url("calendar-list")))
    assert "Needs reconnecting" in listed
    assert "has ended the access" in listed
    connection.delete()
    assert "Not connected" in text_of(owner.get(url("calendar-list")))


def test_environments_are_named_when_there_are_several(owner: Client, calendar: Calendar) -> None:
    assert "Acme" not in text_of(owner.get(url("calendar-list")))
    other = MembershipFactory(user=calendar.owner).environment
    CalendarFactory(environment=other, owner=calendar.owner)
    listed = text_of(owner.get(url("calendar-list")))
    assert "Acme" in listed
    assert other.name in listed


def test_the_list_costs_the_same_for_many(
    owner: Client, calendar: Calendar, connection: ProviderConnection
) -> None:
    def cost() -> int:
        with CaptureQueriesContext(database) as queries:
            owner.get(url("calendar-list"))
        return len(queries)

    few = cost()
    for _ in range(10):
        another = CalendarFactory(environment=calendar.environment, owner=calendar.owner)
        external_calendar(
            ProviderConnectionFactory(
                calendar=another, configuration=connection.configuration, account_subject="subject"
            )
        )
    assert cost() == few


def test_many_calendars_come_in_pages(owner: Client, calendar: Calendar) -> None:
    Calendar.objects.bulk_create(
        Calendar(
            environment=calendar.environment, owner=calendar.owner, name=f"N{n:02}", timezone="UTC"
        )
        for n in range(60)
    )
    assert "Page 1 of 2" in text_of(owner.get(url("calendar-list")))
    assert "N59" in text_of(owner.get(url("calendar-list") + "?page=2"))
    assert owner.get(url("calendar-list") + "?page=nonsense").status_code == 200


# A calendar --------------------------------------------------------------------------------------


def test_upcoming_events(owner: Client, calendar: Calendar, connection: ProviderConnection) -> None:
    soon = timezone.now() + timedelta(minutes=5)
    EventFactory(calendar=calendar, title="<script>alert(1)</script> & co", start_at=soon)
    EventFactory(calendar=calendar, title="Called off", start_at=soon, status="cancelled")
    EventFactory(calendar=calendar, title="Far away", start_at=soon + timedelta(days=30))
    EventFactory(calendar=calendar, title="Over", start_at=soon - timedelta(days=1))
    EventFactory(title="Of another calendar", start_at=soon)
    response = owner.get(url("calendar-detail", calendar.pk))
    assert "<bdi>&lt;script&gt;alert(1)&lt;/script&gt; &amp; co</bdi>" in response.content.decode()
    for title in ("Called off", "Far away", "Over", "Of another calendar"):
        assert title not in text_of(response)


def test_twenty_events_and_a_word_about_the_rest(owner: Client, calendar: Calendar) -> None:
    soon = timezone.now() + timedelta(minutes=5)
    for _ in range(21):
        EventFactory(calendar=calendar, title="Again", start_at=soon)
    page = text_of(owner.get(url("calendar-detail", calendar.pk)))
    assert page.count("Again") == 20
    assert "There is more" in page


def test_private_events_are_the_owners(
    owner: Client, calendar: Calendar, environment: Environment
) -> None:
    soon = timezone.now() + timedelta(minutes=5)
    EventFactory(calendar=calendar, title="Doctor", visibility="private", start_at=soon)
    boss = signed_in(MembershipFactory(environment=environment, role="admin").user)
    assert "Doctor" in text_of(owner.get(url("calendar-detail", calendar.pk)))
    seen = text_of(boss.get(url("calendar-detail", calendar.pk)))
    assert "Doctor" not in seen
    assert "Private event" in seen


def test_only_usable_providers_of_the_environment_are_offered(
    owner: Client, calendar: Calendar, configuration: ProviderConfiguration
) -> None:
    environment = calendar.environment
    sealed_configuration(environment, display_name="Paused one", paused_at=timezone.now())
    sealed_configuration(environment, display_name="Inactive one", is_active=False)
    ProviderConfigurationFactory(display_name="Strange one")
    response = owner.get(url("calendar-detail", calendar.pk))
    offered = re.findall(
        r'<label class="choice".*?<bdi>(.*?)</bdi>', response.content.decode(), re.DOTALL
    )
    assert offered == ["Google Calendar"]
    assert f'value="{configuration.pk}"' in response.content.decode()
    assert "checked" in response.content.decode(), "a single one is chosen already"
    sealed_configuration(environment, display_name="A second")
    assert "checked" not in owner.get(url("calendar-detail", calendar.pk)).content.decode()


def test_without_providers_the_page_says_whom_to_ask(owner: Client, calendar: Calendar) -> None:
    page = owner.get(url("calendar-detail", calendar.pk))
    assert "No provider is set up for Acme at present." in text_of(page)


def test_the_page_lets_its_form_lead_to_the_provider(
    owner: Client, calendar: Calendar, connection: ProviderConnection
) -> None:
    """Chromium refuses a form's redirect to an origin that form-action does not name."""
    for page in (
        url("calendar-detail", calendar.pk),
        url("connection-detail", connection.pk),
    ):
        policy = owner.get(page)["Content-Security-Policy"]
        assert re.search(r"form-action 'self' https://accounts\.example\.net(;|$)", policy)
        assert re.search(r"script-src 'self'(;|$)", policy)
    assert "accounts.example.net" not in owner.get(url("calendar-list"))["Content-Security-Policy"]


def test_an_endpoint_cannot_add_to_the_policy(
    owner: Client, calendar: Calendar, configuration: ProviderConfiguration
) -> None:
    ProviderConfiguration.objects.update(authorization_endpoint="https://a.example;script-src/x")
    policy = owner.get(url("calendar-detail", calendar.pk))["Content-Security-Policy"]
    assert re.search(r"form-action 'self'(;|$)", policy)
    assert policy.count("script-src") == 1


def test_connect_leads_to_the_provider(
    owner: Client, calendar: Calendar, configuration: ProviderConfiguration
) -> None:
    response = owner.post(url("connect-calendar", calendar.pk), {"configuration": configuration.pk})
    assert response.status_code == 303
    target = response["Location"]
    assert target.startswith(AUTHORIZATION + "?")
    assert parse_qs(urlsplit(target).query)["redirect_uri"] == [connect.callback_url(configuration)]
    request = AuthorizationRequest.objects.get()
    assert request.started_by == calendar.owner
    assert request.return_uri == ""
    assert request.connection.calendar == calendar
    assert request.connection.status == "pending"


@pytest.mark.parametrize("choice", ["", "nonsense", "b4b55e1e-a809-4247-bc4d-1f0e12aad1c8"])
def test_connect_without_a_valid_choice(
    owner: Client, calendar: Calendar, configuration: ProviderConfiguration, choice: str
) -> None:
    response = owner.post(url("connect-calendar", calendar.pk), {"configuration": choice})
    assert response.status_code == 200
    assert "Choose " in text_of(response)
    assert not ProviderConnection.objects.exists()


def test_connect_refuses_what_is_not_offered(
    owner: Client, calendar: Calendar, configuration: ProviderConfiguration
) -> None:
    others = [
        sealed_configuration(calendar.environment, paused_at=timezone.now()),
        sealed_configuration(calendar.environment, is_active=False),
        ProviderConfigurationFactory(),
    ]
    for other in others:
        response = owner.post(url("connect-calendar", calendar.pk), {"configuration": other.pk})
        assert "is not offered any more" in text_of(response)
    assert not ProviderConnection.objects.exists()


def test_too_many_attempts(
    owner: Client, calendar: Calendar, configuration: ProviderConfiguration, settings: Any
) -> None:
    settings.PENDING_CONNECTIONS_PER_CALENDAR = 1
    form = {"configuration": configuration.pk}
    owner.post(url("connect-calendar", calendar.pk), form)
    response = owner.post(url("connect-calendar", calendar.pk), form)
    assert response.status_code == 303
    assert response["Location"] == url("calendar-detail", calendar.pk)
    assert "Too many connections were started" in notices(response)
    assert ProviderConnection.objects.count() == 1


def test_a_registration_that_cannot_be_read(
    owner: Client, calendar: Calendar, configuration: ProviderConfiguration, settings: Any
) -> None:
    settings.CREDENTIAL_KEYS = generate_key()
    response = owner.post(url("connect-calendar", calendar.pk), {"configuration": configuration.pk})
    assert response["Location"] == url("calendar-detail", calendar.pk)
    assert "Tell the person who runs it" in notices(response)
    assert not ProviderConnection.objects.exists()


# A connection ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ["In sync", "Synced: 312 events, last 20 seconds ago", "Next sync in"]),
        (
            {"last_sync_at": None, "next_sync_at": timezone.now()},
            ["First sync", "The first sync starts in a moment."],
        ),
        (
            {"status": "reauthorization_required", "last_error_code": "authorization_revoked"},
            ["Needs reconnecting", "has ended the access", "What to do: Reconnect"],
        ),
        (
            {"last_error_code": "rate_limited"},
            ["Sync failing", "asks for a pause", "312 events from the last complete sync"],
        ),
        (
            {"status": "error", "last_error_code": "calendar_forbidden"},
            ["Stopped", "may not read the chosen calendar"],
        ),
        (
            {
                "status": "error",
                "account_subject": "",
                "account_email": "",
                "last_error_code": "scope_missing",
                "last_sync_at": None,
            },
            ["Not connected", "permission to read the calendar was not given", "Try again"],
        ),
        (
            {
                "status": "pending",
                "account_subject": "",
                "account_email": "",
                "pending_until": timezone.now() + timedelta(hours=1),
                "last_sync_at": None,
            },
            ["Not authorised yet", "Continue at the provider", "Remove"],
        ),
        (
            {
                "status": "pending",
                "account_subject": "",
                "account_email": "",
                "pending_until": timezone.now() - timedelta(hours=1),
                "last_sync_at": None,
            },
            ["Not finished", "was not finished in time", "Try again"],
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_a_connection_says_how_it_stands(
    owner: Client, connection: ProviderConnection, changes: dict[str, Any], words: list[str]
) -> None:
    change(connection, **changes)
    page = text_of(owner.get(url("connection-detail", connection.pk)))
    for word in words:
        assert word in page


def test_a_provider_on_hold(owner: Client, connection: ProviderConnection) -> None:
    ProviderConfiguration.objects.update(paused_at=timezone.now(), paused_reason="internal: x")
    page = text_of(owner.get(url("connection-detail", connection.pk)))
    assert "On hold This service is not registered correctly at the provider." in page
    assert "internal: x" not in page
    assert "Reconnect" not in page
    assert "Sync now" not in page
    response = owner.post(url("reconnect-calendar", connection.pk))
    assert response["Location"] == url("connection-detail", connection.pk)
    assert "switched off" in notices(response)
    ProviderConfiguration.objects.update(paused_at=None, is_active=False)
    assert "Switched off" in text_of(owner.get(url("connection-detail", connection.pk)))


def run_of(connection: ProviderConnection, **fields: Any) -> SyncRun:
    """A run that is under way."""
    now = timezone.now()
    external = connection.external_calendars.get()
    change(connection, lease_until=now + timedelta(minutes=1), dirty=1, next_sync_at=now)
    values = {"kind": "full", "fence": 1, "window_start": now, "window_end": now} | fields
    return SyncRun.objects.create(connection=connection, external_calendar=external, **values)


def poll_seconds(response: Any) -> int:
    found = re.search(r'data-poll-seconds="(\d+)"', response.content.decode())
    assert found
    return int(found.group(1))


def test_progress_of_the_first_sync(owner: Client, connection: ProviderConnection) -> None:
    change(connection, last_sync_at=None, events_synced=0)
    run = run_of(connection, pages=3, events_seen=7500)
    progress = owner.get(url("connection-progress", connection.pk))
    assert "<html" not in progress.content.decode()
    assert "The first sync is running. Events so far 7,500 Pages 3" in text_of(progress)
    assert poll_seconds(progress) == 1
    run.phase = SyncRun.Phase.SWEEPING
    run.save()
    assert "Almost done" in text_of(owner.get(url("connection-progress", connection.pk)))
    run.status = SyncRun.Status.SUCCEEDED
    run.save()
    change(
        connection, lease_until=None, settled=1, last_sync_at=timezone.now(), events_synced=7412,
        next_sync_at=timezone.now() + timedelta(minutes=5),
    )  # fmt: skip
    done = owner.get(url("connection-progress", connection.pk))
    assert "Synced: 7,412 events, last just now" in text_of(done)
    assert poll_seconds(done) == 0


def test_progress_asks_less_often_while_it_waits(
    owner: Client, connection: ProviderConnection
) -> None:
    now = timezone.now()
    change(connection, dirty=1, next_sync_at=now)
    assert poll_seconds(owner.get(url("connection-progress", connection.pk))) == 1
    change(connection, last_error_code="rate_limited", next_sync_at=now + timedelta(minutes=1))
    assert poll_seconds(owner.get(url("connection-progress", connection.pk))) == 5
    change(connection, next_sync_at=now + timedelta(hours=1))
    assert poll_seconds(owner.get(url("connection-progress", connection.pk))) == 0


def test_a_sync_that_nobody_takes_up(owner: Client, connection: ProviderConnection) -> None:
    change(connection, dirty=1, next_sync_at=timezone.now() - timedelta(minutes=2))
    response = owner.get(url("connection-progress", connection.pk))
    assert "If it lasts, tell the operator." in text_of(response)
    assert poll_seconds(response) == 5


def test_a_failed_reconnect_is_told_though_the_connection_is_as_before(
    owner: Client, connection: ProviderConnection
) -> None:
    owner.post(url("reconnect-calendar", connection.pk))
    request = AuthorizationRequest.objects.get()
    assert request.expected_account == connection.account_email
    AuthorizationRequest.objects.update(consumed_at=timezone.now(), outcome="account_mismatch")
    page = text_of(owner.get(url("connection-detail", connection.pk)))
    assert "Reconnecting did not work. Another account was chosen" in page
    assert "In sync" in page
    AuthorizationRequest.objects.update(outcome="connected")
    assert "did not work" not in text_of(owner.get(url("connection-detail", connection.pk)))
    AuthorizationRequest.objects.update(
        outcome="account_mismatch", consumed_at=timezone.now() - timedelta(hours=1)
    )
    assert "did not work" not in text_of(owner.get(url("connection-detail", connection.pk)))


def test_reconnect_leads_to_the_provider(owner: Client, connection: ProviderConnection) -> None:
    response = owner.post(url("reconnect-calendar", connection.pk))
    assert response.status_code == 303
    assert response["Location"].startswith(AUTHORIZATION + "?")
    assert AuthorizationRequest.objects.get().connection == connection


def test_sync_now(owner: Client, connection: ProviderConnection) -> None:
    response = owner.post(url("sync-connection", connection.pk))
    assert response.status_code == 303
    external = connection.external_calendars.get()
    assert external.dirty == 1
    assert external.next_sync_at is not None
    assert external.next_sync_at <= timezone.now()
    assert "Syncing" in text_of(owner.get(response["Location"]))


def test_sync_now_of_what_is_not_active(owner: Client, connection: ProviderConnection) -> None:
    change(connection, status="error", last_error_code="scope_missing")
    response = owner.post(url("sync-connection", connection.pk))
    assert "connect the account first" in notices(response)
    assert connection.external_calendars.get().dirty == 0


def test_disconnect_asks_first(
    owner: Client, calendar: Calendar, connection: ProviderConnection
) -> None:
    EventFactory(calendar=calendar, source=connection.external_calendars.get())
    question = owner.get(url("disconnect-calendar", connection.pk))
    assert "Disconnect this account?" in text_of(question)
    connection.refresh_from_db()
    assert connection.is_active
    response = owner.post(url("disconnect-calendar", connection.pk))
    assert response.status_code == 303
    assert response["Location"] == url("calendar-detail", calendar.pk)
    assert "The events that were synced stay" in notices(response)
    connection.refresh_from_db()
    assert connection.status == "disconnected"
    assert calendar.events.count() == 1


def test_an_attempt_can_be_removed(owner: Client, connection: ProviderConnection) -> None:
    change(connection, status="expired", account_subject="", account_email="")
    calendar_page = text_of(owner.get(url("calendar-detail", connection.calendar_id)))
    assert "Not finished (1)" in calendar_page
    assert "Connect another account" not in calendar_page
    assert "Remove this attempt?" in text_of(owner.get(url("disconnect-calendar", connection.pk)))
    assert "Removed." in notices(owner.post(url("disconnect-calendar", connection.pk)))


def test_names_cannot_break_out(
    owner: Client, calendar: Calendar, connection: ProviderConnection
) -> None:
    evil = "</title><img src=x onerror=alert(1)>\u202e" + "x" * 200
    Calendar.objects.update(name=evil)
    change(connection, account_email="<b>@example.com", name="</dd><script>")
    for page in (
        url("calendar-list"),
        url("calendar-detail", calendar.pk),
        url("connection-detail", connection.pk),
        url("disconnect-calendar", connection.pk),
    ):
        body = owner.get(page).content.decode()
        assert "<img src=x" not in body
        assert "<b>@" not in body
        assert "</dd><script>" not in body
        title = body[body.index("<title>") : body.index("</title>")]
        assert "\u202e" not in title
        assert all("\u202e" in found for found in re.findall(r"<bdi>[^<]*\u202e[^<]*</bdi>", body))
        assert body.count("\u202e") == len(re.findall(r"<bdi>[^<]*\u202e", body))


# Error pages and signing in ----------------------------------------------------------------------


def test_the_page_for_a_handshake_with_nowhere_to_go(client: Client) -> None:
    response = client.get(url("connect-error", "scope_missing"))
    assert response.status_code == 400
    assert "The permission to read the calendar was not given." in text_of(response)
    assert "scope_missing" in text_of(response)
    assert "default-src 'none'" in response["Content-Security-Policy"]
    unknown = client.get(url("connect-error", "anything"))
    assert unknown.status_code == 404
    assert "anything" not in unknown.content.decode()


@pytest.mark.parametrize("name", ["400", "403", "404", "500", "403_csrf"])
def test_error_pages_need_nothing(name: str) -> None:
    """No request, no session, no database: it may be one of those that failed."""
    page = get_template(f"{name}.html").render()
    assert page.count("<h1>") == 1
    assert url("home") in page


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("account_login", "Send me a code"),
        ("account_request_login_code", "Send me a code"),
        ("account_reset_password", "Send me a link"),
        ("account_reset_password_done", "Look into your mail"),
        ("account_signup", "You cannot sign up here by yourself."),
        ("account_inactive", "switched off"),
    ],
)
def test_pages_around_signing_in(client: Client, db: None, name: str, words: str) -> None:
    response = client.get(url(name))
    assert response.status_code == 200
    assert words in text_of(response)
    assert response.content.decode().count("<h1") == 1


def test_signing_in_and_out(client: Client, calendar: Calendar) -> None:
    calendar.owner.set_password(PASSWORD)
    calendar.owner.save()
    form = {"login": calendar.owner.email, "password": "wrong"}
    refused = client.post(url("account_login"), form)
    assert "Please check what you entered." in text_of(refused)
    assert 'autocomplete="current-password"' in refused.content.decode()
    welcome = client.post(url("account_login"), form | {"password": PASSWORD})
    assert welcome["Location"] == url("calendar-list")
    page = client.get(url("calendar-list"))
    assert calendar.owner.email in page.content.decode()
    assert notices(page) == ""
    assert client.post(url("account_logout")).status_code == 302
    assert client.get(url("calendar-list")).status_code == 302


def test_signing_in_with_a_code(client: Client, calendar: Calendar) -> None:
    asked = client.post(
        url("account_request_login_code"), {"email": calendar.owner.email}, follow=True
    )
    assert "Enter the code" in text_of(asked)
    code = re.search(r"^[A-Z0-9-]{6,}$", str(mail.outbox[0].body), re.MULTILINE)
    assert code
    done = client.post(url("account_confirm_login_code"), {"code": code.group()})
    assert done["Location"] == url("calendar-list")


def test_signing_out_can_be_asked_for(owner: Client) -> None:
    assert "You are signed in as" in text_of(owner.get(url("account_logout")))


# The templates -----------------------------------------------------------------------------------


def test_nothing_in_the_templates_needs_an_exception_from_the_policy() -> None:
    for path in TEMPLATES.rglob("*.html"):
        source = path.read_text()
        assert not re.search(r"\sstyle=|<style|\son[a-z]+=|javascript:", source), path
        for tag in re.findall(r"<script[^>]*>", source):
            assert "src=" in tag, path


def test_times_as_people_say_them() -> None:
    now = timezone.now()
    said = [describe(now - timedelta(seconds=n), now) for n in (0, 20, 60, 3 * 60, 3 * 3600)]
    assert [text.replace("\xa0", " ") for text in said] == [
        "just now",
        "20 seconds ago",
        "1 minute ago",
        "3 minutes ago",
        "3 hours ago",
    ]
    assert describe(now + timedelta(minutes=4), now).replace("\xa0", " ") == "in 4 minutes"


def test_titles_are_one_visible_line() -> None:
    assert plain("a\u202eb\nc\u2066d") == "a b c d"
