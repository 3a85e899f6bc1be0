"""The admin of configurations and connections: who may what, and no secret on any page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from calendars.models import Calendar
from providers import connect
from providers.models import (
    AuthorizationRequest,
    ConnectionCredential,
    ExternalCalendar,
    ProviderConfiguration,
    ProviderConnection,
    RevocationJob,
    SyncRun,
)
from talkover.encryption import seal, unseal
from talkover.environments.models import Environment, User
from tests.factories import (
    CalendarFactory,
    EventFactory,
    ProviderConfigurationFactory,
    ProviderConnectionFactory,
)

CANARY = "canary-6b1f"
MODELS = (
    "providerconfiguration",
    "providerconnection",
    "syncrun",
    "externalcalendar",
    "authorizationrequest",
    "revocationjob",
)
READ_ONLY = MODELS[1:]


@pytest.fixture
def root(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root@example.com"))
    return client


def staff_with(*permissions: str) -> Client:
    user = User.objects.create_user("staff@example.com", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="providers", codename__in=permissions)
        if permissions
        else Permission.objects.filter(content_type__app_label="providers")
    )
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def staff(db: None) -> Client:
    """Staff with every permission on providers, yet no superuser."""
    return staff_with()


def listing(model: str) -> str:
    return reverse(f"admin:providers_{model}_changelist")


def page_of(instance: Any) -> str:
    return reverse(f"admin:providers_{instance._meta.model_name}_change", args=[instance.pk])


@pytest.fixture
def configuration(environment: Environment) -> ProviderConfiguration:
    configuration: ProviderConfiguration = ProviderConfigurationFactory.build(
        environment=environment, authorization_endpoint="https://login.example.net/authorize"
    )
    seal(configuration, "client_secret", CANARY)
    configuration.save()
    return configuration


@pytest.fixture
def connection(calendar: Calendar, configuration: ProviderConfiguration) -> ProviderConnection:
    return connected(calendar, configuration)


def connected(calendar: Calendar, configuration: ProviderConfiguration) -> ProviderConnection:
    """A connection with everything around it; what must not be shown holds the canary."""
    now = timezone.now()
    connection: ProviderConnection = ProviderConnectionFactory(
        calendar=calendar, configuration=configuration, account_subject="subject"
    )
    environment = calendar.environment
    credential = ConnectionCredential(
        connection=connection, environment=environment, expires_at=now, stored_at=now
    )
    for name in ("access_token", "refresh_token"):
        seal(credential, name, CANARY)
    credential.save()
    external = ExternalCalendar.objects.create(
        connection=connection, external_id="ada@example.com", last_sync_at=now, cursor=CANARY
    )
    for number in range(2):
        SyncRun.objects.create(
            connection=connection, external_calendar=external, kind="full", fence=number,
            status="failed", error_code="provider_unavailable", window_start=now, window_end=now,
            page_token=CANARY, next_cursor=CANARY, finished_at=now,
        )  # fmt: skip
    request = AuthorizationRequest(
        environment=environment, connection=connection, configuration=configuration,
        state_digest=f"{CANARY}{connection.pk}", caller_state=CANARY, expires_at=now,
        provider_redirect_uri="https://example.com", client_id="client",
        return_uri=f"https://example.com/?secret={CANARY}", outcome="access_denied",
    )  # fmt: skip
    seal(request, "code_verifier", CANARY)
    request.save()
    job = RevocationJob(environment=environment, configuration=configuration, expires_at=now)
    seal(job, "token", CANARY)
    job.save()
    return connection


def cost(client: Client, path: str) -> int:
    with CaptureQueriesContext(database) as queries:
        assert client.get(path).status_code == 200
    return len(queries)


def sealed_values() -> list[str]:
    return [
        ProviderConfiguration.objects.get().client_secret,
        ConnectionCredential.objects.get().access_token,
        ConnectionCredential.objects.get().refresh_token,
        AuthorizationRequest.objects.get().code_verifier,
        RevocationJob.objects.get().token,
    ]


def test_no_page_shows_a_secret(root: Client, connection: ProviderConnection) -> None:
    instances = [
        connection,
        connection.configuration,
        connection.external_calendars.get(),
        connection.sync_runs.all()[0],
        AuthorizationRequest.objects.get(),
        RevocationJob.objects.get(),
    ]
    paths = [
        *(listing(model) for model in MODELS),
        *(page_of(instance) for instance in instances),
        *(page_of(instance).replace("/change/", "/history/") for instance in instances),
        reverse("admin:providers_providerconfiguration_add"),
        reverse("admin:index"),
    ]
    for path in paths:
        response = root.get(path)
        assert response.status_code == 200, path
        body = response.content.decode()
        assert CANARY not in body, path
        assert not any(value in body for value in sealed_values()), path


def test_tokens_have_no_page() -> None:
    assert not admin.site.is_registered(ConnectionCredential)


@pytest.mark.parametrize("model", READ_ONLY)
def test_what_is_recorded_is_not_edited(
    root: Client, connection: ProviderConnection, model: str
) -> None:
    instance = {
        "providerconnection": connection,
        "syncrun": connection.sync_runs.all()[0],
        "externalcalendar": connection.external_calendars.get(),
        "authorizationrequest": AuthorizationRequest.objects.get(),
        "revocationjob": RevocationJob.objects.get(),
    }[model]
    assert root.get(reverse(f"admin:providers_{model}_add")).status_code == 403
    assert root.post(page_of(instance), {}).status_code == 403
    delete = reverse(f"admin:providers_{model}_delete", args=[instance.pk])
    assert root.post(delete, {"post": "yes"}).status_code == 403
    assert 'name="_save"' not in root.get(page_of(instance)).content.decode()


def test_pages_are_for_those_with_a_permission(connection: ProviderConnection) -> None:
    client = staff_with("view_syncrun")
    assert client.get(listing("syncrun")).status_code == 200
    for model in set(MODELS) - {"syncrun"}:
        assert client.get(listing(model)).status_code == 403, model


@pytest.mark.parametrize("model", MODELS)
def test_lists_cost_the_same_for_many(
    root: Client, connection: ProviderConnection, model: str
) -> None:
    few = cost(root, listing(model))
    for _ in range(5):
        calendar = CalendarFactory(environment=connection.environment)
        connected(calendar, connection.configuration)
    assert cost(root, listing(model)) == few


# Configurations ----------------------------------------------------------------------------------


def form_of(environment: Environment, **changes: Any) -> dict[str, Any]:
    return {
        "environment": str(environment.pk),
        "identifier": "calendar_provider_a",
        "kind": "google",
        "display_name": "Google",
        "is_active": "on",
        "client_id": "client",
        "new_client_secret": "first-secret",
        "scopes": "",
        "window_days_back": "30",
        "window_days_ahead": "365",
    } | changes


ADD = "admin:providers_providerconfiguration_add"


def test_adding_a_configuration(root: Client, environment: Environment) -> None:
    form = form_of(environment, scopes="openid\nhttps://example.com/calendar.readonly")
    assert root.post(reverse(ADD), form).status_code == 302
    configuration = ProviderConfiguration.objects.get()
    assert unseal(configuration, "client_secret") == "first-secret"
    assert configuration.scopes == ["openid", "https://example.com/calendar.readonly"]
    body = root.get(page_of(configuration)).content.decode()
    assert connect.callback_url(configuration) in body
    assert "first-secret" not in body


def test_adding_needs_a_secret_and_a_known_kind(root: Client, environment: Environment) -> None:
    for change, words in [
        ({"new_client_secret": ""}, "This field is required."),
        ({"kind": "strange"}, "strange is not one of the available choices"),
        ({"identifier": "Not Good"}, "Use lower-case letters"),
        ({"token_endpoint": "http://internal.example/token"}, "Plain http is refused."),
        ({"api_root_endpoint": "https://example.com/?a=1"}, "must not have a query"),
    ]:
        response = root.post(reverse(ADD), form_of(environment, **change))
        assert words in response.content.decode(), change
    assert not ProviderConfiguration.objects.exists()


def test_the_secret_stays_unless_another_is_given(
    root: Client, environment: Environment, configuration: ProviderConfiguration
) -> None:
    page = page_of(configuration)
    form = form_of(environment, identifier=configuration.identifier, new_client_secret="")
    assert root.post(page, form | {"display_name": "Renamed"}).status_code == 302
    configuration.refresh_from_db()
    assert configuration.display_name == "Renamed"
    assert unseal(configuration, "client_secret") == CANARY
    assert root.post(page, form | {"new_client_secret": "second"}).status_code == 302
    configuration.refresh_from_db()
    assert unseal(configuration, "client_secret") == "second"


def test_environment_and_kind_stay(
    root: Client,
    environment: Environment,
    other_environment: Environment,
    configuration: ProviderConfiguration,
) -> None:
    """The secret is sealed for its environment, and the registered callback names the kind."""
    form = form_of(other_environment, identifier="renamed", kind="strange")
    assert root.post(page_of(configuration), form).status_code == 302
    configuration.refresh_from_db()
    assert configuration.identifier == "renamed"
    assert (configuration.environment, configuration.kind) == (environment, "google")


def test_secrets_and_endpoints_are_for_superusers(
    staff: Client, environment: Environment, configuration: ProviderConfiguration
) -> None:
    assert staff.get(reverse(ADD)).status_code == 403
    body = staff.get(page_of(configuration)).content.decode()
    for name in ("new_client_secret", "secret_is_kept", "_endpoint", "login.example.net"):
        assert name not in body
    form = form_of(
        environment,
        identifier="renamed",
        client_id="changed",
        new_client_secret="changed",
        token_endpoint="https://evil.example/token",
    )
    assert staff.post(page_of(configuration), form).status_code == 302
    configuration.refresh_from_db()
    assert configuration.identifier == "renamed"
    assert configuration.client_id == "client"
    assert configuration.token_endpoint == ""
    assert unseal(configuration, "client_secret") == CANARY


def test_a_fault_in_a_field_that_staff_do_not_have_is_named(
    staff: Client, environment: Environment, configuration: ProviderConfiguration
) -> None:
    ProviderConfiguration.objects.update(api_root_endpoint="http://internal.example")
    response = staff.post(page_of(configuration), form_of(environment))
    assert response.status_code == 200
    assert "api_root_endpoint: Plain http is refused." in response.content.decode()


def test_staff_who_may_only_look(configuration: ProviderConfiguration) -> None:
    body = staff_with("view_providerconfiguration").get(page_of(configuration)).content.decode()
    assert 'name="_save"' not in body
    assert "login.example.net" not in body


def test_resume(
    root: Client, configuration: ProviderConfiguration, connection: ProviderConnection
) -> None:
    ProviderConfiguration.objects.update(paused_at=timezone.now(), paused_reason="invalid_client")
    assert "invalid_client" in root.get(listing("providerconfiguration")).content.decode()
    ExternalCalendar.objects.update(next_sync_at=timezone.now() + timedelta(hours=1))
    run_action(root, "providerconfiguration", "resume", configuration)
    configuration.refresh_from_db()
    assert (configuration.paused_at, configuration.paused_reason) == (None, "")
    due = connection.external_calendars.get().next_sync_at
    assert due is not None
    assert due <= timezone.now()
    assert LogEntry.objects.get().change_message == "Resumed."


# Connections -------------------------------------------------------------------------------------


def run_action(client: Client, model: str, action: str, *chosen: Any, **more: Any) -> Any:
    form = {"action": action, "_selected_action": [str(one.pk) for one in chosen]} | more
    return client.post(listing(model), form, follow=True)


def test_the_list_of_connections(root: Client, connection: ProviderConnection) -> None:
    ProviderConnection.objects.update(last_error_code="rate_limited")
    body = root.get(listing("providerconnection")).content.decode()
    for words in ("Ada&#x27;s appointments", "person@example.com", "Sync failing", "Acme"):
        assert words in body
    assert "The provider asks for a pause." in body


def test_filters_and_search(
    root: Client, calendar: Calendar, connection: ProviderConnection
) -> None:
    other = ProviderConnectionFactory(
        calendar=CalendarFactory(name="Elsewhere"), status="error", account_email="eve@example.org"
    )

    def found(query: str) -> set[Any]:
        response = root.get(f"{listing('providerconnection')}?{query}")
        assert response.status_code == 200
        return {row.pk for row in response.context["cl"].result_list}

    everything = {connection.pk, other.pk}
    assert found("") == everything
    assert found("status__exact=error") == {other.pk}
    assert found("configuration__kind=google") == everything
    assert found(f"configuration__environment__id__exact={calendar.environment_id}") == {
        connection.pk
    }
    assert found(f"configuration__id__exact={other.configuration_id}") == {other.pk}
    assert found("q=EVE@example") == {other.pk}
    assert found("q=appointments") == {connection.pk}
    assert found(f"q={connection.pk}") == {connection.pk}
    assert found("q=%25nonsense") == set()


def test_a_connections_page_has_its_calendars_and_latest_runs(
    root: Client, connection: ProviderConnection
) -> None:
    external = connection.external_calendars.get()
    now = timezone.now()
    for number in range(15):
        SyncRun.objects.create(
            connection=connection, external_calendar=external, kind="incremental", fence=number,
            status="succeeded", window_start=now, window_end=now, events_seen=1000 + number,
            started_at=now + timedelta(seconds=number),
        )  # fmt: skip
    body = root.get(page_of(connection)).content.decode()
    assert "ada@example.com" in body
    # With the markup around them: the ids in the links are random, and have such digits too.
    assert ">1014<" in body
    assert ">1005<" in body
    assert ">1004<" not in body
    assert root.get(page_of(connection.sync_runs.last())).status_code == 200


def test_sync_now(root: Client, calendar: Calendar, connection: ProviderConnection) -> None:
    broken = connected(calendar, connection.configuration)
    ProviderConnection.objects.filter(pk=broken.pk).update(status="error")
    response = run_action(root, "providerconnection", "sync_now", connection, broken)
    words = [str(message) for message in response.context["messages"]]
    assert words == ["Asked to sync: 1 connections.", "Left out, because they are not active: 1."]
    assert connection.external_calendars.get().dirty == 1
    assert broken.external_calendars.get().dirty == 0


def test_disconnect_asks_first(
    root: Client, calendar: Calendar, connection: ProviderConnection
) -> None:
    EventFactory(calendar=calendar, source=connection.external_calendars.get())
    asked = run_action(root, "providerconnection", "disconnect", connection)
    assert "These connections end" in asked.content.decode()
    assert "person@example.com" in asked.content.decode()
    connection.refresh_from_db()
    assert connection.is_active
    done = run_action(root, "providerconnection", "disconnect", connection, confirmed="yes")
    assert "Disconnected: 1." in done.content.decode()
    connection.refresh_from_db()
    assert connection.status == "disconnected"
    assert not ConnectionCredential.objects.exists()
    assert calendar.events.count() == 1
    assert LogEntry.objects.get().change_message == "Disconnected."


def test_actions_are_for_those_who_may_change(connection: ProviderConnection) -> None:
    looker = staff_with("view_providerconnection")
    body = looker.get(listing("providerconnection")).content.decode()
    assert 'value="sync_now"' not in body
    assert 'value="disconnect"' not in body
    run_action(looker, "providerconnection", "disconnect", connection, confirmed="yes")
    connection.refresh_from_db()
    assert connection.is_active


def test_staff_operate_connections(staff: Client, connection: ProviderConnection) -> None:
    run_action(staff, "providerconnection", "sync_now", connection)
    assert connection.external_calendars.get().dirty == 1


def test_names_cannot_break_out(root: Client, connection: ProviderConnection) -> None:
    Calendar.objects.update(name="<img src=x>\u202e")
    ProviderConnection.objects.update(account_email="<b>@example.com")
    for model in ("providerconnection", "syncrun", "externalcalendar", "authorizationrequest"):
        body = root.get(listing(model)).content.decode()
        assert "<img src=x>" not in body
        assert "<b>@" not in body


def test_the_site_is_named(root: Client) -> None:
    body = root.get(reverse("admin:index")).content.decode()
    assert body.count("Talkover calendars") >= 2
