"""The calendars at the provider that are synced, and the runs that do it."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from providers.models.connections import ProviderConnection


class ExternalCalendarQuerySet(models.QuerySet["ExternalCalendar"]):
    def selected(self) -> ExternalCalendarQuerySet:
        """Those chosen to be synced, the vanished among them."""
        return self.filter(is_selected=True)

    def syncable(self) -> ExternalCalendarQuerySet:
        """Those chosen to be synced that are there."""
        return self.filter(is_selected=True, vanished_at__isnull=True)


class ExternalCalendar(models.Model):
    """A calendar of a connection's account. One that is selected is synced: its cursor, its lease,
    when it is due; the others are in the account's list, and nothing of them is here.

    The lease with its fence lets one run at a time write; whoever finds another fence stops.
    `dirty` counts the wishes for a sync, `settled` those that the last finished run had seen.
    """

    class State(models.TextChoices):
        AVAILABLE = "available"
        VANISHED = "vanished"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    connection = models.ForeignKey(
        ProviderConnection,
        on_delete=models.CASCADE,
        related_name="external_calendars",
        db_index=False,
    )
    external_id = models.CharField(max_length=1024)
    name = models.CharField(max_length=1024, blank=True)
    time_zone = models.CharField(max_length=64, blank=True)
    access_role = models.CharField(max_length=64, blank=True)
    color = models.CharField(max_length=16, blank=True)
    is_primary = models.BooleanField(default=False)
    is_selected = models.BooleanField(default=True)
    # Since when a selected calendar is not there any more at the provider.
    vanished_at = models.DateTimeField(null=True, blank=True)
    # Its events are still to be removed, some at a time (`providers.clearing`).
    to_clear = models.BooleanField(default=False, editable=False)
    last_error_code = models.CharField(max_length=64, blank=True)

    cursor = models.TextField(blank=True, editable=False)
    window_start = models.DateTimeField(null=True, editable=False)
    window_end = models.DateTimeField(null=True, editable=False)
    listing = models.BigIntegerField(default=0, editable=False)

    next_sync_at = models.DateTimeField(null=True, blank=True)
    queued_until = models.DateTimeField(null=True, editable=False)
    # The provider asked to be left alone until then; a wish for a sync does not change that.
    blocked_until = models.DateTimeField(null=True, editable=False)
    fence = models.PositiveBigIntegerField(default=0, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    dirty = models.PositiveBigIntegerField(default=0, editable=False)
    settled = models.PositiveBigIntegerField(default=0, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False)
    # When a notification channel is to be opened, renewed or tried again; null: never.
    next_watch_at = models.DateTimeField(null=True, blank=True)
    # Whether a run was stored that has not ended: the next one looks for where to go on.
    unfinished = models.BooleanField(default=False, editable=False)

    last_sync_at = models.DateTimeField(null=True, blank=True)
    # When a sync last found something new: quiet calendars are asked less often.
    changed_at = models.DateTimeField(null=True, editable=False)
    last_full_sync_at = models.DateTimeField(null=True, blank=True)
    events_synced = models.PositiveBigIntegerField(default=0)
    # How many rows QuarantinedEvent has: loaded with the lease, so that a sync without any asks for
    # none.
    quarantined_count = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[models.Manager[ExternalCalendar]] = ExternalCalendarQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "external_id"], name="external_calendar_once"
            ),
            # So that whoever looks for what is due never meets another.
            models.CheckConstraint(
                condition=Q(next_sync_at__isnull=True)
                | Q(is_selected=True, vanished_at__isnull=True),
                name="only_selected_are_due",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_sync_at"], condition=Q(next_sync_at__isnull=False), name="sync_due"
            ),
            models.Index(
                fields=["next_watch_at"], condition=Q(next_watch_at__isnull=False), name="watch_due"
            ),
            # As short as there are workers.
            models.Index(
                fields=["lease_until"], condition=Q(lease_until__isnull=False), name="sync_running"
            ),
            models.Index(
                fields=["connection"], condition=Q(is_selected=True), name="selected_calendars"
            ),
            models.Index(fields=["id"], condition=Q(to_clear=True), name="calendars_to_clear"),
        ]

    def __str__(self) -> str:
        return self.name or self.external_id

    @property
    def state(self) -> State:
        return self.State.VANISHED if self.vanished_at else self.State.AVAILABLE

    @property
    def is_syncing(self) -> bool:
        """Whether a run holds the lease, or one that was asked for has not come to its turn."""
        now = timezone.now()
        leased = self.lease_until is not None and self.lease_until > now
        return leased or self.dirty > self.settled


class SyncRun(models.Model):
    """One run of one external calendar: history, and while unfinished, where to resume."""

    class Kind(models.TextChoices):
        FULL = "full", "full listing"
        INCREMENTAL = "incremental"

    class Phase(models.TextChoices):
        LISTING = "listing"
        SWEEPING = "sweeping"
        DONE = "done"

    class Status(models.TextChoices):
        RUNNING = "running"
        INTERRUPTED = "interrupted", "interrupted, to be resumed"
        SUCCEEDED = "succeeded"
        FAILED = "failed"

    UNFINISHED = (Status.RUNNING, Status.INTERRUPTED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    connection = models.ForeignKey(
        ProviderConnection, on_delete=models.CASCADE, related_name="sync_runs"
    )
    external_calendar = models.ForeignKey(
        ExternalCalendar, on_delete=models.CASCADE, related_name="sync_runs", db_index=False
    )
    kind = models.CharField(max_length=16, choices=Kind)
    phase = models.CharField(max_length=16, choices=Phase, default=Phase.LISTING)
    status = models.CharField(max_length=16, choices=Status, default=Status.RUNNING)
    fence = models.PositiveBigIntegerField()
    listing = models.BigIntegerField(default=0)
    # The run's own until it ends; then they become the external calendar's.
    window_start = models.DateTimeField(editable=False)
    window_end = models.DateTimeField(editable=False)
    # Of the external calendar's `dirty` when the listing began: later wishes it may not have seen.
    wishes = models.PositiveBigIntegerField(default=0, editable=False)
    page_token = models.TextField(blank=True, editable=False)
    next_cursor = models.TextField(blank=True, editable=False)
    pages = models.PositiveIntegerField(default=0)
    events_seen = models.PositiveBigIntegerField(default=0)
    events_changed = models.PositiveBigIntegerField(default=0)
    events_removed = models.PositiveBigIntegerField(default=0)
    events_invalid = models.PositiveBigIntegerField(default=0)
    resumed = models.PositiveIntegerField(default=0)
    error_code = models.CharField(max_length=64, blank=True)
    error_detail = models.CharField(max_length=500, blank=True)
    started_at = models.DateTimeField(default=timezone.now)
    heartbeat_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-started_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["external_calendar"],
                condition=Q(status__in=("running", "interrupted")),
                name="one_unfinished_sync",
            )
        ]
        indexes = [
            models.Index(fields=["external_calendar", "-started_at"], name="sync_history"),
            models.Index(fields=["started_at"], name="sync_age"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.started_at:%Y-%m-%d %H:%M}"


class SyncRunPage(models.Model):
    """What a full listing saw unchanged, page by page: seen, yet not rewritten.

    One small row a page instead of one write per unchanged event; gone with the end of the run.
    """

    run = models.ForeignKey(
        SyncRun, on_delete=models.CASCADE, related_name="unchanged_pages", db_index=False
    )
    number = models.PositiveIntegerField()
    external_ids = models.JSONField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="sync_page_once")]

    def __str__(self) -> str:
        return f"page {self.number} of {self.run_id}"


class SyncedObject(models.Model):
    """An iCalendar object as it was last read, of providers that list objects: its version, and
    which events were made of it.

    `event_ids` are the external ids of those inside the window; `starts_at` and `ends_at` span all
    occurrences (null: without an end), which tells when the moving window reaches the object.
    `listing` is that of the run that wrote it last, as on events.
    """

    id = models.BigAutoField(primary_key=True)
    external_calendar = models.ForeignKey(
        ExternalCalendar, on_delete=models.CASCADE, related_name="synced_objects", db_index=False
    )
    object_id = models.TextField()
    etag = models.TextField(blank=True)
    starts_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)
    event_ids = models.JSONField(default=list)
    listing = models.BigIntegerField(default=0, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["external_calendar", "object_id"], name="synced_object_once"
            )
        ]

    def __str__(self) -> str:
        return self.object_id


class QuarantinedEvent(models.Model):
    """An event that could not be read or stored, apart from the others: they go on without it.

    No content is kept, only which event it is and why. It is tried again when it changes, and at
    each full listing (`providers.quarantine`); `times` counts how often it failed. `listing` is
    that of the run that saw it last, as on events.
    """

    id = models.BigAutoField(primary_key=True)
    external_calendar = models.ForeignKey(
        ExternalCalendar, on_delete=models.CASCADE, related_name="quarantined", db_index=False
    )
    external_id = models.TextField()
    etag = models.TextField(blank=True)
    reason = models.CharField(max_length=500)
    times = models.PositiveIntegerField(default=1)
    listing = models.BigIntegerField(default=0, editable=False)
    first_seen_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-last_seen_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["external_calendar", "external_id"], name="quarantined_event_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.external_id}: {self.reason}"


class NotificationChannel(models.Model):
    """A channel on which a provider tells that an external calendar changed.

    The provider proves itself with a token of which only the digest is kept. A new channel is
    stored before an old one is stopped, so that there is always one that works.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    external_calendar = models.ForeignKey(
        ExternalCalendar, on_delete=models.CASCADE, related_name="channels"
    )
    token_digest = models.CharField(max_length=64, editable=False)
    resource_id = models.CharField(max_length=255, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_message_number = models.PositiveBigIntegerField(default=0)
    last_notified_at = models.DateTimeField(null=True, blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True)
    # When the provider last prolonged it; a provider that cannot gets another channel instead.
    prolonged_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"channel {self.pk}"
