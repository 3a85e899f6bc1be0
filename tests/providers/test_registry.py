"""The list of provider kinds."""

from __future__ import annotations

import pytest

from providers import registry
from providers.base import Capability, CredentialProvider, OAuth2Provider
from providers.writing import WritesEvents


@pytest.mark.parametrize("kind", registry.kinds())
def test_every_kind_states_its_facts(kind: str) -> None:
    provider = registry.get_provider(kind)
    assert provider.kind == kind
    assert provider.name
    assert provider.capabilities >= {Capability.CALENDARS_READ, Capability.EVENTS_READ}
    assert isinstance(provider, OAuth2Provider | CredentialProvider)
    assert isinstance(provider, WritesEvents) is (Capability.EVENTS_WRITE in provider.capabilities)


@pytest.mark.parametrize("kind", registry.kinds())
def test_every_kind_by_oauth(kind: str) -> None:
    provider = registry.get_provider(kind)
    if not isinstance(provider, OAuth2Provider):
        pytest.skip("it is reached with what a person enters")
    assert provider.default_scopes
    assert not provider.missing_scopes(provider.default_scopes)
    for field in ("authorization", "token", "revocation", "userinfo", "api_root", "issuer"):
        url = getattr(provider.endpoints, field)
        if (kind, field) == ("microsoft", "revocation"):
            assert url == ""  # it has none
            continue
        assert url.startswith("https://")
        assert not url.endswith("/")


@pytest.mark.parametrize("kind", registry.kinds())
def test_every_kind_with_credentials(kind: str) -> None:
    provider = registry.get_provider(kind)
    if not isinstance(provider, CredentialProvider):
        pytest.skip("it is reached by OAuth")
    keys = [preset.key for preset in provider.presets]
    assert len(keys) == len(set(keys)) > 0
    assert set(provider.asks_for) <= {"address", "user", "secret"}
    for preset in provider.presets:
        assert preset.name
        assert bool(preset.address) != bool(preset.example), "one of the two tells where it is"
        assert preset.address.startswith("https://") or not preset.address
        assert preset.help_url.startswith("https://") or not preset.help_url


def test_a_provider_is_made_once() -> None:
    assert registry.get_provider("google") is registry.get_provider("google")


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(registry.UnknownKind, match=r"'pigeon'.*google"):
        registry.get_provider("pigeon")
