"""The audit log in the admin: read by staff, changed by nobody."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from providers import audit
from providers.admin.display import ModelAdmin, ReadOnly, cause_of, text
from providers.models import AuditEntry, ProviderConfiguration, ProviderConnection
from providers.templatetags.talkover import moment
from talkover.environments.models import Environment

LATEST = 20


class ActionFilter(admin.SimpleListFilter):
    """Of the actions there can be: the log is not searched for those there are."""

    title = "action"
    parameter_name = "action"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> list[tuple[str, str]]:
        return [(action.value, action.value.replace("_", " ")) for action in audit.Action]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(action=self.value()) if self.value() else queryset


class ProviderFilter(admin.SimpleListFilter):
    title = "provider"
    parameter_name = "provider"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> list[tuple[str, str]]:
        known = ProviderConfiguration.objects.order_by("identifier").values_list("identifier")
        return [(name, name) for (name,) in known.distinct()]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(provider=self.value()) if self.value() else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly, ModelAdmin):
    list_display = ["at", "what", "whose", "who", "address", "cause"]
    list_filter = ["environment", ActionFilter, "actor", ProviderFilter, "created_at"]
    list_per_page = 50
    show_full_result_count = False
    search_fields = ["actor_label"]  # and those of get_search_results
    search_help_text = "Connection or calendar id, account, or who did it"
    ordering = ["-id"]
    fields = [
        "at", "what", "action", "whose", "environment_name", "provider", "calendar_id",
        "connection_id", "who", "actor_id", "address", "request_id", "cause", "code", "details",
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        # Not joined: an entry whose connection or environment is gone would be missing.
        account = ProviderConnection.objects.filter(pk=OuterRef("connection_id"))
        environment = Environment.objects.filter(pk=OuterRef("environment_id"))
        entries: QuerySet[AuditEntry] = super().get_queryset(request)
        return entries.annotate(
            account_email=Subquery(account.values("account_email")),
            environment_known=Subquery(environment.values("name")),
        )

    def get_search_results(
        self, _request: HttpRequest, queryset: QuerySet[AuditEntry], search_term: str
    ) -> tuple[QuerySet[AuditEntry], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            wanted = uuid.UUID(term)
        except ValueError:
            accounts = ProviderConnection.objects.filter(account_email__icontains=term)
            found = Q(actor_label__icontains=term) | Q(connection_id__in=accounts.values("pk"))
            return queryset.filter(found), False
        return queryset.filter(Q(connection_id=wanted) | Q(calendar_id=wanted)), False

    @admin.display(description="When", ordering="id")
    def at(self, entry: AuditEntry) -> SafeString:
        return moment(entry.created_at)

    @admin.display(description="What")
    def what(self, entry: AuditEntry) -> str:
        return audit.say(entry.action)

    @admin.display(description="Connection")
    def whose(self, entry: Any) -> SafeString:
        return format_html(
            '<a href="{}?q={}">{}</a><br><span class="quiet">{}</span>',
            reverse("admin:providers_auditentry_changelist"),
            entry.connection_id,
            text(entry.account_email or str(entry.connection_id)),
            text(f"{entry.provider}, {self.environment_name(entry)}"),
        )

    @admin.display(description="Environment")
    def environment_name(self, entry: Any) -> str:
        return entry.environment_known or str(entry.environment_id)

    @admin.display(description="Who", ordering="actor")
    def who(self, entry: AuditEntry) -> SafeString:
        return who_did(entry)

    @admin.display(description="Error")
    def cause(self, entry: AuditEntry) -> str:
        return cause_of(entry.code)


def who_did(entry: AuditEntry) -> SafeString:
    if not entry.actor_label:
        return text(entry.get_actor_display())
    return format_html("{} {}", entry.get_actor_display(), text(entry.actor_label))


def latest_of(connection: ProviderConnection) -> SafeString:
    """The newest entries of a connection, as a table."""
    entries = AuditEntry.objects.filter(connection_id=connection.pk)[:LATEST]
    rows = format_html_join(
        "\n",
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
        (
            (
                moment(entry.created_at),
                f"{audit.say(entry.action)} {cause_of(entry.code)}".strip(),
                who_did(entry),
                entry.address or "",
            )
            for entry in entries
        ),
    )
    if not rows:
        return format_html("Nothing yet.")
    return format_html(
        '<table class="timeline"><thead><tr><th scope="col">When</th><th scope="col">What</th>'
        '<th scope="col">Who</th><th scope="col">From</th></tr></thead><tbody>{}</tbody></table>'
        '<a href="{}?q={}">All entries</a>',
        rows,
        reverse("admin:providers_auditentry_changelist"),
        connection.pk,
    )
