"""The page where a person enters credentials, for providers without an authorization page.

`providers.entry` decides; here are the forms and what the browser is shown. The state is in the
query of the first request, as at any provider's page, and in a hidden field afterwards; a password
is in no URL and in no page that we answer with.
"""

from __future__ import annotations

import logging
import re
from typing import Any
from urllib.parse import urlsplit

import msgspec
from csp.decorators import csp_update
from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from providers import causes, entry
from providers.base import Preset
from providers.errors import ProviderError
from providers.models import AuthorizationRequest
from providers.opening import TicketRefused
from providers.views import SeeOther, leaves_no_trace
from talkover.encryption import UnsealError

logger = logging.getLogger(__name__)

_LABELS = {"address": "Server address", "user": "User name", "secret": "Password"}
_LENGTHS = {"address": 2000, "user": 320, "secret": 1024}
# What a Content-Security-Policy can name; whatever else an address has stays out of the header.
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9.:\[\]-]+")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")


class CredentialForm(forms.Form):
    """What a provider asks for. A preset may know the address already."""

    def __init__(
        self, *args: Any, asks_for: tuple[str, ...], preset: Preset | None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        for name in asks_for:
            if name == "address" and preset is not None and preset.address:
                continue
            self.fields[name] = self._field(name, preset, alone=asks_for == ("address",))

    @staticmethod
    def _field(name: str, preset: Preset | None, *, alone: bool) -> forms.CharField:
        attributes = {"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}
        label = _LABELS[name]
        widget: forms.TextInput | forms.PasswordInput = forms.TextInput(attrs=attributes)
        if name == "secret":
            # Never sent back: it is typed in again.
            widget = forms.PasswordInput(attrs=attributes, render_value=False)
        if name == "address":
            label = "Address of the calendar" if alone else label
            example = preset.example if preset else ""
            widget = forms.TextInput(
                attrs={**attributes, "placeholder": example, "inputmode": "url"}
            )
        return forms.CharField(
            label=label,
            widget=widget,
            max_length=_LENGTHS[name],
            strip=name != "secret",
            error_messages={"required": f"Enter the {label.lower()}."},
        )


@sensitive_post_parameters("secret", "address", "state")
@require_http_methods(["GET", "POST"])
@leaves_no_trace
def credentials(request: HttpRequest) -> HttpResponseBase:
    """Ask for credentials, try them, let the person choose calendars, and send the browser on."""
    given = request.POST if request.method == "POST" else request.GET
    state = given.get("state", "")
    try:
        waiting = entry.find(state, request.COOKIES)
        action = given.get("action", "") if request.method == "POST" else ""
        response: HttpResponseBase
        if action == "cancel":
            response = SeeOther(entry.decline(waiting, state))
        elif action == "enter":
            response = _enter(request, waiting, state)
        elif action == "choose":
            response = _choose(request, waiting, state)
        else:
            response = _ask(request, waiting, state, _preset_of(waiting, given))
    except TicketRefused as problem:
        return SeeOther(reverse("connect-error", args=[problem.code]))
    except UnsealError as problem:
        logger.error("The credential page cannot go on: %s", problem)
        return SeeOther(reverse("connect-error", args=["credentials_unreadable"]))
    # Our own form must say where it comes from (`Origin: null` otherwise), and nobody else is told.
    response["Referrer-Policy"] = "same-origin"
    return response


def _enter(request: HttpRequest, waiting: AuthorizationRequest, state: str) -> HttpResponseBase:
    provider = entry.provider_of(waiting)
    preset = _preset_of(waiting, request.POST)
    form = CredentialForm(request.POST, asks_for=provider.asks_for, preset=preset)
    if not form.is_valid():
        return _ask(request, waiting, state, preset, form)
    values = {name: form.cleaned_data.get(name, "") for name in _LABELS}
    if preset is not None and preset.address:
        values["address"] = preset.address
    try:
        entered = entry.try_credentials(waiting, **values)
    except entry.TooManyTries:
        return SeeOther(entry.decline(waiting, state, error="too_many_tries"))
    except ProviderError as problem:
        logger.info("Credentials for %s did not work: %s", waiting.pk, problem.code)
        cause = causes.explain(problem.code)
        form.add_error(None, f"{cause.cause} {cause.remedy}")
        return _ask(request, waiting, state, preset, form)
    return _offer(request, waiting, state, entered)


def _choose(request: HttpRequest, waiting: AuthorizationRequest, state: str) -> HttpResponseBase:
    entered = entry.entered_of(waiting)
    if entered is None:
        return _ask(request, waiting, state, None)
    try:
        return SeeOther(entry.choose(waiting, state, request.POST.getlist("calendar")))
    except ValueError as problem:
        ticked = tuple(request.POST.getlist("calendar"))
        chosen = msgspec.structs.replace(entered, chosen=ticked)
        return _offer(request, waiting, state, chosen, problem=str(problem))


def _ask(
    request: HttpRequest,
    waiting: AuthorizationRequest,
    state: str,
    preset: Preset | None,
    form: CredentialForm | None = None,
) -> HttpResponseBase:
    provider = entry.provider_of(waiting)
    if form is None:
        form = CredentialForm(
            asks_for=provider.asks_for,
            preset=preset,
            initial={"user": waiting.expected_account},
        )
    context = {
        "form": form,
        "preset": preset,
        "presets": provider.presets if len(provider.presets) > 1 else (),
    }
    status = 422 if form.errors else 200
    return _page(request, waiting, state, "connect/credentials.html", context, status=status)


def _offer(
    request: HttpRequest,
    waiting: AuthorizationRequest,
    state: str,
    entered: entry.Entered,
    *,
    problem: str = "",
) -> HttpResponseBase:
    context = {
        "calendars": [
            {"id": key, "name": name, "color": color, "chosen": key in entered.chosen}
            for key, name, color in entered.calendars
        ],
        "most_selected": settings.SELECTED_CALENDARS_PER_CONNECTION,
        "problem": problem,
    }
    status = 422 if problem else 200
    return _page(request, waiting, state, "connect/choose.html", context, status=status)


def _page(
    request: HttpRequest,
    waiting: AuthorizationRequest,
    state: str,
    template: str,
    context: dict[str, Any],
    *,
    status: int,
) -> HttpResponseBase:
    """A page whose form may end at the application: browsers hold redirects to `form-action`."""
    context |= {
        "state": state,
        "application": waiting.environment.name,
        "configuration": waiting.configuration,
        "calendar": waiting.connection.calendar,
        "expires_at": waiting.expires_at,
    }

    def page(request: HttpRequest) -> HttpResponse:
        return render(request, template, context, status=status)

    source = _source_of(waiting.return_uri)
    return csp_update({"form-action": [source] if source else []})(page)(request)


def _source_of(uri: str) -> str:
    """The origin of a redirect URI, or of an application's own scheme that scheme, as a policy
    names them; empty for none.
    """
    parts = urlsplit(uri)
    origin = f"{parts.scheme}://{parts.netloc}"
    if parts.scheme in {"http", "https"}:
        return origin if _ORIGIN.fullmatch(origin) else ""
    return f"{parts.scheme}:" if _SCHEME.fullmatch(parts.scheme) else ""


def _preset_of(waiting: AuthorizationRequest, given: QueryDict) -> Preset | None:
    """The preset that was chosen; of a provider with only one, that one."""
    presets = entry.provider_of(waiting).presets
    if len(presets) == 1:
        return presets[0]
    return next((preset for preset in presets if preset.key == given.get("preset")), None)
