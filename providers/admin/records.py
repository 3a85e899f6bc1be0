"""What the syncs and handshakes leave behind, to be read."""

from __future__ import annotations

from django.contrib import admin
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from providers.admin.display import (
    ModelAdmin,
    ReadOnly,
    TabularInline,
    badge,
    cause_of,
    quarantined,
    text,
)
from providers.models import (
    AuthorizationRequest,
    ExternalCalendar,
    NotificationChannel,
    QuarantinedEvent,
    RevocationJob,
    SyncRun,
)
from providers.standing import Tone
from providers.templatetags.talkover import moment


@admin.register(SyncRun)
class SyncRunAdmin(ReadOnly, ModelAdmin):
    list_display = [
        "started", "source", "kind", "state", "phase", "pages", "seen", "changed", "removed",
        "invalid", "duration", "cause",
    ]  # fmt: skip
    list_filter = [
        "status",
        "kind",
        "started_at",
        ("connection__configuration", admin.RelatedOnlyFieldListFilter),
    ]
    list_select_related = ["external_calendar__connection__calendar"]
    show_full_result_count = False
    search_fields = ["connection__id", "connection__account_email", "connection__calendar__name"]
    search_help_text = "Connection id, account, or calendar name"
    fields = [
        "connection", "external_calendar", "kind", "state", "phase", "pages", "events_seen",
        "events_changed", "events_removed", "events_invalid", "quarantine", "resumed", "cause",
        "error_code", "error_detail", "started_at", "heartbeat_at", "finished_at", "duration",
    ]  # fmt: skip

    @admin.display(description="Started", ordering="started_at")
    def started(self, run: SyncRun) -> SafeString:
        return moment(run.started_at)

    @admin.display(description="Seen", ordering="events_seen")
    def seen(self, run: SyncRun) -> str:
        return f"{run.events_seen:,}"

    @admin.display(description="Changed", ordering="events_changed")
    def changed(self, run: SyncRun) -> str:
        return f"{run.events_changed:,}"

    @admin.display(description="Removed", ordering="events_removed")
    def removed(self, run: SyncRun) -> str:
        return f"{run.events_removed:,}"

    @admin.display(description="Invalid", ordering="events_invalid")
    def invalid(self, run: SyncRun) -> str:
        return f"{run.events_invalid:,}"

    @admin.display(description="In quarantine now")
    def quarantine(self, run: SyncRun) -> SafeString | str:
        return quarantined(run.external_calendar)

    @admin.display(description="Calendar")
    def source(self, run: SyncRun) -> SafeString:
        return _source(run.external_calendar)

    @admin.display(description="Status", ordering="status")
    def state(self, run: SyncRun) -> SafeString:
        tones = {
            SyncRun.Status.SUCCEEDED: Tone.GOOD,
            SyncRun.Status.RUNNING: Tone.BUSY,
            SyncRun.Status.INTERRUPTED: Tone.WAITING,
        }
        return badge(tones.get(SyncRun.Status(run.status), Tone.BAD), run.get_status_display())

    @admin.display(description="Duration")
    def duration(self, run: SyncRun) -> str:
        seconds = ((run.finished_at or timezone.now()) - run.started_at).total_seconds()
        return f"{seconds:,.1f} s"

    @admin.display(description="Error")
    def cause(self, run: SyncRun) -> str:
        return cause_of(run.error_code)


# Neither the token's digest nor the provider's name of what is watched.
CHANNEL_COLUMNS = (
    "state", "created_at", "expires_at", "last_notified_at", "last_message_number", "stopped_at",
)  # fmt: skip


class ChannelState:
    """Whether a channel works, for a list and for an inline."""

    @admin.display(description="State")
    def state(self, channel: NotificationChannel) -> SafeString:
        if channel.stopped_at:
            return badge(Tone.OFF, "Stopped")
        if channel.expires_at is None:
            return badge(Tone.BUSY, "Being opened")
        if channel.expires_at <= timezone.now():
            return badge(Tone.BAD, "Expired")
        if channel.last_notified_at is None:
            return badge(Tone.WAITING, "Silent so far")
        return badge(Tone.GOOD, "Delivers")


class NotificationChannelInline(ChannelState, ReadOnly, TabularInline):
    model = NotificationChannel
    fields = CHANNEL_COLUMNS
    readonly_fields = CHANNEL_COLUMNS
    can_delete = False
    extra = 0


@admin.register(NotificationChannel)
class NotificationChannelAdmin(ChannelState, ReadOnly, ModelAdmin):
    list_display = ["calendar", "account", *CHANNEL_COLUMNS]
    list_filter = [
        ("external_calendar__connection__configuration", admin.RelatedOnlyFieldListFilter),
        "expires_at",
    ]
    list_select_related = ["external_calendar__connection"]
    show_full_result_count = False
    search_fields = ["id", "external_calendar__connection__account_email"]
    fields = ["id", "external_calendar", *CHANNEL_COLUMNS]

    @admin.display(description="Calendar")
    def calendar(self, channel: NotificationChannel) -> SafeString:
        return text(str(channel.external_calendar))

    @admin.display(description="Account")
    def account(self, channel: NotificationChannel) -> SafeString:
        return text(channel.external_calendar.connection.account_email)


@admin.register(ExternalCalendar)
class ExternalCalendarAdmin(ReadOnly, ModelAdmin):
    list_display = [
        "label", "account", "is_selected", "vanished_at", "last_sync_at", "next_sync_at",
        "events_synced", "failures", "syncing",
    ]  # fmt: skip
    list_filter = [
        "is_selected",
        ("vanished_at", admin.EmptyFieldListFilter),
        ("connection__configuration", admin.RelatedOnlyFieldListFilter),
        "is_primary",
    ]
    list_select_related = ["connection"]
    search_fields = ["name", "external_id", "connection__account_email"]
    ordering = ["-created_at"]
    inlines = [NotificationChannelInline]
    fields = [
        "connection", "external_id", "name", "time_zone", "access_role", "is_primary",
        "is_selected", "vanished_at", "to_clear", "error", "syncing", "last_sync_at",
        "last_full_sync_at", "next_sync_at", "blocked_until", "next_watch_at", "window_start",
        "window_end", "events_synced", "quarantine", "failures", "created_at", "updated_at",
    ]  # fmt: skip

    @admin.display(description="Calendar", ordering="name")
    def label(self, calendar: ExternalCalendar) -> SafeString:
        return text(str(calendar))

    @admin.display(description="Account", ordering="connection__account_email")
    def account(self, calendar: ExternalCalendar) -> SafeString:
        return text(calendar.connection.account_email)

    @admin.display(description="In quarantine")
    def quarantine(self, calendar: ExternalCalendar) -> SafeString | str:
        return quarantined(calendar)

    @admin.display(description="Error")
    def error(self, calendar: ExternalCalendar) -> str:
        return cause_of(calendar.last_error_code)

    @admin.display(description="Syncing", boolean=True)
    def syncing(self, calendar: ExternalCalendar) -> bool:
        return calendar.is_syncing


@admin.register(QuarantinedEvent)
class QuarantinedEventAdmin(ReadOnly, ModelAdmin):
    list_display = ["source", "event", "reason", "times", "first_seen_at", "last_seen_at"]
    list_filter = [
        "last_seen_at",
        ("external_calendar__connection__configuration", admin.RelatedOnlyFieldListFilter),
    ]
    list_select_related = ["external_calendar__connection__calendar"]
    show_full_result_count = False
    search_fields = [
        "external_id", "reason", "external_calendar__connection__account_email",
        "external_calendar__connection__calendar__name",
    ]  # fmt: skip
    search_help_text = "Event id, reason, account, or calendar name"
    fields = [
        "external_calendar", "source", "event", "etag", "reason", "times", "first_seen_at",
        "last_seen_at",
    ]  # fmt: skip

    @admin.display(description="Calendar")
    def source(self, row: QuarantinedEvent) -> SafeString:
        return _source(row.external_calendar)

    @admin.display(description="Event id", ordering="external_id")
    def event(self, row: QuarantinedEvent) -> SafeString:
        return text(row.external_id)


@admin.register(AuthorizationRequest)
class AuthorizationRequestAdmin(ReadOnly, ModelAdmin):
    list_display = ["created_at", "calendar", "configuration", "purpose", "result"]
    list_filter = ["purpose", "outcome"]
    list_select_related = ["connection__calendar", "configuration"]
    search_fields = ["connection__id", "expected_account"]
    ordering = ["-created_at"]
    # Neither the state's digest nor the verifier, nor what the caller wants back.
    fields = [
        "connection", "configuration", "purpose", "handshake", "result", "outcome", "started_by",
        "expected_account", "scopes", "created_at", "expires_at", "consumed_at",
    ]  # fmt: skip

    @admin.display(description="Calendar")
    def calendar(self, attempt: AuthorizationRequest) -> SafeString:
        return text(attempt.connection.calendar.name)

    @admin.display(description="Result", ordering="outcome")
    def result(self, attempt: AuthorizationRequest) -> str:
        if attempt.outcome == "connected":
            return "Connected."
        if attempt.outcome:
            return cause_of(attempt.outcome)
        if attempt.consumed_at:
            return "Being finished."
        return "Waiting." if attempt.expires_at > timezone.now() else "Ran out."


@admin.register(RevocationJob)
class RevocationJobAdmin(ReadOnly, ModelAdmin):
    list_display = ["created_at", "configuration", "attempts", "next_attempt_at", "expires_at"]
    list_select_related = ["configuration"]
    ordering = ["-created_at"]
    fields = ["configuration", "attempts", "next_attempt_at", "expires_at", "created_at"]


def _source(external: ExternalCalendar) -> SafeString:
    return format_html(
        '{}<br><span class="quiet">{}</span>',
        text(external.connection.calendar.name),
        text(external.connection.account_email),
    )
