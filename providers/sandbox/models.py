"""What the sandbox stores: people, their calendars, the events, and who was allowed what."""

import hashlib

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models


class Account(AbstractBaseUser):
    """A person with calendars. There is no password: the sign-in page lets you choose anybody.

    `microsoft` is what kind of account this is in the Microsoft dialect, see microsoft.tenants.
    """

    sub = models.CharField(max_length=40, unique=True)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=200)
    time_zone = models.CharField(max_length=64, default="UTC")
    list_seq = models.BigIntegerField(default=0)
    microsoft = models.CharField(max_length=12, default="work")

    objects = BaseUserManager["Account"]()

    USERNAME_FIELD = "email"

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.email


class Calendar(models.Model):
    """A calendar. `last_seq` numbers its changes; a sync token is such a number.

    Up to the change `rendered_seq` there are Microsoft's bodies of its events.
    """

    google_id = models.CharField(max_length=255, unique=True)
    owner = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="calendars")
    summary = models.CharField(max_length=255)
    description = models.TextField(blank=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    last_seq = models.BigIntegerField(default=0)
    rendered_seq = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.google_id

    @property
    def resource_id(self) -> str:
        """What watch channels call the calendar; the same for all of them."""
        return hashlib.sha256(f"events of {self.google_id}".encode()).hexdigest()[:27]


class CalendarEntry(models.Model):
    """A calendar in somebody's list, with what that person may do there."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="entries")
    calendar = models.ForeignKey(Calendar, on_delete=models.CASCADE, related_name="entries")
    access_role = models.CharField(max_length=32)
    primary = models.BooleanField(default=False)
    selected = models.BooleanField(default=True)
    hidden = models.BooleanField(default=False)
    deleted = models.BooleanField(default=False)
    summary_override = models.CharField(max_length=255, blank=True)
    color_id = models.CharField(max_length=4, default="14")
    background_color = models.CharField(max_length=7, default="#9fe1e7")
    seq = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["account", "calendar"], name="one_entry_per_calendar")
        ]

    def __str__(self) -> str:
        return f"{self.account_id}: {self.calendar_id}"


class Event(models.Model):
    """One row of a listing: a single event, the master of a series, one instance of it, or raw.

    `body` is the finished JSON of Google's event resource, so that a listing only joins texts.
    `starts` and `ends` are Unix seconds (end exclusive; whole days in the calendar's zone). `seq`
    is the number of the last change, unique in the calendar. `exception` marks an instance that
    differs from its series. A raw row holds any JSON somebody gave to the control API; only
    listings and events.get read it, to the letter.
    """

    SINGLE, MASTER, INSTANCE, RAW = "single", "master", "instance", "raw"

    calendar = models.ForeignKey(
        Calendar, on_delete=models.CASCADE, related_name="events", db_index=False
    )
    event_id = models.CharField(max_length=1100)
    kind = models.CharField(max_length=8)
    exception = models.BooleanField(default=False)
    status = models.CharField(max_length=9)
    starts = models.BigIntegerField()
    ends = models.BigIntegerField()
    updated_ms = models.BigIntegerField()
    seq = models.BigIntegerField()
    series_id = models.CharField(max_length=1100, default="")
    body = models.TextField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["calendar", "event_id"], name="one_event_per_id")
        ]
        indexes = [
            models.Index(fields=["calendar"], name="event_by_calendar"),
            models.Index(fields=["calendar", "seq"], name="event_by_change"),
            models.Index(fields=["calendar", "starts"], name="event_by_start"),
            models.Index(
                fields=["calendar", "series_id"],
                name="event_by_series",
                condition=~models.Q(series_id=""),
            ),
        ]

    def __str__(self) -> str:
        return self.event_id


class GraphEvent(models.Model):
    """An event as Microsoft Graph lists it, see microsoft.renderings.

    `body` is the finished JSON of a listing, or empty when Graph does not list the row. `own` holds
    the Graph fields that Google's resource has no place for, as JSON. `transaction_id` is the
    client's key of the creation.
    """

    event = models.OneToOneField(
        Event, on_delete=models.CASCADE, related_name="graph", primary_key=True
    )
    body = models.TextField(default="")
    own = models.TextField(default="{}")
    transaction_id = models.CharField(max_length=255, default="", db_index=True)

    def __str__(self) -> str:
        return str(self.event_id)


class Consent(models.Model):
    """What a person allowed an application in one dialect; deleted when access is taken back."""

    GOOGLE, MICROSOFT = "google", "microsoft"

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="consents")
    application = models.ForeignKey(
        "oauth2_provider.Application", on_delete=models.CASCADE, related_name="+"
    )
    dialect = models.CharField(max_length=9, default=GOOGLE)
    scopes = models.TextField()
    offline = models.BooleanField(default=False)
    updated = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-updated"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "application", "dialect"],
                name="one_consent_per_client_and_dialect",
            )
        ]

    def __str__(self) -> str:
        return f"{self.account_id}: {self.application_id}"


class IssuedCode(models.Model):
    """Remembers an authorization code (its digest) beyond its use, to punish a second use.

    RFC 6749 section 4.1.2: a code used twice revokes what came of it.
    """

    digest = models.CharField(max_length=64, unique=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    application = models.ForeignKey(
        "oauth2_provider.Application", on_delete=models.CASCADE, related_name="+"
    )
    gives_refresh_token = models.BooleanField()
    used = models.BooleanField(default=False)
    created = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.digest


class Channel(models.Model):
    """A watch on one calendar's events; kept when it has stopped, so that its id is not reused.

    `expiration_ms` is Unix milliseconds. `told_seq` is the calendar's last change that was told
    about, `last_number` the number of the last message.
    """

    application = models.ForeignKey(
        "oauth2_provider.Application", on_delete=models.CASCADE, related_name="+"
    )
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    calendar = models.ForeignKey(Calendar, on_delete=models.CASCADE, related_name="+")
    channel_id = models.CharField(max_length=64)
    token = models.CharField(max_length=256, blank=True)
    address = models.TextField()
    expiration_ms = models.BigIntegerField()
    stopped = models.BooleanField(default=False)
    told_seq = models.BigIntegerField()
    last_number = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["application", "channel_id"], name="one_channel_per_client_and_id"
            )
        ]

    def __str__(self) -> str:
        return self.channel_id


class Notification(models.Model):
    """One message of a channel. `statuses`: what each attempt was answered with, 0 for nothing."""

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="notifications")
    number = models.BigIntegerField()
    state = models.CharField(max_length=10)
    statuses = models.JSONField(default=list)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.channel_id}: {self.number}"


class IdentityToken(models.Model):
    """What Microsoft's identity platform gave out: codes, access tokens, refresh tokens.

    Only the digest is kept. `tenant` is the one of the address it was asked at; `scopes` are short
    names. `redirect_uri`, `challenge`, `method` and `nonce` belong to codes.
    """

    CODE, ACCESS, REFRESH = "code", "access", "refresh"

    kind = models.CharField(max_length=7)
    digest = models.CharField(max_length=64, unique=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    application = models.ForeignKey(
        "oauth2_provider.Application", on_delete=models.CASCADE, related_name="+"
    )
    tenant = models.CharField(max_length=64)
    scopes = models.TextField()
    expires = models.DateTimeField()
    used = models.BooleanField(default=False)
    revoked = models.BooleanField(default=False)
    redirect_uri = models.TextField(default="")
    challenge = models.CharField(max_length=128, default="")
    method = models.CharField(max_length=5, default="")
    nonce = models.TextField(default="")

    def __str__(self) -> str:
        return f"{self.kind} of {self.account_id}"


class Subscription(models.Model):
    """A Graph subscription on the events of a mailbox, or of one `calendar` of it.

    `told` is what was told about last: change number and last row of each calendar, by its key.
    """

    subscription_id = models.CharField(max_length=36, unique=True)
    application = models.ForeignKey(
        "oauth2_provider.Application", on_delete=models.CASCADE, related_name="+"
    )
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    calendar = models.ForeignKey(Calendar, on_delete=models.CASCADE, related_name="+", null=True)
    resource = models.CharField(max_length=300)
    change_type = models.CharField(max_length=40)
    notification_url = models.TextField()
    lifecycle_url = models.TextField(default="")
    client_state = models.CharField(max_length=128, default="")
    immutable_ids = models.BooleanField(default=False)
    expiration_ms = models.BigIntegerField()
    removed = models.BooleanField(default=False)
    told = models.JSONField(default=dict)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.subscription_id


class Delivery(models.Model):
    """What a subscription was told in one POST. `statuses`: the answers, 0 for nobody."""

    subscription = models.ForeignKey(
        Subscription, on_delete=models.CASCADE, related_name="deliveries"
    )
    items = models.JSONField()
    statuses = models.JSONField(default=list)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.subscription_id}: {self.statuses}"
