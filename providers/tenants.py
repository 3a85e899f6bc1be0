"""Providers where people sign in at their organisation's own address. No Django."""

from __future__ import annotations

from abc import ABC, abstractmethod

from providers.base import ClientRegistration, Endpoints


class HasTenants(ABC):
    """What an OAuth 2.0 provider has besides, whose endpoints depend on whose people sign in."""

    @abstractmethod
    def check_tenant(self, tenant: str) -> str:
        """Why `tenant` is none, with the remedy; empty when it is one. The empty tenant always is:
        everybody whom the provider lets in.
        """

    @abstractmethod
    def endpoints_for(self, tenant: str) -> Endpoints:
        """The provider's endpoints for this tenant, which `check_tenant` lets pass."""

    @abstractmethod
    def admin_consent_url(
        self, registration: ClientRegistration, *, redirect_uri: str, state: str
    ) -> str:
        """Where an administrator allows this application for a whole organisation; empty where
        there is none. Whoever comes back from it to `redirect_uri` has connected nothing.
        """
