"""Many connected calendars of one account each, in a database of their own, written by SQL:
`python -m benchmarks.crowd NUMBER`, with DATABASE_URL. Prints the id of one of them.

All are copies of one row of each table; next due in the hours to come, as in a service that runs.
They share one calendar of ours, which no statement of the scheduler looks at. Written without
checks of references, statistics collected, all of it on disk afterwards.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from django.db.models import Model

from benchmarks.stack import Place
from tests.services import postgres_server

REPOSITORY = Path(__file__).resolve().parent.parent
# So that the server says how long it has worked at each statement, planning included.
OPTIONS = {
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "top",
    "pg_stat_statements.track_planning": "on",
    # A checkpoint or a vacuum that comes by itself would fall on one side of a comparison.
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
    "shared_buffers": "1GB",
}


@contextmanager
def start(*numbers: int) -> Iterator[dict[int, Place]]:
    """A database for each number of connections, by that number; all on one server, which is never
    one that the environment names. There is no provider."""
    with postgres_server(durable=True, options=OPTIONS) as server:
        crowds = {}
        for number in numbers:
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE crowd_{number}".encode())
            url = server.url.replace("/postgres?", f"/crowd_{number}?")
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.crowd", str(number)],
                cwd=REPOSITORY,
                env={**os.environ, "DATABASE_URL": url},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise RuntimeError(f"crowd of {number}: {done.stderr[-4000:]}")
            crowds[number] = Place(done.stdout.split()[-1], "", {"DATABASE_URL": url})
        yield crowds


def fill(number: int) -> str:
    """Migrate the database and write so many connections; the id of the first."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    from tests.providers.sync_remote import make_source

    source = make_source(kind="google", cursor="of some length, as providers give them: 0123456789")
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(
            _copies(
                type(source.connection),
                {
                    "id": "gen_random_uuid()",
                    "account_subject": "'subject ' || number",
                    "account_email": "'person' || number || '@sandbox.example'",
                },
                f"generate_series(2, {number}) AS number",
            )
        )
        soon = "now() + interval '1 hour' + random() * interval '1 day'"
        was = "now() - random() * interval '12 hours'"
        changes = {"next_sync_at": soon, "next_watch_at": soon, "last_sync_at": was}
        cursor.execute(
            _copies(
                type(source),
                {
                    "id": "gen_random_uuid()",
                    "connection_id": "other.id",
                    "changed_at": was,
                    "last_full_sync_at": was,
                    "window_start": "now() - interval '30 days'",
                    "window_end": "now() + interval '365 days'",
                    "fence": "100",
                    **changes,
                },
                f"{source.connection._meta.db_table} AS other WHERE other.id <> row.connection_id",
            )
        )
        set_ = ", ".join(f"{name} = {value}" for name, value in changes.items())
        cursor.execute(f"UPDATE {source._meta.db_table} SET {set_} WHERE id = %s", [source.pk])
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")
    return str(source.pk)


def _copies(model: type[Model], changes: dict[str, str], others: str) -> str:
    """The INSERT of one copy of the table's only row for each of `others`, with these changes."""
    meta = model._meta
    names = [field.column for field in meta.local_concrete_fields if field.column]
    columns = {name: f"row.{name}" for name in names}
    columns |= changes
    return (
        f"INSERT INTO {meta.db_table} ({', '.join(columns)})"
        f" SELECT {', '.join(columns.values())} FROM {meta.db_table} AS row, {others}"
    )


if __name__ == "__main__":
    print(fill(int(sys.argv[1])))
