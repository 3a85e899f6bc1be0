"""Windows' names of time zones and ours. Pure.

Outlook keeps the zone an event was made in, under Windows' name or an IANA one:
https://learn.microsoft.com/graph/api/resources/datetimetimezone
The names are those of CLDR's windowsZones.xml, as `tzlocal` has them. They are constants of that
package and no promised interface, so this module is the only one that touches them.
"""

from __future__ import annotations

from functools import lru_cache
from zoneinfo import ZoneInfo

from tzlocal.windows_tz import tz_win, win_tz

_WINDOWS = {name.casefold(): iana for name, iana in win_tz.items()}
# What Outlook itself writes and no table has.
_WINDOWS["tzone://microsoft/utc"] = "UTC"


@lru_cache(maxsize=1024)
def iana_name(name: str) -> str:
    """The IANA name of a zone under either name; empty for one that nobody knows, such as
    `tzone://Microsoft/Custom`, which is a zone of one's own.
    """
    known = _WINDOWS.get(name.casefold(), name)
    return "UTC" if known == "Etc/UTC" else known if zone(known) else ""


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo | None:
    """The zone of this IANA name, None when there is none (and for the empty name)."""
    try:
        return ZoneInfo(name) if 0 < len(name) <= 64 else None
    except (ValueError, LookupError, OSError):  # OSError: the name of a directory of zones
        return None


def windows_name(name: str) -> str:
    """Windows' name of an IANA zone, for what is sent; empty for a zone that Windows has not."""
    return tz_win.get(name, "") if name else ""  # the table has a zone without a name
