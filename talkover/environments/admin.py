"""Admin pages of tenants and people.

A secret is shown in the answer that makes it, and never again. It does not go
through Django's messages: those are kept in a cookie or the session.
"""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from talkover.environments.models import (
    Environment,
    EnvironmentToken,
    Membership,
    RedirectURI,
    User,
)

_PRIVILEGES = ("is_staff", "is_superuser", "groups", "user_permissions")


class LowerCaseEmail(forms.EmailField):
    """Addresses are kept in lower case: one person, one account."""

    def clean(self, value: Any) -> Any:
        return super().clean(value).lower()


class PersonCreationForm(AdminUserCreationForm):
    email = LowerCaseEmail(max_length=254)

    class Meta:
        model = User
        fields = ("email",)


class PersonChangeForm(UserChangeForm):
    email = LowerCaseEmail(max_length=254)

    class Meta:
        model = User
        fields = "__all__"


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    """People sign in by e-mail address; only superusers hand out privileges."""

    form = PersonChangeForm
    add_form = PersonCreationForm
    list_display = ("email", "is_active", "is_staff", "is_superuser", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("email",)
    ordering = ("email",)
    readonly_fields = ("date_joined", "last_login")
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        ("Permissions", {"fields": ("is_active", *_PRIVILEGES)}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "usable_password", "password1", "password2")}),)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return fields if _is_superuser(request) else (*fields, *_PRIVILEGES)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and _may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and _may_touch(request, obj)


class RedirectURIInline(admin.TabularInline):
    model = RedirectURI
    extra = 0


class MembershipInline(admin.TabularInline):
    model = Membership
    extra = 0
    autocomplete_fields = ("user",)
    fields = ("user", "name", "role", "external_id")
    show_change_link = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        return super().get_queryset(request).select_related("user", "environment")


@admin.register(Environment)
class EnvironmentAdmin(admin.ModelAdmin):
    """Environments; their signing keys are made here and never read here."""

    list_display = ("name", "id", "timezone", "rate_limit_per_minute", "created_at")
    search_fields = ("name",)
    fields = (
        "name", "timezone", "rate_limit_per_minute", "handshake", "notify_accounts", "id",
        "created_at", "updated_at",
    )  # fmt: skip
    readonly_fields = ("id", "created_at", "updated_at")
    inlines = (RedirectURIInline, MembershipInline)
    change_form_template = "environments/admin/environment_change_form.html"

    def get_inlines(self, request: HttpRequest, obj: Environment | None) -> Any:
        # On the add page the answer is the signing key; people and URIs come after that.
        return super().get_inlines(request, obj) if obj is not None else ()

    def save_model(self, request: HttpRequest, obj: Environment, form: Any, change: bool) -> None:
        if not change:
            request._shown_once = obj.renew_signing_key()  # type: ignore[attr-defined]  # noqa: SLF001
        super().save_model(request, obj, form, change)

    def response_add(
        self, request: HttpRequest, obj: Environment, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self._show(request, obj, request._shown_once)  # type: ignore[attr-defined]  # noqa: SLF001

    def get_urls(self) -> list[URLPattern]:
        renew = path(
            "<uuid:pk>/renew-signing-key/",
            self.admin_site.admin_view(self.renew_signing_key),
            name="environments_environment_renew_signing_key",
        )
        return [renew, *super().get_urls()]

    def renew_signing_key(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """Asks first (GET), then renews and shows the key once (POST)."""
        environment = self.get_object(request, str(pk))
        if environment is None:
            raise Http404
        if not self.has_change_permission(request, environment):
            raise PermissionDenied
        if request.method == "POST":
            key = environment.renew_signing_key()
            environment.save(update_fields=["signing_key", "updated_at"])
            self.log_change(request, environment, "Renewed the signing key.")
            return self._show(request, environment, key)
        context = self._context(request, environment, "Renew the signing key")
        return TemplateResponse(request, "environments/admin/confirm_renewal.html", context)

    def _show(self, request: HttpRequest, environment: Environment, key: str) -> HttpResponse:
        context = self._context(request, environment, "New signing key")
        return show_once(request, key, context)

    def _context(
        self, request: HttpRequest, environment: Environment, title: str
    ) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "title": title,
            "back_url": reverse("admin:environments_environment_change", args=[environment.pk]),
            "back_title": environment.name,
        }


@admin.register(EnvironmentToken)
class EnvironmentTokenAdmin(admin.ModelAdmin):
    """Tokens: issued, shown once, revoked. Never edited, but for their name and end."""

    list_display = ("name", "hint", "environment", "current_state", "last_used_at", "expires_at")
    list_filter = ("environment",)
    list_select_related = ("environment",)
    search_fields = ("name", "hint", "environment__name")
    autocomplete_fields = ("environment",)
    actions = ("revoke",)
    _shown = ("hint", "current_state", "created_at", "last_used_at", "revoked_at")

    @admin.display(description="State")
    def current_state(self, token: EnvironmentToken) -> str:
        return token.state(timezone.now())

    def get_fields(self, request: HttpRequest, obj: EnvironmentToken | None = None) -> Any:
        fields = ("environment", "name", "expires_at")
        return fields if obj is None else (*fields, *self._shown)

    def get_readonly_fields(self, request: HttpRequest, obj: EnvironmentToken | None = None) -> Any:
        return () if obj is None else ("environment", *self._shown)

    def save_model(
        self, request: HttpRequest, obj: EnvironmentToken, form: Any, change: bool
    ) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        row, token = EnvironmentToken.issue(
            environment=obj.environment, name=obj.name, expires_at=obj.expires_at
        )
        obj.__dict__.update(row.__dict__)
        request._shown_once = token  # type: ignore[attr-defined]  # noqa: SLF001

    def response_add(
        self, request: HttpRequest, obj: EnvironmentToken, post_url_continue: str | None = None
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": f"New token of {obj.environment}",
            "back_url": reverse("admin:environments_environmenttoken_changelist"),
            "back_title": "Environment tokens",
        }
        return show_once(request, request._shown_once, context)  # type: ignore[attr-defined]  # noqa: SLF001

    @admin.action(description="Revoke selected tokens", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[EnvironmentToken]) -> None:
        for token in queryset:
            token.revoke()
            self.log_change(request, token, "Revoked.")
        self.message_user(request, "The tokens are revoked.")


def show_once(request: HttpRequest, secret: str, context: dict[str, Any]) -> HttpResponse:
    """The page that shows a new secret: nothing keeps it, neither we nor a cache."""
    response = TemplateResponse(
        request, "environments/admin/shown_once.html", {**context, "secret": secret}
    )
    response["Cache-Control"] = "no-store"
    return response


def _is_superuser(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.is_superuser


def _may_touch(request: HttpRequest, person: User | None) -> bool:
    """Staff may not change superusers: with their password they would be one."""
    return person is None or not person.is_superuser or _is_superuser(request)
