"""What the admin's modules share: how things are shown, and that they cannot be changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.defaultfilters import truncatechars
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from providers import audit, causes
from providers.models import ExternalCalendar
from providers.standing import Tone
from talkover.api.addresses import client_address

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
else:
    ModelAdmin = admin.ModelAdmin
    TabularInline = admin.TabularInline


def text(value: str, length: int = 80) -> SafeString:
    """What somebody else wrote: shortened, and unable to turn its surroundings round."""
    return format_html("<bdi>{}</bdi>", truncatechars(value, length))


def badge(tone: Tone, label: str) -> SafeString:
    return format_html('<span class="state {}">{}</span>', tone.value, label)


def quarantined(calendar: ExternalCalendar | None) -> SafeString | str:
    """How many events of a calendar are in quarantine, leading to them."""
    if calendar is None or not calendar.quarantined_count:
        return "none"
    where = reverse("admin:providers_quarantinedevent_changelist")
    return format_html(
        '<a href="{}?external_calendar__id__exact={}">{}</a>',
        where,
        calendar.pk,
        f"{calendar.quarantined_count:,}",
    )


def cause_of(code: str) -> str:
    return causes.explain(code).cause if code else ""


def actor_of(request: HttpRequest) -> audit.Actor:
    """Who acts in the admin, for the audit log."""
    user: Any = request.user  # the admin lets nobody else in
    return audit.Actor.of_staff(user, client_address(request))


class ReadOnly:
    """Nobody adds, changes or removes these here; who may view or change the model may look."""

    def has_add_permission(self, *_arguments: Any) -> bool:
        return False

    def has_change_permission(self, *_arguments: Any) -> bool:
        return False

    def has_delete_permission(self, *_arguments: Any) -> bool:
        return False
