"""The mail to an account's owner: its words, to whom, once, and a mail server that is away."""

from __future__ import annotations

import smtplib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import transaction
from django.utils import timezone

from providers import notices, tasks
from providers.models import AuditEntry, ProviderConnection
from talkover.environments.models import Environment, Membership
from tests.factories import ProviderConnectionFactory
from tests.services import free_port

pytestmark = pytest.mark.django_db


@pytest.fixture
def connection(environment: Environment) -> ProviderConnection:
    Environment.objects.filter(pk=environment.pk).update(notify_accounts=True)
    environment.refresh_from_db()
    connection: ProviderConnection = ProviderConnectionFactory(
        calendar__environment=environment,
        configuration__display_name="Google Calendar",
        account_email="grace@example.com",
        activated_at=timezone.now(),
    )
    Membership.objects.filter(user=connection.calendar.owner).update(name="Ada")
    return connection


def noted(connection: ProviderConnection) -> ProviderConnection:
    assert notices.connection_made(connection, address_verified=True)
    return connection


def actions() -> list[str]:
    return list(AuditEntry.objects.values_list("action", flat=True))


class Refusing(EmailBackend):
    """A mail server that takes the connection and not the mail."""

    error: Exception = smtplib.SMTPRecipientsRefused({})

    def send_messages(self, messages: Any) -> int:
        raise self.error


def refusing(settings: Any, error: Exception) -> None:
    Refusing.error = error
    settings.EMAIL_BACKEND = f"{__name__}.Refusing"


def test_the_owner_of_the_account_is_told_who_what_and_how_to_end_it(connection) -> None:
    at = datetime(2026, 3, 2, 9, 15, tzinfo=UTC)
    ProviderConnection.objects.filter(pk=connection.pk).update(activated_at=at)

    noted(connection)
    assert notices.send_due() == 1

    (message,) = mail.outbox
    assert message.to == ["grace@example.com"]
    assert message.subject == "Your calendar was connected to Acme"
    body = " ".join(str(message.body).split())
    assert (
        "Your calendar grace@example.com (Google Calendar) was connected to “Acme”, for “Ada”,"
        " on 2 March 2026, 09:15 UTC." in body
    )
    assert "https://myaccount.google.com/connections" in body
    assert message.extra_headers["Auto-Submitted"] == "auto-generated"
    assert actions() == ["notice_sent"]


def test_names_cannot_make_a_mail_of_their_own(connection) -> None:
    Environment.objects.update(name="Acme\r\nBcc: eve@example.com " + "x" * 200)
    Membership.objects.update(name="Ada & <b>\n\nClick here\u202e")
    noted(connection)
    assert notices.send_due() == 1
    (message,) = mail.outbox
    assert message.recipients() == ["grace@example.com"]
    assert "\n" not in message.subject
    assert len(message.subject) < 120
    assert "“Ada & <b> Click here”" in message.body


def test_no_mail_where_it_is_not_wanted(connection) -> None:
    connection.environment.notify_accounts = False
    assert not notices.connection_made(connection, address_verified=True)
    assert notices.send_due() == 0
    assert mail.outbox == []


def test_no_mail_to_an_address_that_could_be_anybodys(connection) -> None:
    assert not notices.connection_made(connection, address_verified=False)
    connection.account_email = ""
    assert not notices.connection_made(connection, address_verified=True)
    assert notices.send_due() == 0


def test_it_is_sent_once_however_often_the_task_runs(connection) -> None:
    noted(connection)
    assert [notices.send_due() for _ in range(3)] == [1, 0, 0]
    assert len(mail.outbox) == 1
    assert actions() == ["notice_sent"]


def test_two_senders_at_once_send_it_once(connection, monkeypatch) -> None:
    """The second has read the same row before the first took it."""
    noted(connection)
    stale = ProviderConnection.objects.select_related("environment").get(pk=connection.pk)
    assert notices.send_due() == 1
    with mail.get_connection() as server:
        assert not notices._send(stale, server)
    assert len(mail.outbox) == 1


def test_a_mail_server_that_is_away_is_asked_again(connection, settings, caplog) -> None:
    noted(connection)
    backend = settings.EMAIL_BACKEND
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    assert notices.send_due() == 0
    assert "notices wait" in caplog.text
    assert actions() == []

    settings.EMAIL_BACKEND = backend
    assert notices.send_due() == 1


def test_a_mail_that_is_refused_is_tried_again_later(connection, settings) -> None:
    noted(connection)
    backend = settings.EMAIL_BACKEND
    refusing(settings, smtplib.SMTPDataError(451, b"greylisted, canary"))
    assert notices.send_due() == 0
    settings.EMAIL_BACKEND = backend
    assert notices.send_due() == 0  # not at once
    ProviderConnection.objects.update(notice_due_at=timezone.now())
    assert notices.send_due() == 1


@pytest.mark.parametrize(
    "error",
    [smtplib.SMTPRecipientsRefused({}), smtplib.SMTPServerDisconnected("away"), OSError("away")],
)
def test_after_a_day_it_is_given_up_and_said(connection, settings, caplog, error) -> None:
    noted(connection)
    ProviderConnection.objects.update(activated_at=timezone.now() - timedelta(days=2))
    refusing(settings, error)

    assert notices.send_due() == 0

    assert actions() == ["notice_failed"]
    assert "never sent" in caplog.text
    assert "grace@example.com" not in caplog.text
    assert not ProviderConnection.objects.filter(notice_due_at__isnull=False).exists()


def test_it_is_sent_after_the_commit(
    connection, django_capture_on_commit_callbacks: Callable[..., Any], monkeypatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(
        tasks.send_notices, "apply_async", lambda *_args, **_options: sent.append("sent")
    )
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        tasks.notify_account(connection, address_verified=True)
        connection.save()  # as the activation may
        assert sent == []
    assert sent == ["sent"]
    tasks.send_notices()
    assert len(mail.outbox) == 1


def test_housekeeping_sends_what_the_broker_lost(connection) -> None:
    noted(connection)
    tasks.housekeeping()
    assert len(mail.outbox) == 1
