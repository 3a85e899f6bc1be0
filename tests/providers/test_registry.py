"""The list of provider kinds."""

from __future__ import annotations

import pytest

from providers import registry
from providers.base import Capability, CredentialProvider, OAuth2Provider
from providers.watching import WatchesCalendars
from providers.writing import WritesEvents

OAUTH2 = [
    kind for kind in registry.kinds() if isinstance(registry.get_provider(kind), OAuth2Provider)
]


@pytest.mark.parametrize("kind", registry.kinds())
def test_every_kind_states_its_facts(kind: str) -> None:
    provider = registry.get_provider(kind)
    assert provider.kind == kind
    assert provider.name
    assert Capability.EVENTS_READ in provider.capabilities
    assert (Capability.PUSH in provider.capabilities) == isinstance(provider, WatchesCalendars)
    assert (Capability.EVENTS_WRITE in provider.capabilities) == isinstance(provider, WritesEvents)


@pytest.mark.parametrize("kind", sorted(set(registry.kinds()) - set(OAUTH2)))
def test_every_kind_without_oauth_says_what_to_enter(kind: str) -> None:
    provider = registry.get_provider(kind)
    assert isinstance(provider, CredentialProvider)
    assert set(provider.asks_for) <= {"address", "user", "secret"}
    assert len({preset.key for preset in provider.presets}) == len(provider.presets) >= 1
    for preset in provider.presets:
        assert preset.name
        assert preset.address or preset.example
        assert preset.help_url.startswith("https://") or not preset.help_url


@pytest.mark.parametrize("kind", OAUTH2)
def test_every_kind_with_oauth_states_its_endpoints(kind: str) -> None:
    provider = registry.get_provider(kind)
    assert isinstance(provider, OAuth2Provider)
    assert provider.default_scopes
    assert not provider.missing_scopes(provider.default_scopes)
    for field in ("authorization", "token", "revocation", "userinfo", "api_root", "issuer"):
        url = getattr(provider.endpoints, field)
        if (kind, field) == ("microsoft", "revocation"):
            assert url == ""  # it has none
            continue
        assert url.startswith("https://")
        assert not url.endswith("/")


def test_a_provider_is_made_once() -> None:
    assert registry.get_provider("google") is registry.get_provider("google")


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(registry.UnknownKind, match=r"'pigeon'.*google"):
        registry.get_provider("pigeon")
