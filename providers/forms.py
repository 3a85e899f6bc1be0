"""Forms of the pages for people, and of the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db.models import QuerySet

from providers import registry
from providers.base import OAuth2Provider
from providers.models import ProviderConfiguration
from talkover.encryption import seal

if TYPE_CHECKING:
    _ConfigurationForm = forms.ModelForm[ProviderConfiguration]
    _ConfigurationChoice = forms.ModelChoiceField[ProviderConfiguration]
else:
    _ConfigurationChoice = forms.ModelChoiceField
    _ConfigurationForm = forms.ModelForm


class ConfigurationChoice(_ConfigurationChoice):
    """Providers by the name that people know."""

    def label_from_instance(self, obj: ProviderConfiguration) -> str:
        return obj.display_name

    def to_python(self, value: Any) -> ProviderConfiguration | None:
        """What is no id at all is as little a choice as an unknown one."""
        try:
            return super().to_python(value)
        except ValidationError:
            raise ValidationError(
                self.error_messages["invalid_choice"], code="invalid_choice"
            ) from None


class ConnectForm(forms.Form):
    """Which provider to connect a calendar to."""

    configuration = ConfigurationChoice(
        queryset=ProviderConfiguration.objects.none(),
        widget=forms.RadioSelect,
        empty_label=None,
        label="Provider",
        error_messages={
            "required": "Choose a provider.",
            "invalid_choice": "This provider is not offered any more. Choose another.",
        },
    )

    def __init__(
        self, *args: Any, configurations: QuerySet[ProviderConfiguration], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["configuration"]
        assert isinstance(field, ConfigurationChoice)  # noqa: S101  tells mypy
        field.queryset = configurations
        offered = list(configurations[:2])
        if len(offered) == 1:
            field.initial = offered[0].pk


class ScopesField(forms.CharField):
    """A list of scopes, one a line."""

    widget = forms.Textarea(attrs={"rows": 4, "cols": 80, "spellcheck": "false"})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return (super().to_python(value) or "").split()

    def has_changed(self, initial: Any, data: Any) -> bool:
        return (initial or []) != (data or "").split()


class ProviderConfigurationForm(_ConfigurationForm):
    """The admin's form. The secret goes in and never comes out again."""

    kind = forms.ChoiceField(help_text="Cannot be changed later: the callback URL contains it.")
    scopes = ScopesField(
        required=False, help_text="One a line. Empty: what reading calendars needs."
    )
    new_client_secret = forms.CharField(
        label="Client secret",
        required=False,
        strip=True,
        max_length=2000,
        widget=forms.PasswordInput(
            render_value=False, attrs={"autocomplete": "new-password", "size": 60}
        ),
        help_text="Kept encrypted and never shown. Leave empty to keep the present one.",
    )

    class Meta:
        model = ProviderConfiguration
        exclude = ["client_secret", "paused_at", "paused_reason"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Staff who may not change everything get a form with fewer fields.
        if isinstance(kind := self.fields.get("kind"), forms.ChoiceField):
            kind.choices = [(name, registry.get_provider(name).name) for name in registry.kinds()]
        if (secret := self.fields.get("new_client_secret")) and self.instance._state.adding:
            secret.help_text = "Kept encrypted and never shown. Not for CalDAV and feeds."

    def clean(self) -> dict[str, Any] | None:
        """A new registration comes with its secret."""
        cleaned = super().clean()
        kind = self.cleaned_data.get("kind", "")
        if (
            self.instance._state.adding
            and "new_client_secret" in self.fields
            and not self.cleaned_data.get("new_client_secret")
            and kind in registry.kinds()
            and isinstance(registry.get_provider(kind), OAuth2Provider)
        ):
            self.add_error("new_client_secret", "Enter the secret that the provider gave.")
        return cleaned

    def _update_errors(self, errors: ValidationError) -> None:
        """The model checks all its fields; what this form does not have is named above it."""
        by_field = getattr(errors, "error_dict", {})
        for name in [name for name in by_field if name not in {*self.fields, NON_FIELD_ERRORS}]:
            texts = [f"{name}: {text}" for problem in by_field.pop(name) for text in problem]
            by_field.setdefault(NON_FIELD_ERRORS, []).extend(map(ValidationError, texts))
        super()._update_errors(errors)  # type: ignore[misc]

    def save(self, commit: bool = True) -> ProviderConfiguration:
        if secret := self.cleaned_data.get("new_client_secret"):
            seal(self.instance, "client_secret", secret)
        return super().save(commit)


class StaffConfigurationForm(ProviderConfigurationForm):
    """For staff who are no superusers: without the secret, even if a request brings one."""

    new_client_secret = None  # type: ignore[assignment]
