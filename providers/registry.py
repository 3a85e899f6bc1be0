"""Which kinds of provider there are: one line each."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from providers.base import Provider

PROVIDERS = {
    "google": "providers.google.provider.GoogleProvider",
    "caldav": "providers.caldav.provider.CalDavProvider",
    "ics": "providers.ics.provider.IcsProvider",
    "microsoft": "providers.microsoft.provider.MicrosoftProvider",
}


class UnknownKind(LookupError):
    """No provider of this kind is built in."""


def kinds() -> tuple[str, ...]:
    """The known kinds, in the order of the list above."""
    return tuple(PROVIDERS)


@cache
def get_provider(kind: str) -> Provider:
    """The provider of a kind. Raises UnknownKind, which names the known ones."""
    try:
        module, _, name = PROVIDERS[kind].rpartition(".")
    except KeyError:
        raise UnknownKind(f"Unknown kind {kind!r}. Known: {', '.join(PROVIDERS)}.") from None
    provider: Provider = getattr(import_module(module), name)()
    return provider
