"""Mail to the owner of an account that was connected: whoever did not mean to can end it.

What is to be sent is noted with the connection, in the transaction that connects it, and sent
afterwards; housekeeping repeats what the mail server did not take, for a day. Two senders at once
send it once; one that dies between sending and noting that sends it again.
"""

from __future__ import annotations

import logging
import smtplib
from datetime import datetime, timedelta

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.template.defaultfilters import truncatechars
from django.template.loader import render_to_string
from django.utils import timezone

from providers import audit
from providers.models import ProviderConnection
from providers.templatetags.talkover import plain
from talkover.environments.models import Membership

logger = logging.getLogger(__name__)

PAUSE = timedelta(minutes=10)
GIVEN_UP_AFTER = timedelta(hours=24)
TIMEOUT_SECONDS = 10
# Names are others' words in our mail: short ones carry no letters of their own.
LONGEST_NAME = 60
# Where people see and end what has access to their account.
ACCESS_PAGES = {"google": "https://myaccount.google.com/connections"}


def connection_made(connection: ProviderConnection, *, address_verified: bool) -> bool:
    """Note that the account's owner is to be told; whether there is something to send.

    Only to an address that the provider vouches for: another could be anybody's.
    """
    wanted = connection.environment.notify_accounts and address_verified
    if not wanted or not connection.account_email:
        return False
    # On the instance, too: the caller may save it afterwards.
    connection.notice_due_at = timezone.now()
    ProviderConnection.objects.filter(pk=connection.pk).update(
        notice_due_at=connection.notice_due_at
    )
    return True


def send_due(*, limit: int = 50) -> int:
    """Send what is due; returns how many were sent. Safe to run twice at once."""
    due = list(
        ProviderConnection.objects.filter(notice_due_at__lte=timezone.now())
        .select_related("environment", "configuration", "calendar__owner")
        .order_by("notice_due_at")[:limit]
    )
    if not due:
        return 0
    sent = 0
    try:
        with get_connection(timeout=TIMEOUT_SECONDS) as server:
            for connection in due:
                sent += _send(connection, server)
    except OSError as error:  # smtplib's errors are such
        # Its text may quote what was sent to the server.
        logger.warning("The mail server is away, notices wait: %s", type(error).__name__)
        _give_up(due)
    return sent


def _send(connection: ProviderConnection, server: BaseEmailBackend) -> bool:
    """Whether it was sent. Raises OSError when the server is away."""
    retry_at = timezone.now() + PAUSE
    if not _move(connection, to=retry_at):
        return False
    try:
        _message(connection, server).send()
    except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused) as error:
        logger.warning(
            "The notice of connection %s was refused: %s", connection.pk, type(error).__name__
        )
        _give_up([connection])
        return False
    with transaction.atomic():
        if _move(connection, to=None):
            audit.record(connection, audit.Action.NOTICE_SENT, actor=audit.Actor.system())
    return True


def _give_up(connections: list[ProviderConnection]) -> None:
    """Stop trying what was tried for a day, and say so."""
    for connection in connections:
        since = connection.activated_at or connection.created_at
        if timezone.now() - since < GIVEN_UP_AFTER:
            continue
        with transaction.atomic():
            if _move(connection, to=None):
                logger.error("The notice of connection %s was never sent.", connection.pk)
                audit.record(connection, audit.Action.NOTICE_FAILED, actor=audit.Actor.system())


def _move(connection: ProviderConnection, *, to: datetime | None) -> bool:
    """Set when it is due, if nobody else has since it was read."""
    moved = ProviderConnection.objects.filter(
        pk=connection.pk, notice_due_at=connection.notice_due_at
    ).update(notice_due_at=to)
    if moved:
        connection.notice_due_at = to
    return moved > 0


def _message(connection: ProviderConnection, server: BaseEmailBackend) -> EmailMessage:
    owner = connection.calendar.owner
    name = (
        Membership.objects.filter(environment=connection.environment_id, user=owner)
        .values_list("name", flat=True)
        .first()
    )
    context = {
        "account": connection.account_email,
        "environment": _name(connection.environment.name),
        "owner": _name(name or owner.email),
        "provider": _name(connection.configuration.display_name),
        "at": connection.activated_at or connection.created_at,
        "access_page": ACCESS_PAGES.get(connection.configuration.kind, ""),
    }
    return EmailMessage(
        subject=render_to_string("notices/connected_subject.txt", context).strip(),
        body=render_to_string("notices/connected.txt", context),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[connection.account_email],
        headers={"Auto-Submitted": "auto-generated"},  # RFC 3834: no answers by machines
        connection=server,
    )


def _name(text: str) -> str:
    return truncatechars(plain(text), LONGEST_NAME)
