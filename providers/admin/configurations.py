"""Provider configurations: what superusers register, and other staff look after."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from providers import connect, tasks
from providers.admin.display import ModelAdmin, badge, text
from providers.forms import ProviderConfigurationForm, StaffConfigurationForm
from providers.models import (
    ENDPOINT_FIELDS,
    ExternalCalendar,
    ProviderConfiguration,
    ProviderConnection,
)
from providers.standing import Tone


@admin.register(ProviderConfiguration)
class ProviderConfigurationAdmin(ModelAdmin):
    form = ProviderConfigurationForm
    list_display = ["display_name", "identifier", "environment", "kind", "is_active", "state"]
    list_filter = ["kind", "is_active", "environment"]
    list_select_related = ["environment"]
    search_fields = ["identifier", "display_name", "client_id"]
    actions = ["resume"]
    _shown = ("state", "callback_url", "created_at", "updated_at")

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if not is_superuser(request):
            kwargs["form"] = StaffConfigurationForm
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, _obj: Any = None) -> Any:
        """Without secret and endpoints for those who are no superusers."""
        top = ("environment", "identifier", "kind", "display_name", "is_active", "state")
        client: tuple[str, ...] = ("client_id", "scopes", "callback_url")
        if is_superuser(request):
            secret = ("new_client_secret", "secret_is_kept")
            client = ("tenant", "client_id", *secret, "scopes", "callback_url")
        sections: list[Any] = [
            (None, {"fields": top}),
            ("Client registration", {"fields": client}),
            (
                "What is synced",
                {"fields": ("window_days_back", "window_days_ahead", "sync_budget")},
            ),
        ]
        if is_superuser(request):
            overrides = {
                "fields": tuple(f"{name}_endpoint" for name in ENDPOINT_FIELDS),
                "description": "For sovereign clouds and for testing. Empty: the provider's own.",
            }
            sections.append(("Endpoint overrides", overrides))
        return [*sections, ("History", {"fields": ("created_at", "updated_at")})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = [*self._shown, "secret_is_kept"]
        if obj is not None:
            # The secret is sealed for this environment, and the callback URL contains the kind.
            fields += ["environment", "kind"]
        if not is_superuser(request):
            fields.append("client_id")
        return fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A configuration begins with its secret, so only superusers begin one."""
        return is_superuser(request) and super().has_add_permission(request)

    @admin.display(description="State")
    def state(self, configuration: ProviderConfiguration) -> SafeString | str:
        if configuration._state.adding:
            return ""
        if configuration.paused_at:
            since = f"{configuration.paused_at:%Y-%m-%d %H:%M} UTC"
            return format_html(
                "{} since {}: {}",
                badge(Tone.BAD, "On hold"),
                since,
                text(configuration.paused_reason, 300),
            )
        if not configuration.is_active:
            return badge(Tone.OFF, "Switched off")
        if configuration.outage_since:
            return format_html(
                "{} since {}; {} affected, asked again by itself",
                badge(Tone.BAD, "Provider is down"),
                f"{configuration.outage_since:%Y-%m-%d %H:%M} UTC",
                _affected(configuration),
            )
        return badge(Tone.GOOD, "In use")

    @admin.display(description="Callback URL to register at the provider")
    def callback_url(self, configuration: ProviderConfiguration) -> SafeString | str:
        if configuration._state.adding:
            return "Shown when saved."
        return format_html("<code>{}</code>", connect.callback_url(configuration))

    @admin.display(description="Secret is kept", boolean=True)
    def secret_is_kept(self, configuration: ProviderConfiguration) -> bool:
        return bool(configuration.client_secret)

    @admin.action(description="Resume what is on hold", permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[ProviderConfiguration]) -> None:
        paused = list(queryset.filter(paused_at__isnull=False))
        with transaction.atomic():
            for configuration in paused:
                configuration.paused_at, configuration.paused_reason = None, ""
                configuration.save(update_fields=["paused_at", "paused_reason", "updated_at"])
                self.log_change(request, configuration, "Resumed.")
            tasks.request_sync(
                ExternalCalendar.objects.filter(connection__configuration__in=paused)
            )
        # Those that are down are asked once, now; the rest follows if they answer.
        down = queryset.filter(outage_since__isnull=False).update(outage_until=timezone.now())
        self.message_user(
            request, f"Resumed: {len(paused) + down}. Their calendars are synced now."
        )


def _affected(configuration: ProviderConfiguration) -> str:
    """How many connections wait for the provider, in words."""
    number = configuration.connections.filter(status=ProviderConnection.Status.ACTIVE).count()
    return "1 connection" if number == 1 else f"{number} connections"


def is_superuser(request: HttpRequest) -> bool:
    return request.user.is_active and request.user.is_superuser
