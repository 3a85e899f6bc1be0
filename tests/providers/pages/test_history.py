"""The history on a connection's page: plain words, the latest five, nobody else's affairs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from providers import audit
from providers.audit import Action, Actor
from providers.models import AuditEntry, ProviderConnection
from talkover.environments.models import EnvironmentToken, Membership
from tests.factories import MembershipFactory, UserFactory
from tests.providers.pages.conftest import signed_in, text_of, url


def history(browser: Client, connection: ProviderConnection) -> str:
    response = browser.get(url("connection-detail", connection.pk))
    assert response.status_code == 200
    return text_of(response).partition(" History ")[2]


def test_the_history_reads_as_people_talk(owner: Client, connection: ProviderConnection) -> None:
    token, _ = EnvironmentToken.issue(environment=connection.environment, name="backend")
    ada = connection.calendar.owner
    audit.record(connection, Action.CONNECT_STARTED, actor=Actor.of_token(token))
    audit.record(connection, Action.CONNECTED, actor=Actor.of_person(ada, "198.51.100.7"))
    audit.record(
        connection,
        Action.REAUTHORIZATION_REQUIRED,
        actor=Actor.system(),
        code="authorization_revoked",
    )

    words = history(owner, connection)

    assert words.startswith(
        "Needs reconnecting The account's owner, or the provider, has ended the access. just now"
        " Connected by you just now Connecting begun by the application just now"
    )
    assert "198.51.100.7" not in words
    assert "backend" not in words


def test_somebody_elses_name_is_the_environments(connection: ProviderConnection) -> None:
    ada = connection.calendar.owner
    Membership.objects.filter(user=ada).update(name="Ada")
    MembershipFactory(user=ada, name="Countess")  # another environment's word
    audit.record(connection, Action.CONNECTED, actor=Actor.of_person(ada))
    administrator = MembershipFactory(environment=connection.environment, role="admin").user
    assert history(signed_in(administrator), connection).startswith("Connected by Ada ")


def test_whom_an_application_has_sent_is_nobody_known(
    owner: Client, connection: ProviderConnection
) -> None:
    audit.record(connection, Action.CONNECTED, actor=Actor.of_browser("198.51.100.7"))
    assert history(owner, connection).startswith("Connected just now")


def test_staff_have_no_name_here(owner: Client, connection: ProviderConnection) -> None:
    audit.record(connection, Action.RECONNECT_STARTED, actor=Actor.of_staff(UserFactory()))
    assert history(owner, connection).startswith("Reconnecting begun by the operator ")


@pytest.mark.parametrize(
    "action",
    [Action.ACCOUNT_SHARED, Action.ACCOUNT_SHARED_ELSEWHERE, Action.SYNC_REQUESTED],
)
def test_others_affairs_and_trifles_are_left_out(
    owner: Client, connection: ProviderConnection, action: Action
) -> None:
    audit.record(connection, action, actor=Actor.system())
    assert history(owner, connection) == ""


def test_it_is_short(owner: Client, connection: ProviderConnection) -> None:
    entries: list[Any] = []
    for number in range(7):
        entry = audit.entry(connection, Action.SYNC_FAILING, actor=Actor.system())
        entry.created_at = timezone.now() - timedelta(hours=number)
        entries.append(entry)
    AuditEntry.objects.bulk_create(entries)
    words = history(owner, connection)
    assert words.count("Sync began to fail") == 5
    assert "6 hours" not in words.replace("\xa0", " ")
