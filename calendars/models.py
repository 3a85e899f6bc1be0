"""Calendars and events: fields, constraints, small methods."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from calendars.querysets import CalendarQuerySet, EventQuerySet
from talkover.environments.models import Environment, validate_time_zone


class Calendar(models.Model):
    """A person's calendar inside an environment. Events come from its provider connections."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    environment = models.ForeignKey(
        Environment, on_delete=models.CASCADE, related_name="calendars", db_index=False
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="calendars"
    )
    name = models.CharField(max_length=255)
    timezone = models.CharField(max_length=64, validators=[validate_time_zone])
    metadata = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[models.Manager[Calendar]] = CalendarQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]
        indexes = [
            models.Index(fields=["environment", "created_at", "id"], name="calendar_listing")
        ]

    def __str__(self) -> str:
        return self.name


class Event(models.Model):
    """One occurrence. Written in bulk by the sync (`calendars.upsert`), read by range.

    `end_at` is exclusive. For all-day events the dates are the truth, and the times are their
    midnights in `time_zone`. A row without a source was not made by a provider.
    """

    class Status(models.TextChoices):
        CONFIRMED = "confirmed"
        TENTATIVE = "tentative"
        CANCELLED = "cancelled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    calendar = models.ForeignKey(
        Calendar, on_delete=models.CASCADE, related_name="events", db_index=False
    )
    # No index of its own: the unique constraint's leads with it, and a second one misleads the
    # planner while statistics are cold.
    source = models.ForeignKey(
        "providers.ExternalCalendar",
        on_delete=models.CASCADE,
        related_name="events",
        null=True,
        blank=True,
        db_index=False,
    )
    external_id = models.TextField()
    etag = models.TextField(blank=True)
    status = models.CharField(max_length=16, choices=Status, default=Status.CONFIRMED)
    type = models.CharField(max_length=64, default="default", blank=True)
    title = models.TextField(blank=True)
    description = models.TextField(blank=True)
    location = models.TextField(blank=True)
    start_at = models.DateTimeField()
    end_at = models.DateTimeField()
    all_day = models.BooleanField(default=False)
    start_date = models.DateField(null=True, blank=True)
    end_date = models.DateField(null=True, blank=True)
    time_zone = models.CharField(max_length=64, blank=True)
    busy = models.BooleanField(default=True)
    visibility = models.CharField(max_length=16, blank=True)
    ical_uid = models.TextField(blank=True)
    series_id = models.TextField(blank=True)
    original_start = models.CharField(max_length=64, blank=True)
    organizer_email = models.TextField(blank=True)
    meeting_url = models.TextField(blank=True)
    attendees = models.JSONField(default=list, blank=True)
    details = models.JSONField(default=dict, blank=True)
    remote_updated_at = models.DateTimeField(null=True, blank=True)
    # The full listing that last wrote this row: the sweep at its end removes what it did not see.
    listing = models.BigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[models.Manager[Event]] = EventQuerySet.as_manager()

    class Meta:
        ordering = ["start_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["source", "external_id"], name="event_once_per_source"),
            models.CheckConstraint(
                condition=models.Q(end_at__gte=models.F("start_at")), name="event_end_after_start"
            ),
        ]
        indexes = [models.Index(fields=["calendar", "start_at", "id"], name="event_listing")]

    def __str__(self) -> str:
        return self.title or self.external_id
