"""Encryption at rest: a value is bound to its row, and keys can be rotated."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from talkover import encryption
from talkover.encryption import UnsealError, generate_key, parse_keys, seal, unseal
from talkover.environments.models import Environment

COLUMNS = list(encryption.sealed_columns())


def environment_with(secret: str) -> Environment:
    environment = Environment(name="One")
    seal(environment, "signing_key", secret)
    return environment


def test_a_sealed_value_reads_back_and_shows_nothing() -> None:
    environment = environment_with("canary-secret")

    assert unseal(environment, "signing_key") == "canary-secret"
    assert "canary" not in environment.signing_key


def test_the_same_value_is_never_sealed_alike() -> None:
    environment = environment_with("canary")
    first = environment.signing_key
    seal(environment, "signing_key", "canary")

    assert environment.signing_key != first


def test_a_ciphertext_copied_to_another_row_does_not_decrypt() -> None:
    thief = Environment(name="Two", signing_key=environment_with("canary").signing_key)

    with pytest.raises(UnsealError, match="copied from another row"):
        unseal(thief, "signing_key")


def row_of(model: Any, **changes: Any) -> Any:
    """An unsaved row of any model that has sealed columns."""
    own = {} if model is Environment else {"environment_id": uuid.uuid4()}
    return model(pk=uuid.uuid4(), **(own | changes))


@pytest.mark.parametrize(
    ("model", "column"), COLUMNS, ids=[f"{model.__name__}.{name}" for model, name in COLUMNS]
)
def test_each_column_binds_its_values_to_row_column_and_environment(
    model: Any, column: str
) -> None:
    row = row_of(model)
    seal(row, column, "canary")
    value = getattr(row, column)
    assert unseal(row, column) == "canary"
    assert "canary" not in value

    elsewhere = [row_of(model, **({} if model is Environment else same_environment(row)))]
    if model is not Environment:
        elsewhere.append(model(pk=row.pk, environment_id=uuid.uuid4()))
    for other in elsewhere:
        setattr(other, column, value)
        with pytest.raises(UnsealError):
            unseal(other, column)
    for other_model, other_column in COLUMNS:
        if (other_model, other_column) != (model, column):
            own = {} if other_model is Environment else same_environment(row)
            other = other_model(pk=row.pk, **own)
            setattr(other, other_column, value)
            with pytest.raises(UnsealError):
                unseal(other, other_column)


def same_environment(row: Any) -> dict[str, Any]:
    return {"environment_id": row.environment_id}


def test_another_key_of_the_same_id_is_told_apart_from_a_missing_one(settings) -> None:
    settings.CREDENTIAL_KEYS = "k1:" + generate_key().partition(":")[2]
    environment = environment_with("canary")
    settings.CREDENTIAL_KEYS = "k1:" + generate_key().partition(":")[2]

    with pytest.raises(UnsealError, match="does not decrypt with key 'k1': the key is another"):
        unseal(environment, "signing_key")


def test_a_damaged_value_does_not_decrypt() -> None:
    environment = environment_with("canary")
    environment.signing_key = environment.signing_key[:-4] + "AAAA"

    with pytest.raises(UnsealError):
        unseal(environment, "signing_key")


def test_an_older_key_still_decrypts_and_the_first_encrypts(settings) -> None:
    old, new = generate_key(), generate_key()
    settings.CREDENTIAL_KEYS = old
    environment = environment_with("canary")
    settings.CREDENTIAL_KEYS = f"{new},{old}"

    assert unseal(environment, "signing_key") == "canary"
    seal(environment, "signing_key", "canary")
    assert encryption.key_id_of(environment.signing_key) == new.partition(":")[0]


def test_an_unknown_key_is_named_with_the_remedy(settings) -> None:
    old = settings.CREDENTIAL_KEYS = generate_key()
    environment = environment_with("canary")
    settings.CREDENTIAL_KEYS = generate_key()

    with pytest.raises(UnsealError, match=old.partition(":")[0]):
        unseal(environment, "signing_key")


@pytest.mark.parametrize(
    "value", ["", ",", "k1", "k1:", "k1:c2hvcnQ=", ":AAAA", "k 1:" + "A" * 43 + "=", "k1:***"]
)
def test_malformed_keys_are_refused(value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="generate_key"):
        parse_keys(value)


def test_every_sealed_column_is_found() -> None:
    found = {f"{model.__name__}.{name}" for model, name in encryption.sealed_columns()}

    assert found == {
        "Environment.signing_key",
        "ProviderConfiguration.client_secret",
        "ConnectionCredential.access_token",
        "ConnectionCredential.entered",
        "AuthorizationRequest.entered",
        "ConnectionCredential.refresh_token",
        "AuthorizationRequest.code",
        "AuthorizationRequest.code_verifier",
        "RevocationJob.token",
        "IdempotencyKey.answer",
    }
