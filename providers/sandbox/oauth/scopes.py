"""The scopes the sandbox knows: the sign-in scopes and all of Google Calendar's.

Names and descriptions: discovery document of Calendar API v3, `auth.oauth2.scopes`.
"""

from collections.abc import Iterable

GOOGLE = "https://www.googleapis.com/auth/"
OPENID = "openid"
EMAIL = GOOGLE + "userinfo.email"
PROFILE = GOOGLE + "userinfo.profile"

# The short names are accepted; what is granted and answered is the long one, as Google does.
_LONG_NAME = {"email": EMAIL, "profile": PROFILE}

SIGN_IN_SCOPES = (OPENID, EMAIL, PROFILE)

CALENDAR_SCOPES = {
    GOOGLE + name: description
    for name, description in {
        "calendar": "See, edit, share, and permanently delete all the calendars you can access",
        "calendar.readonly": "See and download any calendar you can access",
        "calendar.acls": "See and change the sharing permissions of calendars you own",
        "calendar.acls.readonly": "See the sharing permissions of calendars you own",
        "calendar.app.created": "Make secondary calendars, and change events on them",
        "calendar.calendarlist": "See, add, and remove calendars you’re subscribed to",
        "calendar.calendarlist.readonly": "See the list of calendars you’re subscribed to",
        "calendar.calendars": "See and change the properties of calendars you have access to",
        "calendar.calendars.readonly": "See the properties of calendars you have access to",
        "calendar.events": "View and edit events on all your calendars",
        "calendar.events.readonly": "View events on all your calendars",
        "calendar.events.owned": "See, create, change, and delete events on calendars you own",
        "calendar.events.owned.readonly": "See the events on calendars you own",
        "calendar.events.public.readonly": "See the events on public calendars",
        "calendar.events.freebusy": "See the availability on calendars you have access to",
        "calendar.freebusy": "View your availability in your calendars",
        "calendar.settings": "View and edit your calendar settings",
        "calendar.settings.readonly": "View your calendar settings",
    }.items()
}

SCOPES = {
    OPENID: "Know who you are on the sandbox",
    "email": "See your e-mail address",
    "profile": "See your name",
    EMAIL: "See your e-mail address",
    PROFILE: "See your name",
    **CALENDAR_SCOPES,
}


def canonical(scopes: Iterable[str]) -> list[str]:
    """The long names, each once, in the given order."""
    return list(dict.fromkeys(_LONG_NAME.get(scope, scope) for scope in scopes))


def named(*names: str) -> frozenset[str]:
    """Full scope URLs for Google's short names, e.g. `named("calendar.events")`."""
    return frozenset(GOOGLE + name for name in names)
