"""What a person allowed an application: remembering it, and taking it back."""

import hashlib
from collections.abc import Iterable
from typing import Any

from django.db import transaction
from oauth2_provider.models import AccessToken, Application, Grant, RefreshToken

from providers.sandbox.models import Account, Consent


def digest(token: str) -> str:
    """The SHA-256 hex digest by which tokens and codes are looked up."""
    return hashlib.sha256(token.encode()).hexdigest()


def remember_consent(
    *, account: Account, application: Application, scopes: Iterable[str], offline: bool
) -> None:
    """Store that this person allowed these scopes, in addition to what was allowed before."""
    consent = Consent.objects.filter(account=account, application=application).first()
    before = consent.scopes.split() if consent else []
    Consent.objects.update_or_create(
        account=account,
        application=application,
        defaults={
            "scopes": " ".join(dict.fromkeys([*before, *scopes])),
            "offline": offline or bool(consent and consent.offline),
        },
    )


def end_grant(*, account: Account, application: Application) -> None:
    """Take back all this person gave this application: codes, tokens of both kinds, consent.

    Google ends the whole grant of the person to the client, whichever token is named.
    """
    with transaction.atomic():
        of_both: dict[str, Any] = {"user": account, "application": application}
        Grant.objects.filter(**of_both).delete()
        for token in RefreshToken.objects.filter(**of_both, revoked__isnull=True):
            token.revoke()
        AccessToken.objects.filter(**of_both).delete()
        Consent.objects.filter(account=account, application=application).delete()


def owner_of_token(token: str) -> tuple[Account, Application] | None:
    """Whose live access or refresh token this is, and which application holds it."""
    key = digest(token)
    for model, live in ((AccessToken, {}), (RefreshToken, {"revoked__isnull": True})):
        found = (
            model.objects.select_related("user", "application")
            .filter(token_checksum=key, **live)
            .first()
        )
        if found is not None and found.application is not None:
            return found.user, found.application
    return None


def put_client(
    *, client_id: str, client_secret: str, redirect_uris: Iterable[str], name: str = ""
) -> Application:
    """Create the client, or make it exactly this."""
    client, _created = Application.objects.update_or_create(
        client_id=client_id,
        defaults={
            "name": name or "Talkover calendars",
            "client_secret": client_secret,
            # Plain: a password hash at each token request would cost more than all the rest.
            "hash_client_secret": False,
            "client_type": Application.CLIENT_CONFIDENTIAL,
            "authorization_grant_type": Application.GRANT_AUTHORIZATION_CODE,
            "redirect_uris": " ".join(redirect_uris),
            "algorithm": Application.RS256_ALGORITHM,
        },
    )
    return client
