"""Connections to accounts, their tokens, and the authorizations that make and end them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from calendars.models import Calendar
from providers.models.configurations import ProviderConfiguration
from talkover.encryption import SealedField
from talkover.environments.models import Environment

if TYPE_CHECKING:
    from providers.models.syncing import ExternalCalendar


class ProviderConnectionQuerySet(models.QuerySet["ProviderConnection"]):
    def for_environment(self, environment: Environment | uuid.UUID) -> ProviderConnectionQuerySet:
        return self.filter(environment=environment)

    def present(self) -> ProviderConnectionQuerySet:
        """All but the disconnected ones, which the API does not know any more."""
        return self.exclude(status=ProviderConnection.Status.DISCONNECTED)

    def of_account_of(self, connection: ProviderConnection) -> ProviderConnectionQuerySet:
        """Those of the same account at the same kind of provider, in whatever environment."""
        return self.present().filter(
            account_subject=connection.account_subject,
            configuration__kind=connection.configuration.kind,
        )

    def with_people(self) -> ProviderConnectionQuerySet:
        """With `people`: for how many people its account is connected; null before it is known.

        Over all environments: for the operator's staff only.
        """
        same = ProviderConnection.objects.filter(
            account_subject=models.OuterRef("account_subject"),
            configuration__kind=models.OuterRef("configuration__kind"),
        ).exclude(account_subject="")
        counted = (
            same.exclude(status=ProviderConnection.Status.DISCONNECTED)
            .order_by()
            .values("account_subject")
            .annotate(number=models.Count("calendar__owner", distinct=True))
        )
        return self.annotate(people=models.Subquery(counted.values("number")))

    def for_reading(self) -> ProviderConnectionQuerySet:
        """With the configuration, and `last_sync_at` over the external calendars."""
        with_last_sync = self.select_related("configuration").annotate(
            last_sync_at=models.Max("external_calendars__last_sync_at")
        )
        # Said here: a query that groups does not take the order from Meta.
        return with_last_sync.order_by("created_at", "id")


class ProviderConnection(models.Model):
    """A calendar's connection to an account at a provider."""

    class Status(models.TextChoices):
        PENDING = "pending"
        ACTIVE = "active"
        REAUTHORIZATION_REQUIRED = "reauthorization_required"
        ERROR = "error"
        EXPIRED = "expired"
        DISCONNECTED = "disconnected"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    environment = models.ForeignKey(Environment, on_delete=models.CASCADE, related_name="+")
    calendar = models.ForeignKey(Calendar, on_delete=models.CASCADE, related_name="connections")
    configuration = models.ForeignKey(
        ProviderConfiguration, on_delete=models.RESTRICT, related_name="connections"
    )
    status = models.CharField(max_length=32, choices=Status, default=Status.PENDING)
    # The first selected one: what was asked for, such as `primary`, or chosen since.
    external_calendar_id = models.CharField(max_length=1024, default="primary")
    account_subject = models.CharField(max_length=255, blank=True)
    account_email = models.CharField(max_length=320, blank=True)
    account_name = models.CharField(max_length=255, blank=True)
    granted_scopes = models.JSONField(default=list, blank=True)
    last_error_code = models.CharField(max_length=64, blank=True)
    last_error_at = models.DateTimeField(null=True, blank=True)
    pending_until = models.DateTimeField(null=True, blank=True)
    activated_at = models.DateTimeField(null=True, blank=True)
    disconnected_at = models.DateTimeField(null=True, blank=True)
    # Of the account's calendars: when their list was read last, until when it is not read again for
    # somebody who looks at it, and when it is read by itself.
    calendars_listed_at = models.DateTimeField(null=True, blank=True, editable=False)
    calendars_quiet_until = models.DateTimeField(null=True, editable=False)
    calendars_due_at = models.DateTimeField(null=True, editable=False)
    # When the account's owner is to be told by mail, or told again; null: there is nothing to tell.
    notice_due_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[models.Manager[ProviderConnection]] = ProviderConnectionQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]
        indexes = [
            models.Index(fields=["status", "pending_until"], name="connection_pending"),
            models.Index(fields=["account_email"], name="connection_account"),
            models.Index(fields=["account_subject"], name="connection_subject"),
            models.Index(
                fields=["notice_due_at"],
                condition=models.Q(notice_due_at__isnull=False),
                name="connection_notice",
            ),
            models.Index(
                fields=["calendars_due_at"],
                condition=models.Q(calendars_due_at__isnull=False),
                name="connection_calendars_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.configuration.display_name}: {self.account_email or 'not authorised yet'}"

    @property
    def is_active(self) -> bool:
        return self.status == self.Status.ACTIVE

    @property
    def selected_calendars(self) -> list[ExternalCalendar]:
        """Its external calendars that are chosen to be synced; lists prefetch them."""
        return [row for row in self.external_calendars.all() if row.is_selected]

    @property
    def current_status(self) -> str:
        """The status as of now: an attempt nobody finished has expired, swept or not."""
        if (
            self.status == self.Status.PENDING
            and self.pending_until
            and self.pending_until <= timezone.now()
        ):
            return self.Status.EXPIRED.value
        return self.status


class ConnectionCredential(models.Model):
    """A connection's tokens, sealed, apart from the row that lists and admin pages read; or, of a
    provider without OAuth, what the person has entered (`providers.access`), which never expires.

    `version` grows with each stored refresh; a refresh holds the lease while it asks the provider
    (docs/security.md, "Refreshing"). Disconnecting deletes the row.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    environment = models.ForeignKey(
        Environment, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    connection = models.OneToOneField(
        ProviderConnection, on_delete=models.CASCADE, related_name="credential"
    )
    access_token = SealedField(blank=True, editable=False)
    refresh_token = SealedField(blank=True, editable=False)
    entered = SealedField(blank=True, editable=False)
    expires_at = models.DateTimeField(null=True)
    version = models.PositiveBigIntegerField(default=1)
    refresh_lease_id = models.UUIDField(null=True, editable=False)
    refresh_lease_until = models.DateTimeField(null=True, editable=False)
    stored_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"credential of {self.connection_id}"


class AuthorizationRequest(models.Model):
    """One start of an authorization: single use, found by the digest of its state.

    Endpoints and client are a snapshot: issuer, endpoints and client id belong together for the
    whole handshake (RFC 9700 section 4.4), whatever staff change meanwhile.
    """

    class Purpose(models.TextChoices):
        CONNECT = "connect"
        RECONNECT = "reconnect"

    class Handshake(models.TextChoices):
        """Who receives the provider's answer, and who has the last word (docs/security.md)."""

        AUTOMATIC = "automatic", "automatic: our callback finishes and activates"
        DIRECT = "direct", "direct: the application's page receives the answer and hands it on"
        CONFIRMED = "confirmed", "confirmed: the application's backend has the last word"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    environment = models.ForeignKey(
        Environment, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    connection = models.ForeignKey(
        ProviderConnection, on_delete=models.CASCADE, related_name="authorization_requests"
    )
    configuration = models.ForeignKey(
        ProviderConfiguration, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    purpose = models.CharField(max_length=16, choices=Purpose, default=Purpose.CONNECT)
    handshake = models.CharField(max_length=16, choices=Handshake, default=Handshake.AUTOMATIC)
    # A confirmed handshake has a ticket first; its state and verifier are made when it is opened.
    ticket_digest = models.CharField(max_length=64, unique=True, null=True, editable=False)
    state_digest = models.CharField(max_length=64, unique=True, null=True, editable=False)
    code_verifier = SealedField(blank=True, editable=False)
    browser_digest = models.CharField(max_length=64, blank=True, editable=False)
    opened_at = models.DateTimeField(null=True, blank=True)
    # The code waits here for the application's word; nothing of it is exchanged before.
    code = SealedField(blank=True, editable=False)
    # What was entered on the credential page waits here until its code is brought.
    entered = SealedField(blank=True, editable=False)
    entry_code_digest = models.CharField(max_length=64, blank=True, editable=False)
    entry_tries = models.PositiveSmallIntegerField(default=0, editable=False)
    result_code_digest = models.CharField(max_length=64, unique=True, null=True, editable=False)
    result_expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    provider_redirect_uri = models.CharField(max_length=2000)
    client_id = models.CharField(max_length=255)
    endpoints = models.JSONField(default=dict)
    scopes = models.JSONField(default=list)
    return_uri = models.CharField(max_length=2000, blank=True)
    caller_state = models.CharField(max_length=512, blank=True)
    # Set when a signed-in person started on our own pages: the same person must come back.
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    expected_account = models.CharField(max_length=320, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(db_index=True)
    # The provider's answer has come, or it is not waited for any more.
    consumed_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=64, blank=True)
    # The connection's, once more: the attempts of a calendar are counted at each start.
    calendar_id = models.UUIDField(null=True, editable=False)

    class Meta:
        indexes = [models.Index(fields=["calendar_id", "created_at"], name="attempts_of_calendar")]

    def __str__(self) -> str:
        return f"authorization request of {self.connection_id}"


class RevocationJob(models.Model):
    """A grant that is still to be revoked upstream; its token lives here for a day at most.

    `channels` are notification channels to be stopped before, which takes a living grant: pairs of
    channel id and resource id. Without `revokes` that is all: the grant is another connection's,
    too. Whose it was is for the audit log, and may be gone by now: no references.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    environment = models.ForeignKey(
        Environment, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    configuration = models.ForeignKey(
        ProviderConfiguration, on_delete=models.CASCADE, related_name="+"
    )
    calendar_id = models.UUIDField(null=True, editable=False)
    connection_id = models.UUIDField(null=True, editable=False)
    token = SealedField(editable=False)
    channels = models.JSONField(default=list, editable=False)
    revokes = models.BooleanField(default=True, editable=False)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now, db_index=True)
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"revocation at {self.configuration_id}"
