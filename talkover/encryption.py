"""Encryption at rest: AES-256-GCM with key ids, each value bound to the row it belongs to.

A sealed value reads `v1.<key id>.<nonce>.<ciphertext>` (base64url without padding). The associated
data is `v1|table|column|row id|environment id`, so that a ciphertext copied to another row, column
or environment does not decrypt. Keys come from CREDENTIAL_KEYS; the first encrypts, all decrypt.
They are never derived from SECRET_KEY: rotating that must not destroy credentials.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models

VERSION = "v1"
KEY_BYTES = 32
NONCE_BYTES = 12
_KEY_ID = re.compile(r"^[A-Za-z0-9_-]{1,32}$")


class UnsealError(Exception):
    """A sealed value cannot be read: an unknown key, or it is not of this row.

    It is the operator's to mend. No connection may be declared dead because of it.
    """


if TYPE_CHECKING:
    _TextField = models.TextField[str, str]
else:
    _TextField = models.TextField


class SealedField(_TextField):
    """A column that holds only sealed values; empty means none. Use `seal` and `unseal`."""


def generate_key() -> str:
    """A new key as CREDENTIAL_KEYS wants it, with an id of its own."""
    key_id = "k" + os.urandom(3).hex()
    return f"{key_id}:{base64.b64encode(os.urandom(KEY_BYTES)).decode()}"


@lru_cache(maxsize=4)
def parse_keys(value: str) -> dict[str, AESGCM]:
    """The keys of a CREDENTIAL_KEYS value by id, first first. Raises ImproperlyConfigured."""
    keys: dict[str, AESGCM] = {}
    for position, entry in enumerate(filter(None, (part.strip() for part in value.split(","))), 1):
        key_id, separator, encoded = entry.partition(":")
        try:
            raw = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            raw = b""
        if not separator or not _KEY_ID.match(key_id) or len(raw) != KEY_BYTES:
            raise ImproperlyConfigured(
                f"CREDENTIAL_KEYS: entry {position} is not 'key-id:' followed by 32 bytes in"
                " base64. Make one with: python manage.py generate_key"
            )
        if key_id in keys:
            raise ImproperlyConfigured(f"CREDENTIAL_KEYS: the key id {key_id!r} is there twice.")
        keys[key_id] = AESGCM(raw)
    if not keys:
        raise ImproperlyConfigured(
            "CREDENTIAL_KEYS is empty. Make a key with: python manage.py generate_key"
        )
    return keys


def current_key_id() -> str:
    """The id of the key that new values are sealed with."""
    return next(iter(parse_keys(settings.CREDENTIAL_KEYS)))


def seal(instance: models.Model, field_name: str, plaintext: str) -> None:
    """Set the instance's field to `plaintext`, sealed (not saved). Empty stays empty."""
    setattr(instance, field_name, _encrypt(instance, field_name, plaintext) if plaintext else "")


def unseal(instance: models.Model, field_name: str) -> str:
    """The plaintext of the instance's field; empty when there is none. Raises UnsealError."""
    value: str = getattr(instance, field_name)
    if not value:
        return ""
    version, key_id, nonce, ciphertext = _split(value)
    key = parse_keys(settings.CREDENTIAL_KEYS).get(key_id)
    where = f"{instance._meta.db_table}.{field_name} of {instance.pk}"
    if version != VERSION or key is None:
        raise UnsealError(
            f"{where} is sealed with key {key_id!r}, which CREDENTIAL_KEYS does not have."
            " Add that key again."
        )
    try:
        plain = key.decrypt(nonce, ciphertext, _associated_data(instance, field_name))
    except InvalidTag:
        raise UnsealError(
            f"{where} does not decrypt with key {key_id!r}: the key is another one of that id, or"
            " the value is damaged or was copied from another row."
        ) from None
    return plain.decode()


def key_id_of(value: str) -> str:
    """The id of the key a sealed value was made with."""
    return _split(value)[1]


def sealed_columns() -> Iterator[tuple[type[models.Model], str]]:
    """Every model and field name that holds sealed values."""
    for model in apps.get_models():
        for field in model._meta.get_fields():
            if isinstance(field, SealedField):
                yield model, field.name


def _encrypt(instance: models.Model, field_name: str, plaintext: str) -> str:
    key_id, key = next(iter(parse_keys(settings.CREDENTIAL_KEYS).items()))
    nonce = os.urandom(NONCE_BYTES)
    ciphertext = key.encrypt(nonce, plaintext.encode(), _associated_data(instance, field_name))
    return ".".join((VERSION, key_id, _b64(nonce), _b64(ciphertext)))


def _associated_data(instance: models.Model, field_name: str) -> bytes:
    owner: Any = instance
    parts = (VERSION, instance._meta.db_table, field_name, instance.pk, owner.environment_id)
    return "|".join(str(part) for part in parts).encode()


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _split(value: str) -> tuple[str, str, bytes, bytes]:
    try:
        version, key_id, nonce, ciphertext = value.split(".")
        return version, key_id, _unb64(nonce), _unb64(ciphertext)
    except ValueError:
        raise UnsealError("A sealed value is damaged.") from None


def _unb64(value: str) -> bytes:
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
