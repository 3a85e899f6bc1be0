"""Google Calendar: its endpoints, scopes and calls.

https://developers.google.com/identity/protocols/oauth2/web-server and
https://developers.google.com/workspace/calendar/api/v3/reference
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from providers.base import (
    Access,
    Account,
    Capability,
    Endpoints,
    EventQuery,
    Http,
    OAuth2Provider,
    RemoteCalendar,
    Response,
)
from providers.errors import AnswerTooLarge, CalendarNotFound, InvalidResponse, ScopeMissing
from providers.google import channels
from providers.google.calls import ask, entry_url, events_url, get
from providers.google.errors import WRITING_SCOPE, failure
from providers.google.page import Page
from providers.google.times import zone
from providers.google.wire import EVENT_FIELDS, CalendarEntry, CalendarList, Userinfo
from providers.google.writing import WritesGoogleEvents
from providers.watching import Channel, Notification, WatchesCalendars

_SCOPE = "https://www.googleapis.com/auth/"
# Which granted scope covers what reading needs:
# https://developers.google.com/workspace/calendar/api/auth
_COVERED_BY = {
    f"{_SCOPE}calendar.calendarlist.readonly": frozenset(
        f"{_SCOPE}{name}"
        for name in (
            "calendar.calendarlist.readonly",
            "calendar.calendarlist",
            "calendar.readonly",
            "calendar",
        )
    ),
    f"{_SCOPE}calendar.events.readonly": frozenset(
        f"{_SCOPE}{name}"
        for name in ("calendar.events.readonly", "calendar.events", "calendar.readonly", "calendar")
    ),
}
_WRITING = frozenset(
    f"{_SCOPE}{name}" for name in ("calendar.events", "calendar.events.owned", "calendar")
)
# How many events a page holds at most; the next of these when that is more than can be read. A page
# token is good for any of them.
_PAGE_SIZES = ("2500", "250", "25")
_MAX_CALENDAR_PAGES = 40  # of 250; nobody has ten thousand calendars, but a server can loop


class GoogleProvider(OAuth2Provider, WatchesCalendars, WritesGoogleEvents):
    """Google's OAuth 2.0 server and Calendar API v3.

    Only reading is asked for unless a configuration's own scopes name `write_scopes` too.
    """

    kind = "google"
    name = "Google Calendar"
    capabilities = frozenset(
        {
            Capability.CALENDARS_READ,
            Capability.EVENTS_READ,
            Capability.EVENTS_INCREMENTAL,
            Capability.EVENTS_WRITE,
            Capability.INVITATIONS,
            Capability.MEETINGS,
            Capability.PUSH,
        }
    )
    endpoints = Endpoints(
        authorization="https://accounts.google.com/o/oauth2/v2/auth",
        token="https://oauth2.googleapis.com/token",  # noqa: S106  (an address)
        revocation="https://oauth2.googleapis.com/revoke",
        userinfo="https://openidconnect.googleapis.com/v1/userinfo",
        api_root="https://www.googleapis.com/calendar/v3",
        issuer="https://accounts.google.com",
    )
    default_scopes: ClassVar[tuple[str, ...]] = ("openid", "email", *_COVERED_BY)
    write_scopes: ClassVar[tuple[str, ...]] = (WRITING_SCOPE,)

    def authorization_parameters(self, *, login_hint: str) -> Mapping[str, str]:
        """`offline` and the forced consent are what a refresh token takes:
        https://developers.google.com/identity/protocols/oauth2/web-server#offline
        """
        if login_hint:
            return {"access_type": "offline", "prompt": "consent", "login_hint": login_hint}
        return {"access_type": "offline", "prompt": "select_account consent"}

    def missing_scopes(self, granted: Collection[str]) -> tuple[str, ...]:
        """People can untick scopes one by one, and a wider scope may be granted instead:
        https://developers.google.com/identity/protocols/oauth2/resources/granular-permissions
        """
        return tuple(need for need, by in _COVERED_BY.items() if by.isdisjoint(granted))

    def missing_write_scopes(self, granted: Collection[str]) -> tuple[str, ...]:
        """The scopes that writing needs and `granted` does not imply. `calendar.events.owned` will
        do for the calendars that the account owns.
        """
        return self.write_scopes if _WRITING.isdisjoint(granted) else ()

    def fetch_account(self, http: Http, access: Access) -> Account:
        """The account of the token. Raises ScopeMissing when its e-mail address is not shown."""
        found = get(http, access.userinfo, {}, access.secret, Userinfo)
        if not found.sub:
            raise InvalidResponse("Google's userinfo names no account.")
        if not found.email:
            raise ScopeMissing("The grant does not show the e-mail address.", missing=("email",))
        verified = found.email_verified in {True, "true"}
        return Account(found.sub, found.email, verified, found.name)

    def fetch_calendar(self, http: Http, access: Access, calendar_id: str) -> RemoteCalendar:
        """An entry of the account's list; `primary` comes back with its real id."""
        url = entry_url(access, calendar_id)
        entry = get(http, url, {}, access.secret, CalendarEntry)
        if entry.deleted:
            raise CalendarNotFound("The calendar was removed from the account's list.")
        return _calendar(entry)

    def list_calendars(self, http: Http, access: Access) -> list[RemoteCalendar]:
        """All entries that the account has not hidden, the primary one first."""
        url = f"{access.address}/users/me/calendarList"
        entries: list[CalendarEntry] = []
        parameters = {"maxResults": "250"}
        for _ in range(_MAX_CALENDAR_PAGES):
            page = get(http, url, parameters, access.secret, CalendarList)
            entries += page.items
            if not page.next_page_token:
                break
            parameters["pageToken"] = page.next_page_token
        else:
            raise InvalidResponse("Google's list of calendars has no end.")
        entries.sort(key=lambda entry: not entry.primary)
        return [_calendar(entry) for entry in entries if not entry.deleted]

    def fetch_events(self, http: Http, access: Access, query: EventQuery) -> Page:
        """One page of occurrences; series come expanded. Every page of a listing must be asked for
        with the same window and cursor:
        https://developers.google.com/workspace/calendar/api/guides/sync
        """
        parameters = {"singleEvents": "true", "fields": EVENT_FIELDS}
        if query.cursor:
            parameters["syncToken"] = query.cursor  # time bounds beside it are refused
        else:
            parameters["timeMin"] = _rfc3339(query.window.start)
            parameters["timeMax"] = _rfc3339(query.window.end)
        if query.page_token:
            parameters["pageToken"] = query.page_token
        url = events_url(access, query.calendar_id)
        response = _fewer_at_once(http, url, parameters, access.secret)
        if response.status != 200:
            raise failure(response, resuming=bool(query.cursor or query.page_token))
        return Page(response.body, query)

    def watch(
        self,
        http: Http,
        access: Access,
        calendar_id: str,
        *,
        channel_id: str,
        channel_token: str,
        address: str,
        ttl: timedelta,
    ) -> Channel:
        """Watch the calendar's events. Google may shorten the life that is asked for."""
        url = f"{events_url(access, calendar_id)}/watch"
        wanted = channels.Wanted(
            id=channel_id,
            token=channel_token,
            address=address,
            params=channels.Parameters(ttl=str(int(ttl.total_seconds()))),
        )
        return channels.watch(http, url, access.secret, wanted)

    def stop(
        self,
        http: Http,
        access: Access,
        *,
        channel_id: str,
        resource_id: str,
    ) -> None:
        """Stop a channel; only the same account through the same client can."""
        url = f"{access.address}/channels/stop"
        channels.stop(
            http, url, access.secret, channels.Stopped(id=channel_id, resource_id=resource_id)
        )

    def read_notifications(self, headers: Mapping[str, str], body: bytes) -> list[Notification]:
        """Everything that Google says is in the `X-Goog-` headers; a post is one message."""
        del body
        notification = channels.read_notification(headers)
        return [] if notification is None else [notification]


def _fewer_at_once(http: Http, url: str, parameters: Mapping[str, str], token: str) -> Response:
    """A page as large as it may be. Long series with long descriptions, of which each occurrence
    has its copy, can make a full one larger than any answer that is read.
    """
    *first, last = _PAGE_SIZES
    for size in first:
        try:
            return ask(http, url, {**parameters, "maxResults": size}, token)
        except AnswerTooLarge:
            continue
    return ask(http, url, {**parameters, "maxResults": last}, token)


def _calendar(entry: CalendarEntry) -> RemoteCalendar:
    return RemoteCalendar(
        id=entry.id,
        name=entry.summary_override or entry.summary or entry.id,
        time_zone=entry.time_zone if zone(entry.time_zone) else "",
        access_role=entry.access_role,
        is_primary=entry.primary,
        color=entry.background_color,
    )


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
