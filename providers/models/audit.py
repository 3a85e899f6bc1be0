"""Who did what to which connection, when and from where: written once, never changed."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar, NoReturn

from django.db import models
from django.utils import timezone

from talkover.environments.models import Environment


class AuditEntryQuerySet(models.QuerySet["AuditEntry"]):
    def for_environment(self, environment: Environment | uuid.UUID) -> AuditEntryQuerySet:
        return self.filter(environment=environment)

    def update(self, **_changes: Any) -> NoReturn:
        raise TypeError("The audit log is append-only.")

    def delete(self) -> NoReturn:
        raise TypeError("The audit log is append-only.")


class AuditEntry(models.Model):
    """One thing that happened to a connection. It outlives the connection and its calendar.

    `actor_label` is how the actor was called at the time: a token's name, a person's address.
    `code` is one of `providers.causes` when something failed. A trigger in the database refuses to
    change or remove rows, whatever the caller.
    """

    class Actor(models.TextChoices):
        TOKEN = "token"  # noqa: S105  the kind of a caller, not a secret
        USER = "user"
        STAFF = "staff"
        SYSTEM = "system"

    id = models.BigAutoField(primary_key=True)
    # References without constraints: what they name may be removed, and the entry stays.
    environment = models.ForeignKey(
        Environment,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    calendar_id = models.UUIDField()
    connection_id = models.UUIDField()
    provider = models.CharField(max_length=64, blank=True)
    action = models.CharField(max_length=40)
    actor = models.CharField(max_length=16, choices=Actor)
    actor_id = models.CharField(max_length=64, blank=True)
    actor_label = models.CharField(max_length=320, blank=True)
    address = models.GenericIPAddressField(null=True, blank=True)
    request_id = models.CharField(max_length=128, blank=True)
    code = models.CharField(max_length=64, blank=True)
    details = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects: ClassVar[models.Manager[AuditEntry]] = AuditEntryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "audit log"
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["connection_id", "-created_at", "-id"], name="audit_timeline"),
            models.Index(fields=["environment", "-created_at"], name="audit_environment"),
        ]

    def __str__(self) -> str:
        return f"{self.action} of {self.connection_id}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("The audit log is append-only.")
        super().save(*args, **kwargs)

    def delete(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise TypeError("The audit log is append-only.")
