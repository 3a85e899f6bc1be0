"""The list of calendars, and a calendar's page with its form to connect an account."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from calendars.models import Calendar
from providers import connect
from providers.models import AuthorizationRequest, ProviderConfiguration, ProviderConnection
from talkover.encryption import generate_key
from talkover.environments.models import Environment
from tests.factories import (
    CalendarFactory,
    EventFactory,
    MembershipFactory,
    ProviderConfigurationFactory,
    ProviderConnectionFactory,
    UserFactory,
)
from tests.providers.pages.conftest import (
    AUTHORIZATION,
    change,
    external_calendar,
    notices,
    sealed_configuration,
    signed_in,
    text_of,
    url,
)

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
