"""The pages a person sees: choose an account, accept or cancel.

`{tenant}/oauth2/v2.0/authorize` → sign-in page → `…/consent` → back to the client. Both pages check
the whole request again. One consent for all permissions: there are no check boxes.
"""

from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.views import View
from oauth2_provider.models import Application

from providers.sandbox import switches
from providers.sandbox.microsoft import aad, tenants
from providers.sandbox.microsoft.aad import AadError
from providers.sandbox.microsoft.scopes import SCOPES, known
from providers.sandbox.microsoft.tokens import CODE_LIFE, give
from providers.sandbox.models import Account, Consent, IdentityToken
from providers.sandbox.oauth.grants import remember_consent


class NoWayBack(Exception):
    """The request cannot be sent back to the client: its text is shown to the person."""

    def __init__(self, error: AadError) -> None:
        super().__init__(error.description)
        self.error = error


class AuthorizationPage(View):
    """What all pages share: the checked request, and the way back to the client."""

    tenant: str
    application: Application
    scopes: list[str]

    def dispatch(self, request: HttpRequest, *_args: Any, **kwargs: Any) -> HttpResponse:
        """Check the request, then answer; errors go to the client, or on a page."""
        try:
            self._check_client(kwargs.pop("tenant"))
            try:
                self.check()
                response = HttpResponse(status=405)
                if request.method in {"GET", "POST"}:
                    response = getattr(self, request.method.lower())(request)
            except AadError as error:
                response = self.back(error=error.error, error_description=error.description)
        except NoWayBack as problem:
            context = {"reason": f"AADSTS{problem.error.number}", "description": str(problem)}
            response = render(request, "sandbox/refused.html", context, status=400)
        add_never_cache_headers(response)
        return response

    def check(self) -> None:
        """Raise AadError for a request that goes back to the client."""
        query = self.request.GET
        if query.get("response_type") != "code":
            message = "The response_type is not supported: only 'code' is."
            raise AadError("unsupported_response_type", 700054, message)
        if query.get("response_mode", "query") not in {"query", "fragment"}:
            raise AadError("invalid_request", 70007, "The response_mode is not supported.")
        if query.get("code_challenge_method", "plain") not in {"plain", "S256"}:
            raise AadError("invalid_request", 501491, "Invalid size of Code_Challenge parameter.")
        self.scopes = self._wanted("scope")

    def back(self, **parameters: str) -> HttpResponse:
        """Send the browser back to the client, with its `state`."""
        query = self.request.GET
        given = parameters | ({"state": query["state"]} if "state" in query else {})
        parts, text = urlsplit(query["redirect_uri"]), urlencode(given)
        if query.get("response_mode") == "fragment":
            return HttpResponseRedirect(urlunsplit((*parts[:4], text)))
        kept = f"{parts.query}&{text}" if parts.query else text
        return HttpResponseRedirect(urlunsplit((*parts[:3], kept, "")))

    def to_page(self, name: str, **parameters: str) -> str:
        """The address of another page of the same request."""
        query = self.request.GET.copy()
        for key, value in parameters.items():
            query[key] = value
        return f"{reverse(name, args=[self.tenant])}?{query.urlencode()}"

    def _wanted(self, name: str) -> list[str]:
        names, unknown = known(self.request.GET.get(name, ""))
        if unknown:
            message = f"The scope '{unknown[0]}' doesn't exist or isn't supported."
            raise AadError("invalid_scope", 70011, message)
        if not names:
            raise aad.missing(name)
        return names

    def _check_client(self, tenant: str) -> None:
        query, found = self.request.GET, tenants.tenant_called(tenant)
        if found is None:
            raise NoWayBack(aad.unknown_tenant(tenant))
        self.tenant = found
        client_id = query.get("client_id", "")
        application = Application.objects.filter(client_id=client_id).first()
        if application is None:
            raise NoWayBack(aad.unknown_client(client_id))
        if query.get("redirect_uri") not in application.redirect_uris.split():
            message = "The redirect URI specified in the request does not match the redirect URIs "
            message += "configured for the application."
            raise NoWayBack(AadError("invalid_request", 50011, message))
        self.application = application


class SignIn(AuthorizationPage):
    """Choose an account of this tenant. `login_hint` (e-mail) puts one first."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """The sign-in page; with `prompt=none` nobody is signed in, so `login_required`."""
        if request.GET.get("prompt") == "none":
            message = "A silent sign-in request was sent but no user is signed in."
            raise AadError("login_required", 50058, message)
        hint = request.GET.get("login_hint", "")
        accounts = [
            each for each in Account.objects.all() if tenants.may_sign_in(each, self.tenant)
        ]
        accounts.sort(key=lambda account: account.email != hint)
        context = {"accounts": accounts, "hint": hint, "application": self.application}
        return render(request, "sandbox/sign_in.html", context)

    def post(self, request: HttpRequest) -> HttpResponse:
        """The account is chosen: on to the consent page."""
        account = _chosen(request.POST.get("account", ""), self.tenant)
        return HttpResponseRedirect(self.to_page("microsoft-consent", authuser=account.email))


class ConsentPage(AuthorizationPage):
    """Accept or cancel all permissions at once."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """The consent page, or straight back: with a code when all was accepted before.

        Where an administrator has to consent first, straight back with AADSTS90094.
        """
        account = _chosen(request.GET.get("authuser", ""), self.tenant)
        consent = Consent.objects.filter(
            account=account, application=self.application, dialect=Consent.MICROSOFT
        ).first()
        is_covered = consent is not None and set(self.scopes) <= set(consent.scopes.split())
        if is_covered and request.GET.get("prompt") != "consent":
            return self._give_code(account)
        if switches.of_account(account.email).admin_consent_required:
            raise aad.admin_consent_required()
        context = {
            "application": self.application,
            "account": account,
            "always": [SCOPES[scope] for scope in self.scopes],
            "change_account": self.to_page("microsoft-authorize"),
        }
        return render(request, "sandbox/consent.html", context)

    def post(self, request: HttpRequest) -> HttpResponse:
        """`decision=allow` accepts, anything else declines."""
        account = _chosen(request.GET.get("authuser", ""), self.tenant)
        if request.POST.get("decision") != "allow":
            raise aad.declined()
        if switches.of_account(account.email).admin_consent_required:
            raise aad.admin_consent_required()
        return self._give_code(account)

    def _give_code(self, account: Account) -> HttpResponse:
        query = self.request.GET
        remember_consent(
            account=account,
            application=self.application,
            scopes=self.scopes,
            offline="offline_access" in self.scopes,
            dialect=Consent.MICROSOFT,
        )
        code = give(
            IdentityToken.CODE,
            account=account,
            application=self.application,
            tenant=self.tenant,
            scopes=self.scopes,
            life=CODE_LIFE,
            redirect_uri=query["redirect_uri"],
            challenge=query.get("code_challenge", "")[:128],
            method=query.get("code_challenge_method", "plain"),
            nonce=query.get("nonce", ""),
        )
        return self.back(code=code)


class AdminConsent(AuthorizationPage):
    """`{tenant}/v2.0/adminconsent`: an administrator consents for the whole organisation.

    It connects nothing. It ends `admin_consent_required` for all accounts of the tenant.
    """

    def check(self) -> None:
        """Only organisations have administrators."""
        self.scopes = self._wanted("scope")
        if self.tenant in {"consumers", tenants.PERSONAL_TENANT}:
            raise AadError("invalid_request", 50020, "Personal accounts have no administrator.")

    def get(self, request: HttpRequest) -> HttpResponse:
        """The permissions, to accept or cancel."""
        context = {
            "application": self.application,
            "account": {"email": f"the administrator of {tenants.TENANT}"},
            "always": [SCOPES[scope] for scope in self.scopes],
            "for_all": True,
        }
        return render(request, "sandbox/consent.html", context)

    def post(self, request: HttpRequest) -> HttpResponse:
        """`decision=allow`: back with `admin_consent=True`, `tenant` and `scope`."""
        if request.POST.get("decision") != "allow":
            raise aad.declined()
        for account in Account.objects.exclude(microsoft=tenants.PERSONAL):
            if switches.of_account(account.email).admin_consent_required:
                switches.change_account(account.email, {"admin_consent_required": False})
        return self.back(
            admin_consent="True", tenant=tenants.TENANT, scope=request.GET.get("scope", "")
        )


def _chosen(email: str, tenant: str) -> Account:
    account = get_object_or_404(Account, email=email)
    if not tenants.may_sign_in(account, tenant):
        message = f"User account '{email}' does not exist in tenant '{tenant}' and cannot access "
        raise NoWayBack(AadError("access_denied", 50020, f"{message}the application in it."))
    return account
