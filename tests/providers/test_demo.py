"""The demo environment of `make run`: found again, mended, and what people changed is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.conf import LazySettings

from calendars.models import Calendar
from providers.demo import ADMINISTRATOR_EMAIL, Sandbox, ensure_demo
from providers.management.commands.prepare_demo import read_known
from providers.management.commands.run_local import create_connection_command, welcome
from providers.models import ProviderConfiguration
from talkover.encryption import generate_key, unseal
from talkover.environments.models import Environment, EnvironmentToken, User

pytestmark = pytest.mark.django_db
BASE_URL = "http://127.0.0.1:8000"


@pytest.fixture(autouse=True)
def _outbound(settings: LazySettings) -> None:
    settings.OUTBOUND_ALLOWED_HOSTS = frozenset({"127.0.0.1:9000", "127.0.0.1:9001"})


def sandbox(port: int = 9000) -> Sandbox:
    return Sandbox(url=f"http://127.0.0.1:{port}", client_id="demo", client_secret=f"s{port}")


def ensure(known: dict[str, str], port: int = 9000) -> dict[str, str]:
    return ensure_demo(base_url=BASE_URL, sandbox=sandbox(port), known=known).known


def test_a_second_run_changes_nothing() -> None:
    first = ensure({})
    assert ensure(first) == first
    assert Environment.objects.count() == Calendar.objects.count() == 1
    assert EnvironmentToken.objects.count() == 1
    kinds = ProviderConfiguration.objects.values_list("identifier", "kind")
    assert {identifier[-1]: kind for identifier, kind in kinds} == {
        "a": "google",
        "b": "microsoft",
        "c": "caldav",
        "d": "ics",
    }
    assert User.objects.count() == 2


def test_without_the_file_token_and_password_are_new() -> None:
    first = ensure({})
    second = ensure({})
    assert {name for name in first if first[name] != second[name]} == {
        "api_token",
        "admin_password",
    }


def test_a_password_that_somebody_changed_is_theirs() -> None:
    first = ensure({})
    administrator = User.objects.get(email=ADMINISTRATOR_EMAIL)
    administrator.set_password("their own")
    administrator.save()
    second = ensure(first)
    assert second["admin_password"] == ""
    assert "(the password you have set)" in welcome(second, None)
    assert User.objects.get(email=ADMINISTRATOR_EMAIL).check_password("their own")


def test_a_token_that_was_revoked_is_replaced() -> None:
    first = ensure({})
    EnvironmentToken.objects.get().revoke()
    assert ensure(first)["api_token"] != first["api_token"]


def test_another_sandbox_address_is_taken_over() -> None:
    ensure(ensure({}), port=9001)
    first, second = ProviderConfiguration.objects.filter(kind__in=["google", "microsoft"])
    assert first.endpoints().token == "http://127.0.0.1:9001/token"
    assert second.endpoints().api_root == "http://127.0.0.1:9001/microsoft/v1.0"
    assert {unseal(row, "client_secret") for row in (first, second)} == {"s9001"}


def test_with_new_encryption_keys_the_demo_works_again(settings: LazySettings) -> None:
    first = ensure({})
    settings.CREDENTIAL_KEYS = generate_key()
    assert ensure(first) == first
    assert Environment.objects.get().read_signing_key()


def test_a_calendar_that_was_deleted_is_made_anew() -> None:
    first = ensure({})
    Calendar.objects.all().delete()
    assert ensure(first)["calendar_id"] != first["calendar_id"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"environment_id": "x", "calendar_id": "y"}'])
def test_a_damaged_file_counts_as_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "demo.json"
    path.write_text(text)
    assert read_known(path) == {}


def test_what_was_written_is_read() -> None:
    known = ensure({})
    assert json.loads(json.dumps(known)) == known
    assert create_connection_command(known) == (
        f"curl -X POST {BASE_URL}/api/v1/calendars/{known['calendar_id']}/providers"
        f" -H 'Authorization: Bearer {known['api_token']}' -H 'Content-Type: application/json'"
        ' -d \'{"provider": "calendar_provider_a",'
        ' "redirect_uri": "https://example.com/oauth/calendar/callback"}\''
    )
