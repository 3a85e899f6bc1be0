"""Admin pages of calendars and events: to look things up. Made for millions of events."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from calendars.models import Calendar, Event

COUNT_LIMIT = 10_000


class CappedPaginator(Paginator):
    """Counts no further than COUNT_LIMIT: counting a large table takes longer than showing it."""

    @cached_property
    def count(self) -> int:
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]  # here it is no other sequence
        return len(rows.order_by().values_list("pk", flat=True)[:COUNT_LIMIT])


@admin.register(Calendar)
class CalendarAdmin(admin.ModelAdmin):
    """Deleting is the API's: connections are given back at the provider first."""

    list_display = ("name", "environment", "owner", "timezone", "created_at")
    list_select_related = ("environment", "owner")
    list_filter = ("environment",)
    search_fields = ("=id", "name", "owner__email")
    search_help_text = "Id, name, or e-mail address of the owner"
    autocomplete_fields = ("environment", "owner")
    fields = (
        "id",
        "environment",
        "owner",
        "name",
        "timezone",
        "metadata",
        "created_at",
        "updated_at",
    )
    readonly_fields = ("id", "created_at", "updated_at")
    show_full_result_count = False
    paginator = CappedPaginator

    def get_readonly_fields(self, request: HttpRequest, obj: Calendar | None = None) -> Any:
        # What connections and sealed values are bound to does not move.
        return self.readonly_fields if obj is None else (*self.readonly_fields, "environment")

    def has_delete_permission(self, request: HttpRequest, obj: Calendar | None = None) -> bool:
        return False


@admin.register(Event)
class EventAdmin(admin.ModelAdmin):
    """Read-only: the provider's calendar is where events are changed."""

    list_display = ("title", "calendar", "start_at", "end_at", "status", "all_day")
    list_select_related = ("calendar",)
    list_filter = ("status", "all_day")
    search_fields = ("=id", "=calendar__id", "=external_id")
    search_help_text = "Id of the event or of its calendar, or the provider's id"
    ordering = ("calendar", "start_at", "id")
    show_full_result_count = False
    paginator = CappedPaginator
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Event | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Event | None = None) -> bool:
        return False
