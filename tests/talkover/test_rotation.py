"""Sealing everything anew with the current key."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from django.core.management.base import CommandError
from django.db.models import QuerySet

from providers.models import ProviderConfiguration
from talkover.batches import in_batches
from talkover.encryption import generate_key, key_id_of, seal, unseal
from talkover.environments import rotation
from talkover.environments.checks import check_key_ids, problem_with_key_ids
from talkover.environments.models import Environment
from talkover.environments.rotation import rotate_keys
from tests.factories import EnvironmentFactory, ProviderConfigurationFactory
from tests.talkover.test_commands import run, run_json

pytestmark = pytest.mark.django_db
OLD, NEW = generate_key(), generate_key()
OLD_ID, NEW_ID = OLD.partition(":")[0], NEW.partition(":")[0]


@pytest.fixture
def rows(settings: Any) -> list[Any]:
    """Secrets in two tables, sealed with the old key; the new one has just been put in front."""
    settings.CREDENTIAL_KEYS = OLD
    environments = EnvironmentFactory.create_batch(3)
    configurations = []
    for environment in environments:
        configurations.append(
            ProviderConfigurationFactory(environment=environment, secret=f"secret of {environment}")
        )
    settings.CREDENTIAL_KEYS = f"{NEW},{OLD}"
    return [*environments, *configurations]


def secret_of(row: Any) -> str:
    row.refresh_from_db()
    return unseal(row, "signing_key" if isinstance(row, Environment) else "client_secret")


def test_rotate(rows: list[Any], settings: Any) -> None:
    before = [secret_of(row) for row in rows]
    body = run_json("rotate_keys")
    assert body == {
        "current_key": NEW_ID,
        "dry_run": False,
        "resealed": 6,
        "unreadable": 0,
        "values_by_key": {NEW_ID: 6},
    }
    settings.CREDENTIAL_KEYS = NEW  # the old one can go
    assert [secret_of(row) for row in rows] == before
    assert run_json("rotate_keys")["resealed"] == 0
    assert "No other key is needed" in run("rotate_keys")


def test_dry_run(rows: list[Any]) -> None:
    body = run_json("rotate_keys", "--dry-run")
    assert body["resealed"] == 6
    assert body["values_by_key"] == {OLD_ID: 6}
    assert {key_id_of(row.signing_key) for row in Environment.objects.all()} == {OLD_ID}
    assert "still needed" in run("rotate_keys", "--dry-run")


def test_in_batches(rows: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "in_batches", partial(in_batches, size=2))
    assert rotate_keys().resealed == 6


def test_a_writer_at_the_same_time_wins(rows: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Between our read and our write somebody stores another secret."""
    contended = ProviderConfiguration.objects.order_by("pk")[0]
    update = QuerySet.update
    interfered: list[Any] = []

    def interfere(self: Any, **values: Any) -> int:
        if self.model is ProviderConfiguration and not interfered:
            interfered.append(contended)
            seal(contended, "client_secret", "newer")
            update(
                ProviderConfiguration.objects.filter(pk=contended.pk),
                client_secret=contended.client_secret,
            )
        return update(self, **values)

    monkeypatch.setattr(QuerySet, "update", interfere)
    done = rotate_keys()
    monkeypatch.undo()
    assert interfered
    assert secret_of(contended) == "newer"
    assert done.resealed == 5
    assert done.values_by_key == {NEW_ID: 6}


def test_after_a_crash_it_is_run_again(rows: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0

    def crash(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        seal(*arguments)

    monkeypatch.setattr(rotation, "seal", crash)
    with pytest.raises(KeyboardInterrupt):
        rotate_keys()
    monkeypatch.undo()
    assert rotation.count_by_key() == {NEW_ID: 3, OLD_ID: 3}
    assert rotate_keys().resealed == 3


def test_what_no_key_opens_stays_and_is_told(rows: list[Any], settings: Any) -> None:
    Environment.objects.filter(pk=rows[0].pk).update(signing_key="v1.lost.AAAA.AAAA")
    Environment.objects.filter(pk=rows[1].pk).update(signing_key="nonsense")
    with pytest.raises(CommandError, match="2 values could not be read"):
        run("rotate_keys")
    assert rotation.count_by_key() == {NEW_ID: 4, "lost": 1, "damaged": 1}


def test_the_check_finds_keys_that_are_missing(rows: list[Any], settings: Any) -> None:
    assert problem_with_key_ids() == ""
    assert check_key_ids(None, databases=["default"]) == []
    settings.CREDENTIAL_KEYS = NEW
    problem = problem_with_key_ids()
    assert f"{OLD_ID} in environments_environment.signing_key" in problem
    assert f"{OLD_ID} in providers_providerconfiguration.client_secret" in problem
    (error,) = check_key_ids(None, databases=["default"])
    assert error.id == "talkover.E003"
    assert json.dumps(error.msg)


def test_key_ids_that_differ_by_case(settings: Any) -> None:
    key = NEW.partition(":")[2]
    settings.CREDENTIAL_KEYS = f"k1:{key}"
    EnvironmentFactory()
    settings.CREDENTIAL_KEYS = f"K1:{key}"
    assert "k1 in" in problem_with_key_ids()
    settings.CREDENTIAL_KEYS = f"k:{key}"
    assert "k1 in" in problem_with_key_ids()


def test_another_key_of_the_same_id_is_found(rows: list[Any], settings: Any) -> None:
    settings.CREDENTIAL_KEYS = f"{OLD_ID}:{NEW.partition(':')[2]}"
    problem = problem_with_key_ids()
    assert f"another key under the id {OLD_ID}" in problem
    assert "former key back" in problem


def test_a_damaged_value_accuses_no_key(rows: list[Any], settings: Any) -> None:
    damaged = Environment.objects.get(pk=rows[0].pk).signing_key[:-4] + "AAAA"
    Environment.objects.filter(pk=rows[0].pk).update(signing_key=damaged)
    assert problem_with_key_ids() == ""
