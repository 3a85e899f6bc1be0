"""Encryption at rest: a value is bound to its row, and keys can be rotated."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from talkover import encryption
from talkover.encryption import UnsealError, generate_key, parse_keys, seal, unseal
from talkover.environments.models import Environment


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
        "ConnectionCredential.refresh_token",
        "AuthorizationRequest.code",
        "AuthorizationRequest.code_verifier",
        "IdempotencyKey.answer",
        "RevocationJob.token",
    }
