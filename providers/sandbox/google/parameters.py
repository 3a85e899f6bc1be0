"""Query parameters, checked."""

from collections.abc import Mapping

from providers.sandbox.google.errors import invalid
from providers.sandbox.google.times import parse_rfc3339


def number(query: Mapping[str, str], name: str, default: int) -> int:
    """A whole number above zero. Raises 400."""
    text = query.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or int(text) < 1:
        raise invalid(f"Invalid value for {name}: a positive whole number is needed.", name)
    return int(text)


def flag(query: Mapping[str, str], name: str, default: bool) -> bool:
    """`true` or `false`. Raises 400."""
    text = query.get(name, "").lower()
    if text in {"true", "false"}:
        return text == "true"
    if text:
        raise invalid(f"Invalid boolean value for {name}: {text!r}.", name)
    return default


def moment(query: Mapping[str, str], name: str) -> float | None:
    """Unix seconds of an RFC 3339 time with an offset. Raises 400."""
    if name not in query:
        return None
    # A client that forgets to encode `+` sends a blank; Google refuses that too.
    try:
        return parse_rfc3339(query[name]).timestamp()
    except ValueError:
        raise invalid(
            f"Invalid value for {name}: RFC 3339 with UTC offset is needed.", name
        ) from None
