"""The list of provider kinds."""

from __future__ import annotations

import pytest

from providers import registry
from providers.base import OAuth2Provider


@pytest.mark.parametrize("kind", registry.kinds())
def test_every_kind_states_its_facts(kind: str) -> None:
    provider = registry.get_provider(kind)
    assert isinstance(provider, OAuth2Provider)
    assert provider.kind == kind
    assert provider.name
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
