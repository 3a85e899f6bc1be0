"""Microsoft 365 and Outlook.com: endpoints, scopes and calls.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow and
https://learn.microsoft.com/graph/api/resources/calendar-overview
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode

from providers.base import (
    Access,
    Account,
    Capability,
    ClientRegistration,
    Endpoints,
    EventQuery,
    Http,
    OAuth2Provider,
    RemoteCalendar,
    Response,
    TokenSet,
)
from providers.errors import (
    AccountUnsuitable,
    AnswerTooLarge,
    CalendarForbidden,
    CursorExpired,
    InvalidResponse,
    ProviderError,
    ScopeMissing,
)
from providers.microsoft import authority, channels, identity, sign_in_errors, writing
from providers.microsoft.errors import failure
from providers.microsoft.graph import (
    MOST_AT_ONCE,
    calendar_path,
    check_link,
    event_path,
    get,
    get_each,
    is_own,
    send,
)
from providers.microsoft.page import Page
from providers.microsoft.wire import CalendarEntry, CalendarList, Profile
from providers.tenants import HasTenants
from providers.watching import Channel, Notification, WatchesCalendars
from providers.writing import EventChanges, EventDraft, WritesEvents, WrittenEvent

# Which granted permissions cover what reading needs:
# https://learn.microsoft.com/graph/permissions-reference
_COVERED_BY = {
    "User.Read": frozenset({"user.read", "user.readwrite"}),
    "Calendars.Read": frozenset(
        {"calendars.read", "calendars.readwrite", "calendars.read.shared",
         "calendars.readwrite.shared"}
    ),
}  # fmt: skip
_WRITING = frozenset({"calendars.readwrite", "calendars.readwrite.shared"})
# How many events a page holds at most; the next of these when that is more than can be read. Graph
# may give fewer, and a link is good for any of them.
_PAGE_SIZES = (500, 50, 5)
_MAX_CALENDAR_PAGES = 40
_CALENDAR_FIELDS = "id,name,hexColor,isDefaultCalendar,canEdit,canShare"
_COLOR = re.compile(r"#[0-9a-fA-F]{6}", re.ASCII)


class MicrosoftProvider(OAuth2Provider, HasTenants, WatchesCalendars, WritesEvents):
    """Microsoft's identity platform v2.0 and Graph v1.0.

    Only reading is asked for unless a configuration's own scopes name `write_scopes` instead.
    Without the capability `invitations`: Outlook tells attendees by itself.
    """

    kind = "microsoft"
    name = "Microsoft 365 and Outlook.com"
    # Graph repeats for hours what it gets no 2xx for, and who asks learns nothing from one status:
    # https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
    answers = (202, 202)
    # A sync sends one request after the other. One is left for whatever else asks the mailbox.
    syncs_per_account = MOST_AT_ONCE - 1
    capabilities = frozenset(
        {
            Capability.CALENDARS_READ,
            Capability.EVENTS_READ,
            Capability.EVENTS_INCREMENTAL,
            Capability.EVENTS_WRITE,
            Capability.MEETINGS,
            Capability.PUSH,
        }
    )
    endpoints = authority.endpoints_of("")
    default_scopes: ClassVar[tuple[str, ...]] = (
        "openid", "profile", "email", "offline_access", *_COVERED_BY
    )  # fmt: skip

    write_scopes: ClassVar[tuple[str, ...]] = ("Calendars.ReadWrite",)

    def check_tenant(self, tenant: str) -> str:
        """All accounts (`common`, or empty), some of them, or one organisation's."""
        return authority.check_tenant(tenant)

    def endpoints_for(self, tenant: str) -> Endpoints:
        """The tenant is part of the addresses of the identity platform."""
        return authority.endpoints_of(tenant)

    def authorization_parameters(self, *, login_hint: str) -> Mapping[str, str]:
        """Without a hint, the one who is signed in may not be the one who is meant."""
        if login_hint:
            return {"login_hint": login_hint}
        return {"prompt": "select_account"}

    def is_issuer(self, endpoints: Endpoints, iss: str) -> bool:
        """Of an authority for many the issuer is any tenant's, and the ID token says whose."""
        before, placeholder, after = endpoints.issuer.partition(authority.PLACEHOLDER)
        if not placeholder:
            return iss == endpoints.issuer
        tenant = iss.removeprefix(before).removesuffix(after)
        return iss == before + tenant + after and bool(authority.GUID.fullmatch(tenant))

    def missing_scopes(self, granted: Collection[str]) -> tuple[str, ...]:
        """Permissions come in short, or as `https://graph.microsoft.com/…`, in any case."""
        names = _names(granted)
        return tuple(need for need, by in _COVERED_BY.items() if by.isdisjoint(names))

    def missing_write_scopes(self, granted: Collection[str]) -> tuple[str, ...]:
        """The permission to write, unless `granted` implies it."""
        return self.write_scopes if _WRITING.isdisjoint(_names(granted)) else ()

    def read_refusal(
        self, grant: str, answer: Mapping[str, Any], endpoints: Endpoints
    ) -> ProviderError | None:
        """Microsoft says why in `suberror` and AADSTS numbers."""
        return sign_in_errors.read_refusal(grant, answer, endpoints)

    def read_answer_error(self, error: str, description: str) -> str:
        """`access_denied` can mean that only an administrator may consent."""
        return sign_in_errors.read_answer_error(error, description)

    def admin_consent_url(
        self, registration: ClientRegistration, *, redirect_uri: str, state: str
    ) -> str:
        """Where an administrator allows this application for everybody."""
        return authority.admin_consent_url(registration, redirect_uri=redirect_uri, state=state)

    def identify(self, http: Http, registration: ClientRegistration, tokens: TokenSet) -> Account:
        """Tenant and object of the ID token, and the rest of Graph's profile."""
        claims = identity.read_id_token(tokens.id_token, registration)
        account = self.fetch_account(http, registration.access(tokens.access_token))
        return Account(
            identity.subject_of(claims), account.email, account.email_verified, account.name
        )

    def fetch_account(self, http: Http, access: Access) -> Account:
        """The account; its `subject` is the object without the tenant (`identify` knows both).

        An address counts as verified when its domain is that of the sign-in name: an organisation
        has to prove a domain before people sign in with it, and may put any address beside it.
        Raises AccountUnsuitable for a guest, who has no mailbox where they are one.
        """
        fields = "id,displayName,mail,userPrincipalName,userType"
        found = get(http, access, f"{access.userinfo}?$select={fields}", Profile)
        if not found.id:
            raise InvalidResponse("Graph's profile names no account.")
        sign_in_name = found.user_principal_name or ""
        if found.user_type == "Guest" or "#ext#" in sign_in_name.lower():
            raise AccountUnsuitable("The account is a guest there.", code="guest_account")
        email = found.mail or sign_in_name
        return Account(
            subject=found.id,
            email=email,
            email_verified=bool(email) and _domain(email) == _domain(sign_in_name),
            name=found.display_name or "",
        )

    def fetch_calendar(self, http: Http, access: Access, calendar_id: str) -> RemoteCalendar:
        """One calendar; `primary` comes back with its real id."""
        url = f"{access.address}{calendar_path(calendar_id)}?$select={_CALENDAR_FIELDS}"
        try:
            return _calendar(get(http, access, url, CalendarEntry))
        except CalendarForbidden:
            _check_scope(http, access)
            raise

    def list_calendars(self, http: Http, access: Access) -> list[RemoteCalendar]:
        """All calendars that the account sees, shared ones too, the default one first."""
        url = f"{access.address}/me/calendars?$select={_CALENDAR_FIELDS}&$top=100"
        entries: list[CalendarEntry] = []
        for _ in range(_MAX_CALENDAR_PAGES):
            page = get(http, access, url, CalendarList)
            entries += page.value
            if not (url := check_link(access, page.next_link)):
                break
        else:
            raise InvalidResponse("Graph's list of calendars has no end.")
        entries.sort(key=lambda entry: not entry.is_default_calendar)
        return [_calendar(entry) for entry in entries]

    def fetch_events(self, http: Http, access: Access, query: EventQuery) -> Page:
        """One page of occurrences; series come expanded, and what an occurrence leaves out is
        fetched with it. A cursor is the whole delta link, and a page token the whole next link: the
        window is in them. https://learn.microsoft.com/graph/delta-query-events
        """
        link = query.page_token or query.cursor
        if link and not is_own(access, link):
            raise CursorExpired("The link does not lead to the configured Graph.")
        path = calendar_path(query.calendar_id)
        response = _fewer_at_once(http, access, link or _first(access, path, query))
        if response.status != 200:
            error = failure(response, resuming=bool(link))
            if isinstance(error, CalendarForbidden):
                _check_scope(http, access)
            raise error
        page = Page(response.body, query)
        check_link(access, page.next_page_token or page.next_cursor)
        if absent := page.absent_masters:
            paths = {key: event_path(query.calendar_id, key) for key in absent}
            page.add_masters(get_each(http, access, paths))
        return page

    def watch(
        self,
        http: Http,
        access: Access,
        calendar_id: str,
        *,
        channel_id: str,  # noqa: ARG002  the address has it, and Graph names its own
        channel_token: str,
        address: str,
        ttl: timedelta,
    ) -> Channel:
        """Subscribe to the calendar's events. Graph asks `address` for an answer meanwhile."""
        path = calendar_path(calendar_id)
        return channels.subscribe(
            http, access, path, address=address, client_state=channel_token, ttl=ttl
        )

    def renew(
        self,
        http: Http,
        access: Access,
        *,
        channel_id: str,  # noqa: ARG002
        resource_id: str,
        ttl: timedelta,
    ) -> Channel | None:
        """Prolong a subscription; None when it is gone."""
        return channels.renew(http, access, resource_id, ttl=ttl)

    def stop(self, http: Http, access: Access, *, channel_id: str, resource_id: str) -> None:  # noqa: ARG002
        """End a subscription of this account and application."""
        channels.unsubscribe(http, access, resource_id)

    def read_challenge(self, query: Mapping[str, str]) -> str:
        """Graph posts a token to an address that it is to use, and wants it back."""
        return channels.read_challenge(query)

    def read_notifications(self, headers: Mapping[str, str], body: bytes) -> list[Notification]:  # noqa: ARG002
        """What is in the body; each item proves itself by its own `clientState`."""
        return channels.read_notifications(body)

    def create_event(
        self, http: Http, access: Access, calendar_id: str, draft: EventDraft, *, notify: bool
    ) -> WrittenEvent:
        """Create an event; the same draft sent twice makes one."""
        return writing.create(http, access, calendar_id, draft, notify=notify)

    def read_written(
        self, http: Http, access: Access, calendar_id: str, event_id: str
    ) -> WrittenEvent:
        """The event as it is now."""
        return writing.read(http, access, calendar_id, event_id)

    def change_event(
        self,
        http: Http,
        access: Access,
        calendar_id: str,
        event_id: str,
        changes: EventChanges,
        *,
        etag: str,
        notify: bool,
    ) -> WrittenEvent:
        """Change what is given, unless the event has changed since `etag`."""
        return writing.change(
            http, access, calendar_id, event_id, changes, etag=etag, notify=notify
        )

    def delete_event(
        self,
        http: Http,
        access: Access,
        calendar_id: str,
        event_id: str,
        *,
        etag: str = "",
        notify: bool,
    ) -> None:
        """Delete an event; one that is gone is no error."""
        writing.delete(http, access, calendar_id, event_id, etag=etag, notify=notify)


def _first(access: Access, path: str, query: EventQuery) -> str:
    span = urlencode(
        {
            "startDateTime": _rfc3339(query.window.start),
            "endDateTime": _rfc3339(query.window.end),
        },
        safe=":",
    )
    return f"{access.address}{path}/calendarView/delta?{span}"


def _fewer_at_once(http: Http, access: Access, url: str) -> Response:
    """A page as large as it may be: bodies can make a full one larger than any answer that is
    read.
    """
    *first, last = (f"odata.maxpagesize={size}" for size in _PAGE_SIZES)
    for preference in first:
        try:
            return send(http, access, "GET", url, preferences=[preference])
        except AnswerTooLarge:
            continue
    return send(http, access, "GET", url, preferences=[last])


def _check_scope(http: Http, access: Access) -> None:
    """Raise ScopeMissing when the account's own calendar is closed to us, too: Graph has one code
    for a calendar that is not shared and for a permission that was not given.
    """
    response = send(http, access, "GET", f"{access.address}/me/calendar?$select=id")
    if response.status != 200 and isinstance(failure(response), CalendarForbidden):
        raise ScopeMissing("The grant does not cover calendars.", missing=("Calendars.Read",))


def _calendar(entry: CalendarEntry) -> RemoteCalendar:
    """Graph has no roles: who may share a calendar owns it, and no zone per calendar."""
    role = "owner" if entry.can_share else "writer" if entry.can_edit else "reader"
    color = entry.hex_color or ""
    return RemoteCalendar(
        id=entry.id,
        name=entry.name or entry.id,
        time_zone="",
        access_role=role,
        is_primary=bool(entry.is_default_calendar),
        color=color if _COLOR.fullmatch(color) else "",
    )


def _names(granted: Collection[str]) -> set[str]:
    return {scope.rpartition("/")[2].lower() for scope in granted}


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower()


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
