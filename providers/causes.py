"""Every error code a connection can show, in words: what happened, and what mends it.

The codes are stable: they stand in the API's `last_error`, at the redirect URI and on our pages.
docs/errors.md lists them, and a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cause:
    """`cause` is for people, one sentence; `remedy` says who does what."""

    cause: str
    remedy: str


CAUSES: dict[str, Cause] = {
    # The person, at the provider
    "access_denied": Cause(
        "Access was declined on the provider's page.",
        "Connect again and choose Allow.",
    ),
    "scope_missing": Cause(
        "The permission to read the calendar was not given.",
        "Connect again and leave the boxes for calendars and events ticked.",
    ),
    "account_mismatch": Cause(
        "Another account was chosen than the one expected.",
        "Connect again and choose the expected account.",
    ),
    "already_connected": Cause(
        "This account's calendar is connected here already.",
        "Use the existing connection, or disconnect it first.",
    ),
    "credentials_rejected": Cause(
        "The server does not accept the user name or the password.",
        "Check both; many services want an app password, made in the account's security settings.",
    ),
    "not_a_calendar": Cause(
        "There is no calendar at this address.",
        "Enter the calendar server's address, or the feed's, as the service shows it.",
    ),
    "feed_too_large": Cause(
        "The calendar feed is larger than what is read (25 MB, or 25,000 entries).",
        "Publish a smaller one, for example without past years, and connect that.",
    ),
    "other_host": Cause(
        "The server refers to another host, which is not given the password unasked.",
        "Enter the address of the calendars' own host, as the service documents it.",
    ),
    "certificate_invalid": Cause(
        "The server's certificate is not valid, so the connection to it would not be safe.",
        "Check the address; otherwise the server's operator has to renew the certificate.",
    ),
    "no_calendars": Cause(
        "The account has no calendar.",
        "Make one at the service, or enter another account.",
    ),
    "too_many_tries": Cause(
        "Wrong credentials were entered too often.",
        "Start again in the application, with the right ones at hand.",
    ),
    "refused_by_policy": Cause(
        "The organisation's rules at the provider do not allow this connection.",
        "Ask the administrator of the account to allow this application.",
    ),
    "calendar_not_found": Cause(
        "The chosen calendar does not exist, or the account cannot see it.",
        "Choose another calendar of this account, or connect again with one.",
    ),
    "calendar_forbidden": Cause(
        "The account may not read the chosen calendar's events.",
        "Ask the calendar's owner to share its events, or choose another; then connect again.",
    ),
    "admin_consent_required": Cause(
        "In this organisation only an administrator can allow this application.",
        "Send the organisation's administrator the consent link; afterwards connect again.",
    ),
    "consent_required": Cause(
        "The provider wants the permissions to be confirmed again.",
        "Connect again and accept the permissions.",
    ),
    "interaction_required": Cause(
        "The organisation asks for a fresh sign-in, such as with a second factor.",
        "Connect again and finish every step of signing in.",
    ),
    "account_type_refused": Cause(
        "Accounts of this kind, or of this organisation, cannot be connected here.",
        "Connect again with another account: personal, or of the organisation that was meant.",
    ),
    "guest_account": Cause(
        "The account is only a guest in this organisation and has no calendar there.",
        "Connect again with an account of the organisation, or through the guest's own one.",
    ),
    "mailbox_missing": Cause(
        "The account has no mailbox at the provider, and so no calendar.",
        "Ask the administrator for a mailbox (a licence for Exchange Online), then connect again.",
    ),
    "calendar_service_off": Cause(
        "The account does not use the provider's calendar.",
        "Open the calendar there once, or ask the account's administrator to turn it on; then"
        " connect again.",
    ),
    # The handshake
    "invalid_request": Cause(
        "The answer of the provider's page was incomplete or damaged.",
        "Start again.",
    ),
    "request_unknown": Cause(
        "This authorization is not known here.",
        "Start again; open the newest link only.",
    ),
    "request_used": Cause(
        "This authorization was finished before.",
        "Look whether the connection is active; otherwise start again.",
    ),
    "request_expired": Cause(
        "The authorization was not finished in time.",
        "Start again; a link is good for ten minutes.",
    ),
    "opened_elsewhere": Cause(
        "This link was opened in two browsers, so neither is believed.",
        "Start again in the application, and open the new link yourself.",
    ),
    "browser_mismatch": Cause(
        "The answer came from another browser than the one that started.",
        "Start again, and stay in one browser until it is done.",
    ),
    "result_code_invalid": Cause(
        "Nothing of this connection waits for this confirmation, or no longer.",
        "Start again; a result code is good once, for five minutes.",
    ),
    "session_mismatch": Cause(
        "Another person is signed in than the one who started.",
        "Sign in as the person who started, and start again.",
    ),
    "issuer_mismatch": Cause(
        "The answer came from another provider than the one asked.",
        "Start again; if it happens twice, tell the operator.",
    ),
    "code_rejected": Cause(
        "The provider did not accept its own authorization code.",
        "Start again.",
    ),
    "refresh_token_missing": Cause(
        "The provider gave no lasting access.",
        "Remove this application in the account's security settings, then connect again.",
    ),
    "identity_missing": Cause(
        "The provider did not say whose account it is.",
        "Connect again; if it happens twice, tell the operator.",
    ),
    "connection_removed": Cause(
        "The connection or its calendar was removed meanwhile.",
        "Connect again if it is still wanted.",
    ),
    # The life of a connection
    "authorization_revoked": Cause(
        "The account's owner, or the provider, has ended the access.",
        "Reconnect: the person authorises again, and the events stay.",
    ),
    "suddenly_empty": Cause(
        "The provider suddenly lists no events at all; the known ones were kept.",
        "Nothing to do if the calendar was emptied on purpose: it is believed after some time.",
    ),
    "suddenly_shrunk": Cause(
        "The provider suddenly lists far fewer events than before; the known ones were kept.",
        "Nothing to do if they were deleted on purpose: it is believed after some time.",
    ),
    # The provider
    "provider_unavailable": Cause(
        "The provider could not be reached.",
        "Nothing to do: it is tried again by itself. If connecting, try again in some minutes.",
    ),
    "provider_invalid_response": Cause(
        "The provider answered with something unreadable.",
        "Nothing to do: it is tried again by itself. If connecting, try again in some minutes.",
    ),
    "refresh_in_progress": Cause(
        "The access is just being renewed.",
        "Nothing to do: it is tried again by itself.",
    ),
    "access_token_rejected": Cause(
        "The provider refuses an access token it has just issued.",
        "It is tried again by itself; if it lasts, reconnect.",
    ),
    "rate_limited": Cause(
        "The provider asks for a pause.",
        "Nothing to do: it goes on by itself after the pause.",
    ),
    "quota_exceeded": Cause(
        "The provider's quota is used up for now.",
        "It goes on by itself; the operator can ask the provider for more quota.",
    ),
    "cursor_expired": Cause(
        "The provider has lost track of what was synced.",
        "Nothing to do: everything is listed once more.",
    ),
    "watch_refused": Cause(
        "The provider sends no notifications about this calendar.",
        "Nothing to do: it is asked for changes at intervals.",
    ),
    "listing_loops": Cause(
        "The provider's listing does not end.",
        "It is tried again by itself; if it lasts, tell the operator.",
    ),
    "abandoned": Cause(
        "The sync was not finished and was given up.",
        "Nothing to do: it starts anew by itself.",
    ),
    "provider_refused": Cause(
        "The provider refused the request.",
        "It is tried again by itself; if it lasts, tell the operator.",
    ),
    # Writing events
    "calendar_read_only": Cause(
        "The account may only read this calendar.",
        "Ask the calendar's owner for the right to change it, or choose another calendar.",
    ),
    "event_changed": Cause(
        "The event was changed at the provider meanwhile.",
        "Read it again, and repeat the change if it is still wanted.",
    ),
    "event_not_found": Cause(
        "The event does not exist at the provider any more.",
        "Nothing to do, unless it was deleted by mistake.",
    ),
    "recurrence_unsupported": Cause(
        "The provider cannot repeat an event in this way.",
        "Choose another rule, or make single events.",
    ),
    "meeting_unavailable": Cause(
        "The account has no online meetings, or this one cannot be changed so.",
        "Write the event without asking for a meeting.",
    ),
    "notification_unavoidable": Cause(
        "The provider would tell the attendees, and they were not to be told.",
        "Allow notifications, or write the event without attendees.",
    ),
    # The operator
    "provider_misconfigured": Cause(
        "This service is not registered correctly at the provider.",
        "Tell the operator: client id, secret, redirect URI or API access need mending.",
    ),
    "address_blocked": Cause(
        "The provider's address is not one this service may talk to.",
        "Tell the operator: see OUTBOUND_ALLOWED_HOSTS and OUTBOUND_ALLOWED_NETWORKS.",
    ),
    "credentials_unreadable": Cause(
        "The stored credentials cannot be read with the present keys.",
        "Tell the operator: see CREDENTIAL_KEYS. The connection itself is fine.",
    ),
    "internal_error": Cause(
        "Something failed on our side.",
        "It is tried again by itself; if it lasts, tell the operator.",
    ),
    "provider_error": Cause(
        "The provider reported an error.",
        "It is tried again by itself; if it lasts, tell the operator.",
    ),
}


def explain(code: str) -> Cause:
    """The words for a code; a code without words of its own reads as a provider error."""
    return CAUSES.get(code, CAUSES["provider_error"])
