"""What a person allowed an application: remembering it, and taking it back."""

import hashlib
from collections.abc import Iterable
from typing import Any

from django.db import transaction
from oauth2_provider.models import AccessToken, Application, Grant, RefreshToken

from providers.sandbox.models import Account, Consent, IdentityToken


def digest(token: str) -> str:
    """The SHA-256 hex digest by which tokens and codes are looked up."""
    return hashlib.sha256(token.encode()).hexdigest()


def remember_consent(
    *,
    account: Account,
    application: Application,
    scopes: Iterable[str],
    offline: bool,
    dialect: str = Consent.GOOGLE,
) -> None:
    """Store that this person allowed these scopes, in addition to what was allowed before."""
    of_all = {"account": account, "application": application, "dialect": dialect}
    consent = Consent.objects.filter(**of_all).first()
    before = consent.scopes.split() if consent else []
    Consent.objects.update_or_create(
        **of_all,
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
        _forget_consent(account, application, Consent.GOOGLE)


def end_identity_grant(*, account: Account, application: Application) -> None:
    """The same of Microsoft's: refresh tokens are remembered, to be refused as revoked ones."""
    with transaction.atomic():
        given = IdentityToken.objects.filter(account=account, application=application)
        given.exclude(kind=IdentityToken.REFRESH).delete()
        given.update(revoked=True)
        _forget_consent(account, application, Consent.MICROSOFT)


def end_consent(consent: Consent) -> None:
    """Take back what this person allowed in this dialect, and all that came of it."""
    end = end_grant if consent.dialect == Consent.GOOGLE else end_identity_grant
    end(account=consent.account, application=consent.application)


def owner_of_identity_token(token: str) -> Account | None:
    """Whose code, access token or refresh token of Microsoft's this is."""
    found = IdentityToken.objects.select_related("account").filter(digest=digest(token)).first()
    return found.account if found else None


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


def _forget_consent(account: Account, application: Application, dialect: str) -> None:
    Consent.objects.filter(account=account, application=application, dialect=dialect).delete()


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
