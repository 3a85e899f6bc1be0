"""Keys and real processes: who refuses to start, and a rotation that is killed half-way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection as database

from providers.models import ConnectionCredential, ProviderConnection
from talkover.encryption import generate_key, seal, unseal
from talkover.environments import startup
from talkover.environments.models import Environment
from talkover.environments.rotation import count_by_key
from tests.factories import EnvironmentFactory, ProviderConnectionFactory
from tests.talkover.test_checks import PRODUCTION, ROOT, start

OLD, NEW = generate_key(), generate_key()
OLD_ID, NEW_ID = OLD.partition(":")[0], NEW.partition(":")[0]
# Another key, under the id of the old one.
IMPOSTOR = f"{OLD_ID}:{NEW.partition(':')[2]}"
pytestmark = pytest.mark.django_db(transaction=True)


def variables(keys: str) -> dict[str, str]:
    """The environment of a process that uses the tests' database with these keys."""
    name = database.settings_dict["NAME"]
    url = f"sqlite:///{name}"
    if database.vendor == "postgresql":
        url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
    return {**PRODUCTION, "DATABASE_URL": url, "CREDENTIAL_KEYS": keys}


@pytest.fixture
def connection(settings: Any) -> ProviderConnection:
    """An active connection, sealed with the old key."""
    settings.CREDENTIAL_KEYS = OLD
    connection: ProviderConnection = ProviderConnectionFactory()
    credential = ConnectionCredential(
        connection=connection,
        environment_id=connection.environment_id,
        expires_at=connection.created_at,
        stored_at=connection.created_at,
    )
    seal(credential, "refresh_token", "canary")
    credential.save()
    return connection


@pytest.mark.parametrize(
    ("keys", "says"), [(NEW, f"lacks keys that stored values are sealed with: {OLD_ID}"),
                       (IMPOSTOR, f"has another key under the id {OLD_ID}")],
    ids=["unknown key", "another key of the same id"],
)  # fmt: skip
@pytest.mark.parametrize(
    "command",
    [
        ("-m", "celery", "--app", "talkover", "worker", "--pool", "solo"),
        ("-m", "gunicorn", "talkover.wsgi", "--bind", "127.0.0.1:0", "--no-control-socket"),
    ],
    ids=["worker", "web"],
)
def test_nothing_starts_that_cannot_read_what_is_stored(
    connection: ProviderConnection, command: tuple[str, ...], keys: str, says: str
) -> None:
    before = ConnectionCredential.objects.values().get()

    done = start(*command, **variables(keys))

    assert done.returncode == startup.BOOT_ERROR, done.stderr
    assert sum(says in line for line in done.stderr.splitlines()) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "canary" not in done.stderr
    connection.refresh_from_db()
    assert (connection.status, connection.last_error_code) == ("active", "")
    assert ConnectionCredential.objects.values().get() == before


def test_a_rotation_that_is_killed_is_run_again(settings: Any) -> None:
    settings.CREDENTIAL_KEYS = OLD
    environments = EnvironmentFactory.build_batch(1500)
    for environment in environments:
        seal(environment, "signing_key", f"key of {environment.name}")
    Environment.objects.bulk_create(environments)
    settings.CREDENTIAL_KEYS = f"{NEW},{OLD}"
    command = [sys.executable, "manage.py", "rotate_keys"]
    env = {**variables(settings.CREDENTIAL_KEYS), "PATH": "", "VAR_DIR": str(settings.VAR_DIR)}

    with subprocess.Popen(command, cwd=ROOT, env=env) as rotation:
        while NEW_ID not in count_by_key():
            assert rotation.poll() is None, "it has ended before it began"
            time.sleep(0.02)
        rotation.send_signal(signal.SIGKILL)
    left = count_by_key()
    assert left[OLD_ID] > 0, "killed too late to prove anything"
    assert left[NEW_ID] > 0
    assert all(unseal(one, "signing_key") for one in Environment.objects.all()), "one is torn"

    done = start("manage.py", "rotate_keys", **variables(settings.CREDENTIAL_KEYS))

    assert done.returncode == 0, done.stderr
    assert f"{left[OLD_ID]} values sealed anew" in done.stdout
    settings.CREDENTIAL_KEYS = NEW
    assert count_by_key() == {NEW_ID: 1500}
    for environment in Environment.objects.all():
        assert unseal(environment, "signing_key") == f"key of {environment.name}"
