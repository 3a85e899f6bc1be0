"""What an environment has registered at a provider."""

from __future__ import annotations

import uuid

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models

from providers import registry
from providers.base import ClientRegistration, Endpoints, OAuth2Provider, Provider
from providers.tenants import HasTenants
from providers.validation import check_endpoint
from talkover.encryption import SealedField, unseal
from talkover.environments.models import Environment

ENDPOINT_FIELDS = ("authorization", "token", "revocation", "userinfo", "api_root", "issuer")


_NO_ENDPOINTS = Endpoints(*[""] * len(ENDPOINT_FIELDS))


class ProviderConfiguration(models.Model):
    """One provider as one environment has registered it; the API calls it by `identifier`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    environment = models.ForeignKey(
        Environment,
        on_delete=models.CASCADE,
        related_name="provider_configurations",
        db_index=False,
    )
    identifier = models.CharField(
        max_length=64,
        validators=[
            RegexValidator(
                r"^[a-z0-9][a-z0-9_-]*$", "Use lower-case letters, digits, hyphens and underscores."
            )
        ],
        help_text="What the API calls it, such as calendar_provider_a.",
    )
    kind = models.CharField(max_length=32)
    display_name = models.CharField(max_length=255)
    tenant = models.CharField(
        max_length=255,
        blank=True,
        help_text=(
            "Whose people sign in. Microsoft: common (or empty), organizations, consumers, or one"
            " tenant by its id or domain."
        ),
    )
    # Providers that are reached with what a person enters need no registration.
    client_id = models.CharField(max_length=255, blank=True)
    client_secret = SealedField(blank=True, editable=False)
    scopes = models.JSONField(
        default=list, blank=True, help_text="Empty: what reading calendars needs."
    )
    is_active = models.BooleanField(default=True)
    authorization_endpoint = models.CharField(max_length=500, blank=True)
    token_endpoint = models.CharField(max_length=500, blank=True)
    revocation_endpoint = models.CharField(max_length=500, blank=True)
    userinfo_endpoint = models.CharField(max_length=500, blank=True)
    api_root_endpoint = models.CharField(max_length=500, blank=True)
    issuer_endpoint = models.CharField(max_length=500, blank=True)
    window_days_back = models.PositiveIntegerField(default=30)
    window_days_ahead = models.PositiveIntegerField(default=365)
    # Set when the provider says that our registration is wrong; nothing is synced meanwhile.
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_reason = models.CharField(max_length=500, blank=True)
    sync_budget = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        help_text="How many of its calendars are synced at once. Empty: as the settings say.",
    )
    # The circuit breaker: failures in a row of any of its calendars, and until when it is open.
    outage_failures = models.PositiveIntegerField(default=0, editable=False)
    outage_since = models.DateTimeField(null=True, blank=True, editable=False)
    outage_until = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["identifier"]
        constraints = [
            models.UniqueConstraint(
                fields=["environment", "identifier"], name="provider_identifier_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.display_name} ({self.identifier})"

    def clean(self) -> None:
        """Raise ValidationError that names each wrong field."""
        problems: dict[str, str] = {}
        if self.kind not in registry.kinds():
            problems["kind"] = f"Unknown kind. Known: {', '.join(registry.kinds())}."
        else:
            if problem := self._check_tenant():
                problems["tenant"] = problem
            if self.uses_oauth2 and not self.client_id:
                problems["client_id"] = "Enter the client id that the provider gave."
        for name in ENDPOINT_FIELDS:
            url = getattr(self, f"{name}_endpoint")
            if url and (problem := check_endpoint(url)):
                problems[f"{name}_endpoint"] = problem
        if not isinstance(self.scopes, list) or not all(
            isinstance(scope, str) and scope and " " not in scope for scope in self.scopes
        ):
            problems["scopes"] = "Give a list of scopes, each without spaces."
        if problems:
            raise ValidationError(problems)

    @property
    def provider(self) -> Provider:
        """The adapter of this kind. Raises registry.UnknownKind."""
        return registry.get_provider(self.kind)

    @property
    def oauth2_provider(self) -> OAuth2Provider:
        """The adapter, of a kind that is reached by OAuth. Raises registry.UnknownKind."""
        provider = self.provider
        if not isinstance(provider, OAuth2Provider):
            raise TypeError(f"{self.kind} is not reached by OAuth.")
        return provider

    @property
    def uses_oauth2(self) -> bool:
        """Whether it takes a registration at the provider. Raises registry.UnknownKind."""
        return isinstance(self.provider, OAuth2Provider)

    def endpoints(self) -> Endpoints:
        """The provider's own endpoints for the tenant, with this configuration's overrides; empty
        without OAuth. Raises registry.UnknownKind.
        """
        own = _NO_ENDPOINTS
        if isinstance(provider := self.provider, HasTenants):
            own = provider.endpoints_for(self.tenant)
        elif self.uses_oauth2:
            own = self.oauth2_provider.endpoints
        return Endpoints(
            **{
                name: getattr(self, f"{name}_endpoint") or getattr(own, name)
                for name in ENDPOINT_FIELDS
            }
        )

    def requested_scopes(self) -> tuple[str, ...]:
        if self.scopes or not self.uses_oauth2:
            return tuple(self.scopes)
        return self.oauth2_provider.default_scopes

    def registration(self) -> ClientRegistration:
        """Client and endpoints as one unit, the secret in clear. Raises UnsealError."""
        return ClientRegistration(
            client_id=self.client_id,
            client_secret=unseal(self, "client_secret"),
            endpoints=self.endpoints(),
            scopes=self.requested_scopes(),
        )

    def _check_tenant(self) -> str:
        """Why the tenant is none, empty when it is one; capitals are no difference in a domain."""
        self.tenant = self.tenant.strip().lower()
        if isinstance(provider := self.provider, HasTenants):
            return provider.check_tenant(self.tenant)
        return "This kind of provider has no tenants. Leave it empty." if self.tenant else ""
