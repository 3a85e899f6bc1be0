"""CalDAV: calendars at any server that speaks it (RFC 4791), with a user name and a password."""

from __future__ import annotations

from functools import cache, partial
from typing import ClassVar

from providers.base import (
    Access,
    Account,
    Capability,
    CredentialProvider,
    EventQuery,
    Http,
    InvalidEvent,
    Preset,
    RemoteCalendar,
    RemoteObject,
    Window,
)
from providers.caldav import calendars, editing, urls
from providers.caldav.collection import Body, CalendarCollection
from providers.caldav.discovery import (
    Principal,
    find_principal,
    read_principal,
    starting_points,
)
from providers.caldav.listing import Page, Reader, list_page
from providers.caldav.presets import PRESETS, oddities_of
from providers.caldav.session import Session
from providers.caldav.writing import Writer
from providers.errors import (
    AccessTokenRejected,
    AddressBlocked,
    CredentialsRejected,
    EventNotFound,
    OtherHost,
)
from providers.ical.reader import read_resource, split_id
from providers.writing import EventChanges, EventDraft, WritesEvents, WrittenEvent


class CalDavProvider(CredentialProvider, WritesEvents):
    """A server is given by what a person enters; nothing but that is known of it beforehand."""

    kind = "caldav"
    name = "CalDAV"
    capabilities = frozenset(
        {
            Capability.CALENDARS_READ,
            Capability.EVENTS_READ,
            Capability.EVENTS_INCREMENTAL,
            Capability.EVENTS_WRITE,
        }
    )
    presets: ClassVar[tuple[Preset, ...]] = PRESETS
    asks_for: ClassVar[tuple[str, ...]] = ("address", "user", "secret")

    def sign_in(self, http: Http, *, address: str, user: str, secret: str) -> Access:
        """Find the account of these credentials. Raises CredentialsRejected, NotACalendar,
        OtherHost, CertificateInvalid, AddressBlocked and the errors of `providers.http`.
        """
        user = user.strip()
        try:
            principal = _find(http, address=address, user=user, secret=secret)
        except AddressBlocked:
            scheme, separator, rest = address.strip().partition("://")
            if scheme.lower() != "http":
                raise
            # Typed out of habit: where http is not allowed, the same place may be on https.
            address = f"https{separator}{rest}"
            principal = _find(http, address=address, user=user, secret=secret)
        for home in principal.homes:
            if not urls.may_know_password(principal.url, home):
                raise OtherHost("The account's calendars are on another host.")
        return Access(address=principal.url, user=user, secret=secret)

    def fetch_account(self, http: Http, access: Access) -> Account:
        """The account by its principal's URL. Nobody has verified its e-mail address: a server can
        say what it likes.
        """
        found = read_principal(Session.of(http, access), access.address)
        [email, *_] = [*addresses_of(found, access), ""]
        return Account(access.address, email, email_verified=False, name=found.name)

    def list_calendars(self, http: Http, access: Access) -> list[RemoteCalendar]:
        session = Session.of(http, access)
        return calendars.list_calendars(session, read_principal(session, access.address))

    def fetch_calendar(self, http: Http, access: Access, calendar_id: str) -> RemoteCalendar:
        session = Session.of(http, access)
        principal = read_principal(session, access.address)
        return calendars.fetch_calendar(session, principal, calendar_id)

    def fetch_events(self, http: Http, access: Access, query: EventQuery) -> Page:
        """One page of objects; `providers.caldav.listing` says how. Raises CursorExpired,
        CalendarNotFound, CalendarForbidden, AccessTokenRejected, RateLimited and the errors of
        `providers.http`.
        """
        session = Session.of(http, access)
        collection = CalendarCollection(session, query.calendar_id)
        return list_page(collection, query, partial(_reader, session, access, query.window))

    def create_event(
        self, http: Http, access: Access, calendar_id: str, draft: EventDraft, *, notify: bool
    ) -> WrittenEvent:
        """The draft's id is the object's name and UID: sent twice, it is there already."""
        writer = _writer(http, access, calendar_id)
        text = editing.drafted(draft, oddities=oddities_of(calendar_id))
        body = writer.create(f"{draft.id}.ics", text, notify=notify)
        return editing.written(body.href, body)

    def read_written(
        self, http: Http, access: Access, calendar_id: str, event_id: str
    ) -> WrittenEvent:
        writer = _writer(http, access, calendar_id)
        object_id, key = split_id(event_id)
        body = writer.read(object_id)
        editing.check_occurs(body, event_id, key, zone=writer.time_zone())
        return editing.written(event_id, body)

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
        """The stored text is edited: what is not ours to know stays. Raises as WritesEvents says,
        and NotificationUnavoidable.
        """
        writer = _writer(http, access, calendar_id)
        object_id, key = split_id(event_id)
        body = writer.read(object_id)
        writer.check(body, etag)
        zone, oddities = writer.time_zone(), oddities_of(calendar_id)
        editing.check_occurs(body, event_id, key, zone=zone)
        text = editing.changed(body, key, changes, zone=zone, oddities=oddities)
        return editing.written(event_id, writer.replace(object_id, body, text, notify=notify))

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
        """Of a series, an occurrence becomes an exception; the object goes with its own id."""
        writer = _writer(http, access, calendar_id)
        object_id, key = split_id(event_id)
        try:
            body = writer.read(object_id)
            zone = writer.time_zone()
            editing.check_occurs(body, event_id, key, zone=zone)
        except EventNotFound:
            return
        writer.check(body, etag)
        if key is None:
            writer.delete(object_id, body, notify=notify)
        else:
            text = editing.without(body, key, zone=zone)
            writer.replace(object_id, body, text, notify=notify)


def _find(http: Http, *, address: str, user: str, secret: str) -> Principal:
    points = list(dict.fromkeys(starting_points(address, user)))
    session = Session(http, home=points[0], user=user, secret=secret)
    url = find_principal(session, iter(points))
    try:
        return read_principal(session, url)
    except AccessTokenRejected as error:
        raise CredentialsRejected(error.detail) from None


def _reader(session: Session, access: Access, window: Window, zone: str) -> Reader:
    """Reads objects; whose calendar it is is asked for once, when somebody is invited."""

    @cache
    def own_addresses() -> frozenset[str]:
        return frozenset(addresses_of(read_principal(session, access.address), access))

    def read(object_id: str, body: Body) -> RemoteObject | InvalidEvent:
        return read_resource(
            object_id,
            body.etag,
            body.text,
            window=window,
            default_zone=zone,
            own_addresses=own_addresses() if "ATTENDEE" in body.text.upper() else (),
        )

    return read


def _writer(http: Http, access: Access, calendar_id: str) -> Writer:
    session = Session.of(http, access)

    @cache
    def addresses() -> tuple[str, ...]:
        principal = read_principal(session, access.address)
        mail = [f"mailto:{address}" for address in addresses_of(principal, access)]
        others = [urls.resolve(principal.url, address) for address in principal.addresses]
        return (*mail, *principal.addresses, *others)

    return Writer(CalendarCollection(session, calendar_id), addresses)


def addresses_of(principal: Principal, access: Access) -> list[str]:
    """The account's e-mail addresses, the main one first."""
    known = [*principal.emails, access.user] if "@" in access.user else principal.emails
    return list(dict.fromkeys(address.lower() for address in known))
