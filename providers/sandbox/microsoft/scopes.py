"""The permissions the sandbox knows, as people see them on the consent page.

Names: Microsoft Graph permissions reference, delegated permissions. They may be asked for in full
(`https://graph.microsoft.com/…`) and in any case.
"""

from collections.abc import Iterable

GRAPH = "https://graph.microsoft.com/"
OFFLINE = "offline_access"
SIGN_IN_SCOPES = ("openid", "profile", "email", OFFLINE)

SCOPES = {
    "openid": "Sign you in",
    "profile": "View your basic profile",
    "email": "View your email address",
    OFFLINE: "Maintain access to data you have given it access to",
    "User.Read": "Sign you in and read your profile",
    "Calendars.ReadBasic": "Read basic details of events in your calendars",
    "Calendars.Read": "Read your calendars",
    "Calendars.ReadWrite": "Have full access to your calendars",
    "Calendars.Read.Shared": "Read calendars you can access",
    "Calendars.ReadWrite.Shared": "Read and write calendars you can access",
    "OnlineMeetings.ReadWrite": "Read and create your online meetings",
    "MailboxSettings.Read": "Read your mailbox settings",
}
_BY_LOWER_CASE = {name.lower(): name for name in SCOPES}

READ_PROFILE = frozenset({"User.Read"})
READ_SETTINGS = frozenset({"MailboxSettings.Read"})
WRITE_EVENTS = frozenset({"Calendars.ReadWrite", "Calendars.ReadWrite.Shared"})
READ_EVENTS = WRITE_EVENTS | {"Calendars.Read", "Calendars.Read.Shared"}
READ_CALENDARS = READ_EVENTS | {"Calendars.ReadBasic"}


def known(text: str) -> tuple[list[str], list[str]]:
    """The short names of a `scope` parameter, each once, and what is unknown."""
    names: list[str] = []
    unknown: list[str] = []
    for word in text.split():
        name = _BY_LOWER_CASE.get(word.lower().removeprefix(GRAPH))
        (unknown if name is None else names).append(name or word)
    return list(dict.fromkeys(names)), unknown


def answered(names: Iterable[str], *, in_full: bool) -> str:
    """The `scope` of a token response: Graph's permissions by URL or short, no offline_access."""
    return " ".join(
        GRAPH + name if in_full and name not in SIGN_IN_SCOPES else name
        for name in names
        if name != OFFLINE
    )
