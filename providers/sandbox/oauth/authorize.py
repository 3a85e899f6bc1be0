"""The pages a person sees: choose an account, allow or refuse.

`GET /o/oauth2/v2/auth` → sign-in page → `/o/oauth2/v2/consent` → back to the client. Both pages
check the whole request again with the toolkit; nothing of it is taken from form fields.
"""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.views import View
from oauth2_provider.exceptions import OAuthToolkitError
from oauth2_provider.models import Application
from oauth2_provider.views.mixins import OAuthLibMixin
from oauthlib.oauth2.rfc6749 import errors

from providers.sandbox.models import Account, Consent
from providers.sandbox.oauth.grants import remember_consent
from providers.sandbox.oauth.scopes import SCOPES, SIGN_IN_SCOPES, canonical


class AuthorizationPage(OAuthLibMixin, View):
    """What both pages share: the checked request, and the way back to the client."""

    scopes: list[str]
    credentials: dict[str, Any]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Check the authorization request, then answer; errors go to the client or on a page."""
        try:
            scopes, self.credentials = self.validate_authorization_request(request)
            self.scopes = canonical(scopes)
            response = super().dispatch(request, *args, **kwargs)
        except OAuthToolkitError as error:
            response = self.refuse(request, error)
        add_never_cache_headers(response)
        return response

    @property
    def application(self) -> Application:
        """The client that asks."""
        return Application.objects.get(client_id=self.credentials["client_id"])

    @property
    def prompt(self) -> set[str]:
        """The `prompt` values: `none`, `consent`, `select_account`."""
        return set(self.request.GET.get("prompt", "").split())

    def refuse(self, request: HttpRequest, error: OAuthToolkitError) -> HttpResponse:
        """Back to the client with `error`; but never to a redirect URI that is not the client's."""
        redirect, details = self.error_response(error)
        if not redirect:
            problem = details["error"]
            reason = (
                "redirect_uri_mismatch"
                if "redirect" in str(problem.description).lower()
                else problem.error
            )
            context = {"reason": reason, "description": problem.description}
            return render(request, "sandbox/refused.html", context, status=400)
        return HttpResponseRedirect(
            with_parameters(details["url"], iss=settings.SANDBOX.public_url)
        )

    def fail(self, error: type[errors.OAuth2Error]) -> OAuthToolkitError:
        """An error that goes back to the client with its `state`."""
        problem = error(state=self.credentials.get("state"))
        return OAuthToolkitError(error=problem, redirect_uri=self.credentials["redirect_uri"])

    def give_code(self, account: Account, granted: list[str]) -> HttpResponse:
        """Remember the consent and send the browser back with `code`, `state`, `scope` and `iss`.

        Google gives a refresh token for `access_type=offline`, the first time or with forced
        consent.
        """
        offline = self.request.GET.get("access_type") == "offline"
        consent = self.consent_of(account)
        first = consent is None or not consent.offline
        remember_consent(
            account=account, application=self.application, scopes=granted, offline=offline
        )
        self.request.user = account  # the toolkit reads it from here
        url, _headers, _body, _status = self.create_authorization_response(
            request=self.request,
            scopes=" ".join(granted),
            credentials=self.credentials
            | {"gives_refresh_token": offline and (first or "consent" in self.prompt)},
            allow=True,
        )
        return HttpResponseRedirect(with_parameters(url, scope=" ".join(granted)))

    def consent_of(self, account: Account) -> Consent | None:
        """What this person allowed this client before."""
        return Consent.objects.filter(
            account=account, application=self.application, dialect=Consent.GOOGLE
        ).first()


class SignIn(AuthorizationPage):
    """Choose an account. `login_hint` (e-mail or `sub`) puts one first."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """The sign-in page; with `prompt=none` nobody is signed in, so `login_required`."""
        if "none" in self.prompt:
            raise self.fail(LoginRequired)
        hint = request.GET.get("login_hint", "")
        accounts = list(Account.objects.all())
        accounts.sort(key=lambda account: hint not in {account.email, account.sub})
        context = {"accounts": accounts, "hint": hint, "application": self.application}
        return render(request, "sandbox/sign_in.html", context)

    def post(self, request: HttpRequest) -> HttpResponse:
        """The account is chosen: on to the consent page."""
        account = get_object_or_404(Account, email=request.POST.get("account", ""))
        target = f"{reverse('consent')}?{request.GET.urlencode()}"
        return HttpResponseRedirect(with_parameters(target, authuser=account.email))


class ConsentPage(AuthorizationPage):
    """Allow or refuse, scope by scope (Google's granular consent)."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """The consent page, or straight back when all this was allowed before."""
        account = get_object_or_404(Account, email=request.GET.get("authuser", ""))
        consent = self.consent_of(account)
        if consent and "consent" not in self.prompt and self._covers(consent):
            return self.give_code(account, self._with_earlier(consent, self.scopes))
        context = {
            "application": self.application,
            "account": account,
            "always": [SCOPES[scope] for scope in self.scopes if scope in SIGN_IN_SCOPES],
            "choices": [(s, SCOPES[s]) for s in self.scopes if s not in SIGN_IN_SCOPES],
            "change_account": f"{reverse('authorize')}?{request.GET.urlencode()}",
        }
        return render(request, "sandbox/consent.html", context)

    def post(self, request: HttpRequest) -> HttpResponse:
        """`decision=allow` with the ticked `granted_scope`s, anything else refuses."""
        account = get_object_or_404(Account, email=request.GET.get("authuser", ""))
        ticked = set(request.POST.getlist("granted_scope"))
        granted = [s for s in self.scopes if s in SIGN_IN_SCOPES or s in ticked]
        if request.POST.get("decision") != "allow" or not granted:
            raise self.fail(errors.AccessDeniedError)
        return self.give_code(account, self._with_earlier(self.consent_of(account), granted))

    def _covers(self, consent: Consent) -> bool:
        offline = self.request.GET.get("access_type") == "offline"
        return set(self.scopes) <= set(consent.scopes.split()) and (consent.offline or not offline)

    def _with_earlier(self, consent: Consent | None, granted: list[str]) -> list[str]:
        if consent and self.request.GET.get("include_granted_scopes") == "true":
            return list(dict.fromkeys([*granted, *consent.scopes.split()]))
        return granted


class LoginRequired(errors.OAuth2Error):
    """`prompt=none`, but somebody has to choose an account (OpenID Connect Core 3.1.2.6)."""

    error = "login_required"


def with_parameters(url: str, **parameters: str) -> str:
    """The URL with these query parameters set, each once."""
    parts = urlsplit(url)
    kept = [
        (k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if k not in parameters
    ]
    return urlunsplit(
        (parts.scheme, parts.netloc, parts.path, urlencode([*kept, *parameters.items()]), "")
    )
