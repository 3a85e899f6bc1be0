"""What can go wrong with a provider, as types. The type decides what happens to the connection.

Every error carries a `code` (documented, stable, shown in the API and at the redirect URI) and a
`detail` for operators. A detail never holds a secret, a URL's query, or text of the provider that
was not shortened and stripped of control characters (see `providers.http.clean_text`).
"""

from __future__ import annotations


class ProviderError(Exception):
    """Base of all. `permanent` says that trying again by itself cannot help.

    `retry_after` is in seconds from now, None when the provider did not say.
    """

    code = "provider_error"
    permanent = False

    def __init__(
        self, detail: str = "", *, code: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(detail or self.code)
        self.detail = detail
        self.retry_after = retry_after
        if code is not None:
            self.code = code


class ProviderUnavailable(ProviderError):
    """Network failure, time-out, 5xx, or an answer that is not of the protocol. Try again later."""

    code = "provider_unavailable"


class AnswerLost(ProviderUnavailable):
    """The request went out and no whole answer came: it may have been carried out or not."""


class InvalidResponse(ProviderUnavailable):
    """The provider answered, but not with what its protocol promises (HTML, nothing, too much)."""

    code = "provider_invalid_response"


class AnswerTooLarge(InvalidResponse):
    """More bytes than are read. Asking for less at once may help."""


class AddressBlocked(ProviderError):
    """A URL, or an address its host resolves to, that this deployment does not talk to."""

    code = "address_blocked"
    permanent = True


class RateLimited(ProviderError):
    """The provider's limit: wait `retry_after` seconds, or back off when it is None."""

    code = "rate_limited"


class QuotaExceeded(RateLimited):
    """A daily or abuse limit: hours, not seconds."""

    code = "quota_exceeded"


class AccessTokenRejected(ProviderError):
    """The API answered 401. Refresh once and repeat; only a refused refresh proves a revocation."""

    code = "access_token_rejected"


class AuthorizationRevoked(ProviderError):
    """The grant is gone (`invalid_grant` on refresh, RFC 6749 section 5.2): reconnect."""

    code = "authorization_revoked"
    permanent = True


class CredentialsRejected(ProviderError):
    """The server refuses the user name or the password that a person has just entered."""

    code = "credentials_rejected"
    permanent = True


class NotACalendar(ProviderError):
    """What answers at the address that a person entered is no calendar and no calendar server."""

    code = "not_a_calendar"
    permanent = True


class FeedTooLarge(ProviderError):
    """A feed beyond the limits on its size or its number of events."""

    code = "feed_too_large"
    permanent = True


class OtherHost(ProviderError):
    """The server refers to another host, which does not get the password that was meant for it."""

    code = "other_host"
    permanent = True


class CertificateInvalid(ProviderUnavailable):
    """The server's certificate ran out, is another host's, or is signed by nobody known."""

    code = "certificate_invalid"


class NoCalendars(ProviderError):
    """The account was reached, and has no calendar of events."""

    code = "no_calendars"
    permanent = True


class CodeRejected(ProviderError):
    """The token endpoint refused the authorization code (`invalid_grant` on exchange)."""

    code = "code_rejected"
    permanent = True


class IssuerMismatch(ProviderError):
    """The authorization response does not name the issuer it should (RFC 9207 section 2.4)."""

    code = "issuer_mismatch"
    permanent = True


class PolicyRefused(ProviderError):
    """An administrator's policy at the provider forbids the grant; reconnecting does not help."""

    code = "refused_by_policy"
    permanent = True


class ScopeMissing(ProviderError):
    """The grant does not cover what is needed. `missing` names the scopes."""

    code = "scope_missing"
    permanent = True

    def __init__(self, detail: str = "", *, missing: tuple[str, ...] = ()) -> None:
        super().__init__(detail)
        self.missing = missing


class CalendarNotFound(ProviderError):
    """The chosen calendar does not exist at the provider, or is not visible to this account."""

    code = "calendar_not_found"
    permanent = True


class CalendarForbidden(ProviderError):
    """The account may not read the chosen calendar."""

    code = "calendar_forbidden"
    permanent = True


class AccountUnsuitable(ProviderError):
    """The account has no calendars that could be read: it is of the wrong kind, a guest, without a
    mailbox, or without the provider's calendar. `code` says which.
    """

    code = "account_type_refused"
    permanent = True


class CursorExpired(ProviderError):
    """The sync token is no longer valid (Google: 410 fullSyncRequired): list everything again."""

    code = "cursor_expired"


class WatchRefused(ProviderError):
    """The provider sends no notifications about this calendar, or not to our address: poll it."""

    code = "watch_refused"
    permanent = True


class Misconfigured(ProviderError):
    """Our registration at the provider is wrong (client id, secret, redirect URI, API disabled).

    It concerns the operator: the configuration is paused, and no person's connection changes.
    """

    code = "provider_misconfigured"
    permanent = True


class RequestRefused(ProviderError):
    """The provider refused a well-formed request for a reason no retry mends (other 4xx)."""

    code = "provider_refused"
    permanent = True


class CalendarReadOnly(ProviderError):
    """The account may read the calendar, but not write in it."""

    code = "calendar_read_only"
    permanent = True


class EventChanged(ProviderError):
    """The event is not what it was when it was read (a precondition): nothing was written."""

    code = "event_changed"
    permanent = True


class EventNotFound(ProviderError):
    """The event does not exist at the provider, or no longer."""

    code = "event_not_found"
    permanent = True


class UnsupportedRecurrence(ProviderError):
    """The provider cannot repeat an event in this way; the detail says what it cannot do."""

    code = "recurrence_unsupported"
    permanent = True


class MeetingUnavailable(ProviderError):
    """The account has no meetings to make a link of, or this meeting cannot be changed so."""

    code = "meeting_unavailable"
    permanent = True


class NotificationUnavoidable(ProviderError):
    """The provider tells attendees by itself, and they were not to be told: nothing was written."""

    code = "notification_unavoidable"
    permanent = True
