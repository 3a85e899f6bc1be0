"""The ORM's own SQL, composed once and executed many times.

Composing is what a small query costs: of the 0.54 ms of CPU that a lookup takes here through the
ORM, 0.4 are that; and the database then plans it anew each time, for two thirds of its own time. So
the two calls that applications make most keep their SQL, and PostgreSQL keeps its plans. It stays
the ORM's SQL: nothing here is written for one database, and a new column comes by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.models.query import get_related_populators
from django.db.models.sql import InsertQuery, UpdateQuery

M = TypeVar("M", bound=models.Model)


class _Parameter(models.Expression):
    """A placeholder whose parameter is itself until the statement is executed."""

    def __init__(self, name: str, field: models.Field[Any, Any]) -> None:
        super().__init__(output_field=field)
        self.name = name

    def as_sql(self, _compiler: Any, _connection: Any) -> Any:
        return "%s", (self,)


def parameter(name: str, field: models.Field[Any, Any]) -> Any:
    """What a Select's queryset names instead of a value; `field` says how that is written."""
    return _Parameter(name, field)


@dataclass(frozen=True, slots=True)
class _Composed:
    model: type[models.Model]
    sql: str
    parameters: tuple[Any, ...]
    names: list[str]
    related: list[Any]
    annotations: Mapping[str, int]
    converters: list[tuple[int, list[Any], Any]]


class Select(Generic[M]):
    """A queryset over one model, with annotations and select_related.

    `compose` is called when the statement is first wanted.
    """

    def __init__(self, compose: Callable[[], models.QuerySet[M]]) -> None:
        self._compose = compose
        self._composed: _Composed | None = None

    def __call__(self, **values: Any) -> list[M]:
        """The rows as model instances. `values`: those that the queryset has parameters for."""
        # Threads that come first together compose the same.
        composed = self._composed = self._composed or _compose(self._compose())
        database = connections[DEFAULT_DB_ALIAS]
        parameters = [
            value.output_field.get_db_prep_value(values[value.name], database)
            if isinstance(value, _Parameter)
            else value
            for value in composed.parameters
        ]
        with _executed(composed.sql, parameters) as cursor:
            return [_instance(composed, row) for row in cursor.fetchall()]


def insert(*instances: models.Model) -> None:
    """Store new rows, as `save(force_insert=True)` does each, but without signals.

    On PostgreSQL in one statement: a journey to the database costs more than a row. A key that the
    database counts up is not read back.
    """
    rows = [_insertion(instance) for instance in instances]
    if connection.vendor == "postgresql":
        *first, last = (sql for sql, _ in rows)
        named = ", ".join(f"row_{number} AS ({sql})" for number, sql in enumerate(first))
        values = [value for _, parameters in rows for value in parameters]
        rows = [(f"WITH {named} {last}" if named else last, values)]
    for sql, parameters in rows:
        _executed(sql, parameters).close()
    for instance in instances:
        instance._state.adding = False
        instance._state.db = connection.alias


def update(model: type[models.Model], where: Mapping[str, Any], **changes: Any) -> int:
    """Change the rows whose fields have the values of `where`; returns how many there were.

    Plain values only: what is computed from columns is for a queryset.
    """
    sql, parameters = _compose_update(model, tuple(where), tuple(changes))
    values = changes | {f"where {name}": value for name, value in where.items()}
    database = connections[DEFAULT_DB_ALIAS]
    prepared = [
        named.output_field.get_db_prep_save(values[named.name], database) for named in parameters
    ]
    with _executed(sql, prepared) as cursor:
        return int(cursor.rowcount)


def _compose(queryset: models.QuerySet[Any]) -> _Composed:
    compiler = queryset.query.get_compiler(connection=connection)
    sql, parameters = compiler.as_sql()
    columns = [column for column, _, _ in compiler.select]
    own: Any = compiler.klass_info
    return _Composed(
        model=queryset.model,
        sql=sql,
        parameters=tuple(parameters),
        names=[columns[at].target.attname for at in own["select_fields"]],
        # The stubs know a later Django's signature.
        related=get_related_populators(own, compiler.select, connection.alias),  # type: ignore[call-arg]
        annotations=compiler.annotation_col_map,
        converters=[
            (position, converters, expression)
            for position, (converters, expression) in compiler.get_converters(columns).items()
        ],
    )


def _instance(composed: _Composed, row: tuple[Any, ...]) -> Any:
    values = list(row)
    for position, converters, expression in composed.converters:
        for convert in converters:
            values[position] = convert(values[position], expression, connection)
    own = values[: len(composed.names)]  # they come first
    instance = composed.model.from_db(connection.alias, composed.names, own)
    for related in composed.related:
        related.populate(values, instance)
    for name, position in composed.annotations.items():
        setattr(instance, name, values[position])
    return instance


def _insertion(instance: models.Model) -> tuple[str, list[Any]]:
    sql, fields = _compose_insertion(type(instance))
    database = connections[DEFAULT_DB_ALIAS]
    return sql, [
        field.get_db_prep_save(field.pre_save(instance, add=True), database) for field in fields
    ]


@cache
def _compose_insertion(model: type[models.Model]) -> tuple[str, list[Any]]:
    # A key that the database counts up is left to it.
    fields = [
        field for field in model._meta.local_concrete_fields if field is not model._meta.auto_field
    ]
    query = InsertQuery(model)
    query.insert_values(fields, [model()])
    ((sql, parameters),) = query.get_compiler(connection=connection).as_sql()
    if len(parameters) != len(fields):
        raise TypeError(f"{model.__name__} has a field whose value is no single parameter.")
    return sql, fields


@cache
def _compose_update(
    model: type[models.Model], where: tuple[str, ...], changes: tuple[str, ...]
) -> tuple[str, list[_Parameter]]:
    def parameters(names: tuple[str, ...], prefix: str = "") -> dict[str, Any]:
        return {name: parameter(prefix + name, _field(model, name)) for name in names}

    query = UpdateQuery(model)
    query.add_q(models.Q(**parameters(where, "where ")))
    query.add_update_values(parameters(changes))
    sql, found = query.get_compiler(connection=connection).as_sql()
    return sql, list(found)


def _field(model: type[models.Model], name: str) -> Any:
    return model._meta.pk if name == "pk" else model._meta.get_field(name)


def _executed(sql: str, parameters: Sequence[Any]) -> Any:
    """Django's cursor, with the result; on PostgreSQL one that leaves the values, and so the plan,
    to the server.

    Django's own writes the values into the SQL. It is taken where queries are logged, to be read.
    Nothing is prepared with DATABASE_PREPARE off.
    """
    database = connections[DEFAULT_DB_ALIAS]
    if database.vendor != "postgresql" or database.queries_logged:
        cursor = database.cursor()
    else:
        import psycopg  # SQLite does without it

        # What `database.cursor()` does, with another class of cursor.
        database.close_if_health_check_failed()
        database.ensure_connection()
        raw: Any = psycopg.RawCursor(database.connection)
        cursor = database.make_cursor(raw)
        sql = _numbered(sql)
    cursor.execute(sql, parameters)
    return cursor


@cache
def _numbered(sql: str) -> str:
    """The placeholders as PostgreSQL has them. psycopg would write them so each time, for a quarter
    of a millisecond, in a statement of more than fifty.
    """
    numbers = count(1)
    return re.sub("%(.)", lambda found: f"${next(numbers)}" if found[1] == "s" else found[1], sql)
