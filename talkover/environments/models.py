"""Tenants: who may call the API, for whom, and the people whose calendars these are."""

from __future__ import annotations

import hashlib
import secrets
import uuid
import zoneinfo
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from talkover.encryption import SealedField, seal, unseal
from talkover.environments.redirects import check_redirect_uri

TOKEN_PREFIX = "talq_"  # noqa: S105  a prefix, not a secret
LAST_USED_PRECISION = timedelta(minutes=1)


def validate_time_zone(value: str) -> None:
    """Raise ValidationError unless `value` is an IANA time zone name."""
    if value not in known_time_zones():
        raise ValidationError(
            f"{value!r} is not an IANA time zone name. Use one like Europe/Berlin or UTC."
        )


def known_time_zones() -> frozenset[str]:
    """All IANA names of this machine's time zone data."""
    global _ZONES  # noqa: PLW0603  read once: it walks a directory tree
    if _ZONES is None:
        _ZONES = frozenset(zoneinfo.available_timezones())
    return _ZONES


_ZONES: frozenset[str] | None = None


class UserManager(BaseUserManager["User"]):
    """Accounts are found by e-mail address without regard to case."""

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email__iexact=username)

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """A person. Without a password they sign in with a code sent by mail."""
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    """A person, known by e-mail address across environments.

    What an environment calls them (name, external id) is in its Membership: one environment never
    reads what another wrote.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(unique=True)
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(default=timezone.now)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_any_case")]

    def __str__(self) -> str:
        return self.email


class Environment(models.Model):
    """A tenant: one application with its own tokens, people, calendars and providers."""

    class Handshake(models.TextChoices):
        """How connections are authorised unless a call asks for more (docs/security.md)."""

        AUTOMATIC = "automatic", "automatic: our callback finishes and activates"
        CONFIRMED = "confirmed", "confirmed: the application's backend confirms each connection"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=255, unique=True)
    timezone = models.CharField(max_length=64, default="UTC", validators=[validate_time_zone])
    rate_limit_per_minute = models.PositiveIntegerField(
        default=1000,
        validators=[MinValueValidator(1), MaxValueValidator(1_000_000)],
        help_text="Requests a minute over all tokens of the environment.",
    )
    handshake = models.CharField(
        max_length=16,
        choices=Handshake,
        default=Handshake.AUTOMATIC,
        help_text="A single call may ask for the stricter one, never for the laxer.",
    )
    notify_accounts = models.BooleanField(
        default=False,
        help_text="Send a mail to an account's address when it was connected.",
    )
    signing_key = SealedField(blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    members = models.ManyToManyField(User, through="Membership", related_name="environments")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self.signing_key:
            self.renew_signing_key()
        super().save(*args, **kwargs)

    @property
    def environment_id(self) -> uuid.UUID:
        """What sealed values are bound to; an environment's own are bound to itself."""
        return self.id

    def renew_signing_key(self) -> str:
        """Set a new key for signing redirects (not saved) and return it: it is shown once."""
        key = secrets.token_urlsafe(32)
        seal(self, "signing_key", key)
        return key

    def read_signing_key(self) -> str:
        """The key in clear. Raises UnsealError."""
        return unseal(self, "signing_key")


class RedirectURI(models.Model):
    """Where browsers may be sent after authorising. With none registered, any https URI goes."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    environment = models.ForeignKey(
        Environment, on_delete=models.CASCADE, related_name="redirect_uris"
    )
    uri = models.CharField(max_length=2000, help_text="Compared as it stands, to the letter.")
    is_direct = models.BooleanField(
        default=False,
        help_text=(
            "Providers send the browser straight to this URI, and its page hands the answer on"
            " to us. It must be registered at the provider, too."
        ),
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "redirect URI"
        verbose_name_plural = "redirect URIs"
        ordering = ["uri"]
        constraints = [
            models.UniqueConstraint(fields=["environment", "uri"], name="redirect_uri_once")
        ]

    def __str__(self) -> str:
        return self.uri

    def clean(self) -> None:
        if problem := check_redirect_uri(self.uri):
            raise ValidationError({"uri": problem})


class Membership(models.Model):
    """A person in an environment, as that environment knows them."""

    class Role(models.TextChoices):
        ADMIN = "admin", "administrator: sees all calendars of the environment"
        MEMBER = "member", "member: sees their own calendars"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    environment = models.ForeignKey(
        Environment, on_delete=models.CASCADE, related_name="memberships", db_index=False
    )
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role, default=Role.MEMBER)
    name = models.CharField(max_length=255)
    external_id = models.CharField(
        max_length=255, blank=True, help_text="The application's own identifier of this person."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["environment", "user"], name="membership_once"),
        ]

    def __str__(self) -> str:
        return f"{self.name} in {self.environment}"


class EnvironmentTokenQuerySet(models.QuerySet["EnvironmentToken"]):
    def live(self, now: datetime) -> EnvironmentTokenQuerySet:
        """Tokens that authenticate at `now`."""
        return self.filter(
            models.Q(expires_at__isnull=True) | models.Q(expires_at__gt=now),
            revoked_at__isnull=True,
        )


class EnvironmentToken(models.Model):
    """A bearer token of an environment. Only its digest is kept; several live at once.

    A SHA-256 of 256 random bits needs neither salt nor stretching: it cannot be guessed.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    environment = models.ForeignKey(Environment, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=255)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(max_length=16, editable=False, help_text="How the token begins.")
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[models.Manager[EnvironmentToken]] = EnvironmentTokenQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}…)"

    def state(self, now: datetime) -> str:
        """`active`, `expired` or `revoked`, as of `now`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"

    @staticmethod
    def digest_of(token: str) -> str:
        return hashlib.sha256(token.encode()).hexdigest()

    @classmethod
    def issue(
        cls, *, environment: Environment, name: str, expires_at: datetime | None = None
    ) -> tuple[EnvironmentToken, str]:
        """Create a token; returns the row and the token itself, which is nowhere else."""
        token = TOKEN_PREFIX + secrets.token_urlsafe(32)
        row = cls.objects.create(
            environment=environment,
            name=name,
            digest=cls.digest_of(token),
            hint=token[:9],
            expires_at=expires_at,
        )
        return row, token

    def revoke(self) -> None:
        """End the token now; a second call keeps the first time."""
        now = timezone.now()
        type(self).objects.filter(pk=self.pk, revoked_at__isnull=True).update(revoked_at=now)
        self.refresh_from_db(fields=["revoked_at"])

    def note_use(self, now: datetime) -> None:
        """Remember that the token is in use, to the minute: not a write per request."""
        if self.last_used_at is None or now - self.last_used_at >= LAST_USED_PRECISION:
            type(self).objects.filter(pk=self.pk).update(last_used_at=now)


class IdempotencyKey(models.Model):
    """A POST with `Idempotency-Key`, and what was answered: the same for the same, for a day.

    `locked_until` is set while the first of them is at work. The answer is sealed: it may hold the
    state of an authorization request.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    environment = models.ForeignKey(
        Environment, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    key = models.CharField(max_length=255)
    request_digest = models.CharField(max_length=64, editable=False)
    status = models.PositiveSmallIntegerField(null=True, editable=False)
    answer = SealedField(blank=True, editable=False)
    locked_until = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["environment", "key"], name="idempotency_key_once")
        ]

    def __str__(self) -> str:
        return f"{self.key} of {self.environment_id}"
