"""Services by name, for the page where a person enters an account; and what is odd about servers.

Addresses and ways to an app password as the services document them; in an address, `{user}` is the
user name that was entered. What is odd was observed, by us or by those who measure servers for the
`caldav` library; docs/caldav.md says what follows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from providers.base import Preset
from providers.caldav.urls import host_of

_WANTED = "An app password, not the account's own one"

PRESETS = (
    Preset(
        key="icloud",
        name="iCloud",
        address="https://caldav.icloud.com/",
        hint="Your Apple Account's address, and an app-specific password made for it.",
        help_url="https://support.apple.com/102654",
    ),
    Preset(
        key="fastmail",
        name="Fastmail",
        address="https://caldav.fastmail.com/dav/",
        hint=f"{_WANTED}: under Privacy & Security, with access to CalDAV.",
        help_url="https://www.fastmail.help/hc/en-us/articles/360058752854",
    ),
    Preset(
        key="yahoo",
        name="Yahoo",
        address="https://caldav.calendar.yahoo.com/",
        hint=f"{_WANTED}: under Account Security.",
        help_url="https://help.yahoo.com/kb/SLN15241.html",
    ),
    Preset(
        key="nextcloud",
        name="Nextcloud",
        example="https://cloud.example.com/remote.php/dav/",
        hint=f"{_WANTED}: under Settings, Security, Devices & sessions.",
        help_url="https://docs.nextcloud.com/server/latest/user_manual/en/session_management.html",
    ),
    Preset(
        key="gmx",
        name="GMX",
        address="https://caldav.gmx.net/begenda/dav/{user}/",
        hint="Your address and password; with two-factor authentication, an app password.",
        help_url="https://hilfe.gmx.net/",
    ),
    Preset(
        key="posteo",
        name="Posteo",
        address="https://posteo.de:8443/",
        hint="Your address and password.",
        help_url="https://posteo.de/en/help",
    ),
    Preset(
        key="mailbox_org",
        name="mailbox.org",
        address="https://dav.mailbox.org/",
        hint="Your address and password; with two-factor authentication, an application password:"
        " under Settings, Security.",
        help_url="https://kb.mailbox.org/en/private/e-mail/e-mail-configuration",
    ),
    Preset(
        key="zimbra",
        name="Zimbra",
        example="https://mail.example.com/dav/",
        hint="Your address and password; with two-factor authentication, an application passcode.",
    ),
    Preset(
        key="sogo",
        name="SOGo",
        example="https://mail.example.com/SOGo/dav/",
        hint="The user name and password of the web mail.",
    ),
    Preset(
        key="radicale",
        name="Radicale",
        example="https://dav.example.com/",
        hint="The user name and password that the server's operator gave you.",
    ),
    Preset(
        key="baikal",
        name="Baïkal",
        example="https://dav.example.com/dav.php/",
        hint="The user name and password that the server's operator gave you.",
    ),
    Preset(
        key="caldav",
        name="Another server",
        example="calendar.example.com",
        hint="The server's address, or your e-mail address. If the service has app passwords, make"
        " one and enter it.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Oddities:
    """What cannot be relied on at a server.

    `sync_tokens`: its sync-collection reports are honest. `zones`: it gives back events in local
    time. `checks_names`: `If-None-Match: *` protects what is there already.
    """

    sync_tokens: bool = True
    zones: bool = True
    checks_names: bool = True


_BY_HOST = {
    "calendar.yahoo.com": Oddities(sync_tokens=False, zones=False),
    "gmx.net": Oddities(sync_tokens=False),
    "gmx.com": Oddities(sync_tokens=False),
    "web.de": Oddities(sync_tokens=False),
    "posteo.de": Oddities(sync_tokens=False),
}
_BY_PATH = (
    (re.compile(r"/SOGo/dav/"), Oddities(sync_tokens=False, checks_names=False)),
    (re.compile(r"/caldav\.php/"), Oddities(sync_tokens=False)),
    # Zimbra: /dav/anna@example.com/Calendar
    (re.compile(r"^/dav/[^/]+(?:@|%40)[^/]+/"), Oddities(sync_tokens=False, checks_names=False)),
)


def oddities_of(url: str) -> Oddities:
    """What is odd about the server of a calendar, as its URL shows it."""
    host = host_of(url)
    for name, found in _BY_HOST.items():
        if host == name or host.endswith(f".{name}"):
            return found
    path = url.partition("://")[2].partition("/")[1:]
    for pattern, found in _BY_PATH:
        if pattern.search("".join(path)):
            return found
    return Oddities()
