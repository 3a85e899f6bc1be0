"""Connections: looked at, synced and disconnected, never edited."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import format_html
from django.utils.safestring import SafeString

from providers import audit, causes, connect, tasks
from providers.admin.audit import latest_of
from providers.admin.display import (
    ModelAdmin,
    ReadOnly,
    TabularInline,
    actor_of,
    badge,
    cause_of,
    quarantined,
    text,
)
from providers.models import ExternalCalendar, ProviderConnection, SyncRun
from providers.standing import Tone, last_sync_of, standing_of
from providers.templatetags.talkover import moment

LATEST_RUNS = 10
SEVERAL = 2
# Of accounts with hundreds of calendars; the list of external calendars has them all.
MOST_SHOWN = 50
CALENDAR_COLUMNS = (
    "name", "external_id", "is_primary", "is_selected", "vanished_at", "last_sync_at",
    "next_sync_at", "events_synced", "failures", "error", "quarantine",
)  # fmt: skip
RUN_COLUMNS = (
    "started_at", "kind", "status", "phase", "pages", "events_seen", "events_changed",
    "events_removed", "events_invalid", "cause",
)  # fmt: skip


class ExternalCalendarInline(ReadOnly, TabularInline):
    model = ExternalCalendar
    fields = CALENDAR_COLUMNS
    readonly_fields = CALENDAR_COLUMNS
    can_delete = False
    show_change_link = True
    extra = 0
    verbose_name_plural = "calendars of the account, the selected first"

    def get_queryset(self, request: HttpRequest) -> QuerySet[ExternalCalendar]:
        match = request.resolver_match
        own = ExternalCalendar.objects.filter(
            connection=match.kwargs["object_id"] if match else None
        )
        order = ("-is_selected", "-is_primary", "name", "pk")
        shown = own.order_by(*order).values("pk")[:MOST_SHOWN]
        rows: QuerySet[ExternalCalendar] = super().get_queryset(request).filter(pk__in=shown)
        return rows.order_by(*order)

    @admin.display(description="Error")
    def error(self, calendar: ExternalCalendar) -> str:
        return cause_of(calendar.last_error_code)

    @admin.display(description="In quarantine")
    def quarantine(self, calendar: ExternalCalendar) -> SafeString | str:
        return quarantined(calendar)


class SyncRunInline(ReadOnly, TabularInline):
    model = SyncRun
    verbose_name_plural = f"latest {LATEST_RUNS} sync runs"
    fields = RUN_COLUMNS
    readonly_fields = RUN_COLUMNS
    can_delete = False
    show_change_link = True
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[SyncRun]:
        match = request.resolver_match
        latest = SyncRun.objects.filter(connection=match.kwargs["object_id"] if match else None)
        newest = latest.order_by("-started_at").values("pk")[:LATEST_RUNS]
        return super().get_queryset(request).filter(pk__in=newest)

    @admin.display(description="Error")
    def cause(self, run: SyncRun) -> str:
        return cause_of(run.error_code)


class SharedFilter(admin.SimpleListFilter):
    """Accounts that are connected for more than one person, in whatever environment."""

    title = "account used by"
    parameter_name = "people"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> list[tuple[str, str]]:
        return [("several", "several people")]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(people__gte=SEVERAL) if self.value() == "several" else queryset


@admin.register(ProviderConnection)
class ProviderConnectionAdmin(ReadOnly, ModelAdmin):
    list_display = [
        "calendar_name", "account", "shared", "provider", "state", "last_sync", "last_error",
    ]  # fmt: skip
    list_filter = [
        "status",
        SharedFilter,
        ("configuration__environment", admin.RelatedOnlyFieldListFilter),
        "configuration__kind",
        ("configuration", admin.RelatedOnlyFieldListFilter),
    ]
    list_select_related = ["calendar", "configuration__environment"]
    list_per_page = 50
    search_fields = ["account_email", "calendar__name", "id"]
    search_help_text = "Account, calendar name, or id"
    ordering = ["-created_at"]
    actions = ["sync_now", "disconnect"]
    inlines = [ExternalCalendarInline, SyncRunInline]
    fields = [
        "id", "calendar", "configuration", "state", "last_error", "remedy", "account", "shared",
        "account_name", "account_subject", "granted_scopes", "created_at", "pending_until",
        "activated_at", "last_error_at", "last_error_code", "disconnected_at", "updated_at",
    ]  # fmt: skip

    def get_queryset(self, _request: HttpRequest) -> QuerySet[ProviderConnection]:
        connections = ProviderConnection.objects.with_people()
        selected = ExternalCalendar.objects.filter(is_selected=True)
        return connections.order_by(*self.ordering).prefetch_related(
            Prefetch("external_calendars", queryset=selected)
        )

    def get_fields(self, request: HttpRequest, _obj: ProviderConnection | None = None) -> Any:
        """With the audit log for those who may read it."""
        may_read = request.user.has_perm("providers.view_auditentry")
        return [*self.fields, "latest_entries"] if may_read else self.fields

    @admin.display(description="Latest entries of the audit log")
    def latest_entries(self, connection: ProviderConnection) -> SafeString:
        return latest_of(connection)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Who may sync and disconnect: staff with the permission to change connections."""
        return request.user.has_perm("providers.change_providerconnection")

    @admin.display(description="Calendar", ordering="calendar__name")
    def calendar_name(self, connection: ProviderConnection) -> SafeString:
        return text(connection.calendar.name)

    @admin.display(description="Account", ordering="account_email", empty_value="not authorised")
    def account(self, connection: ProviderConnection) -> SafeString | None:
        return text(connection.account_email) if connection.account_email else None

    @admin.display(description="Account used by", empty_value="")
    def shared(self, connection: Any) -> SafeString | None:
        """Somebody else's calendar with the same account: over all environments."""
        if not connection.people or connection.people < SEVERAL:
            return None
        return badge(Tone.WAITING, f"{connection.people} people")

    @admin.display(description="Provider", ordering="configuration__display_name")
    def provider(self, connection: ProviderConnection) -> SafeString:
        configuration = connection.configuration
        return format_html(
            '{}<br><span class="quiet">{}</span>',
            text(configuration.display_name),
            text(configuration.environment.name),
        )

    @admin.display(description="State", ordering="status")
    def state(self, connection: ProviderConnection) -> SafeString:
        standing = standing_of(connection)
        label = badge(standing.tone, standing.label)
        count = sum(c.quarantined_count for c in connection.external_calendars.all())
        if not count:
            return label
        mark = badge(Tone.WAITING, f"{count:,} event{'s' if count > 1 else ''} unread")
        return format_html("{}<br>{}", label, mark)

    @admin.display(description="Last sync")
    def last_sync(self, connection: ProviderConnection) -> SafeString | str:
        when = last_sync_of(list(connection.external_calendars.all()))
        return moment(when) if when else "never"

    @admin.display(description="Last error", ordering="last_error_code", empty_value="")
    def last_error(self, connection: ProviderConnection) -> str:
        return cause_of(connection.last_error_code)

    @admin.display(description="What to do")
    def remedy(self, connection: ProviderConnection) -> str:
        code = connection.last_error_code
        return causes.explain(code).remedy if code else ""

    @admin.action(description="Sync now", permissions=["operate"])
    def sync_now(self, request: HttpRequest, queryset: QuerySet[ProviderConnection]) -> None:
        chosen = list(queryset)
        with transaction.atomic():
            asked = tasks.request_sync(ExternalCalendar.objects.filter(connection__in=chosen))
            reached = set(
                ExternalCalendar.objects.filter(pk__in=asked).values_list("connection", flat=True)
            )
            audit.record_each(
                [connection for connection in chosen if connection.pk in reached],
                audit.Action.SYNC_REQUESTED,
                actor=actor_of(request),
            )
        self.message_user(request, f"Asked to sync: {len(reached)} connections.")
        if left := len(chosen) - len(reached):
            text = f"Left out, because they are not active: {left}."
            self.message_user(request, text, messages.WARNING)

    @admin.action(description="Disconnect …", permissions=["operate"])
    def disconnect(
        self, request: HttpRequest, queryset: QuerySet[ProviderConnection]
    ) -> HttpResponse | None:
        """Asks first: the answer comes back as the same action, confirmed."""
        if not self.has_operate_permission(request):
            raise PermissionDenied
        present = queryset.exclude(status=ProviderConnection.Status.DISCONNECTED)
        if "confirmed" not in request.POST:
            context = {
                **self.admin_site.each_context(request),
                "title": "Disconnect?",
                "opts": self.opts,
                "connections": present,
                "checkbox": ACTION_CHECKBOX_NAME,
                "select_across": request.POST.get("select_across", "0"),
                "media": self.media,
            }
            return render(request, "admin/providers/disconnect.html", context)
        chosen = list(present)
        actor = actor_of(request)
        for connection in chosen:
            connect.disconnect(connection=connection, actor=actor)
            self.log_change(request, connection, "Disconnected.")
        self.message_user(request, f"Disconnected: {len(chosen)}. Their events were kept.")
        return None
