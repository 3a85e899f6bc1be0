"""Statements composed once: the ORM's answers, for other values, on any thread and database."""

from __future__ import annotations

import uuid
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from django.db import IntegrityError, connection, models, transaction
from django.utils import timezone

from calendars.models import Calendar
from providers.models import AuthorizationRequest, ProviderConnection
from talkover.statements import Select, insert, parameter, update
from tests.factories import CalendarFactory, ProviderConnectionFactory

pytestmark = pytest.mark.django_db


def by_environment() -> models.QuerySet[Any]:
    return (
        Calendar.objects.filter(environment=parameter("environment", models.UUIDField()))
        .only("name", "created_at")
        .annotate(upper=models.functions.Upper("name"), owner_email=models.F("owner__email"))
    )


def test_the_same_statement_takes_other_values(environment, other_environment) -> None:
    select: Select[Any] = Select(by_environment)
    ours = CalendarFactory(environment=environment, name="ours")
    theirs = CalendarFactory(environment=other_environment, name="theirs")

    assert select(environment=environment.pk) == [ours]
    assert select(environment=other_environment.pk) == [theirs]
    assert select(environment=uuid.uuid4()) == []


def test_rows_are_instances_with_annotations_and_deferred_columns(environment) -> None:
    calendar = CalendarFactory(environment=environment, name="ours", metadata={"a": [1]})

    (row,) = Select(by_environment)(environment=environment.pk)

    assert (row.pk, row.name, row.created_at) == (calendar.pk, "ours", calendar.created_at)
    assert (row.upper, row.owner_email) == ("OURS", calendar.owner.email)
    assert row.get_deferred_fields() >= {"metadata", "timezone", "environment_id"}
    assert row.metadata == {"a": [1]}
    assert not row._state.adding


def test_related_rows_come_along(environment, django_assert_num_queries) -> None:
    connected = ProviderConnectionFactory(environment=environment)
    by_key: Select[Any] = Select(
        lambda: (
            ProviderConnection.objects.filter(pk=parameter("pk", models.UUIDField()))
            .select_related("configuration__environment", "calendar")
            .order_by()
        )
    )

    with django_assert_num_queries(1):
        (row,) = by_key(pk=connected.pk)
        assert row.configuration == connected.configuration
        assert row.configuration.environment.name == environment.name
        assert row.calendar.name == connected.calendar.name


def test_values_are_written_as_their_field_says(environment) -> None:
    calendar = CalendarFactory(environment=environment)
    since: Select[Any] = Select(
        lambda: Calendar.objects.filter(
            created_at__gte=parameter("moment", models.DateTimeField()),
            name=parameter("name", models.CharField()),
        )
    )

    assert since(moment=calendar.created_at, name=calendar.name) == [calendar]
    assert since(moment=calendar.created_at, name='it\'s not "%s"') == []
    assert since(moment=calendar.created_at + timedelta(microseconds=1), name=calendar.name) == []


def test_json_is_read_as_the_orm_reads_it(environment) -> None:
    CalendarFactory(environment=environment, metadata={"ü": [1, None, {"b": 2.5}]})
    everything: Select[Any] = Select(
        lambda: Calendar.objects.filter(environment=parameter("environment", models.UUIDField()))
    )

    (row,) = everything(environment=environment.pk)

    assert row.metadata == {"ü": [1, None, {"b": 2.5}]}
    assert row.get_deferred_fields() == set()


def test_a_missing_value_is_an_error(environment) -> None:
    with pytest.raises(KeyError):
        Select(by_environment)()


def test_threads_share_a_statement(environment, transactional_db) -> None:
    CalendarFactory(environment=environment)
    select: Select[Any] = Select(by_environment)
    found: list[int] = []

    def ask() -> None:
        found.extend(len(select(environment=environment.pk)) for _ in range(20))
        connection.close()

    threads = [Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 80


def test_a_row_and_what_points_to_it_are_inserted_together(environment) -> None:
    template = ProviderConnectionFactory(calendar__environment=environment)
    row = ProviderConnection(
        environment=environment,
        calendar=template.calendar,
        configuration=template.configuration,
        granted_scopes=["a", "'; --", "ü"],
    )
    request = AuthorizationRequest(
        environment=environment,
        connection=row,
        configuration=template.configuration,
        state_digest="d" * 64,
        endpoints={"token": None},
        expires_at=timezone.now(),
    )

    insert(row, request)

    stored = AuthorizationRequest.objects.select_related("connection").get(pk=request.pk)
    assert stored.connection == row
    for instance, fresh in ((row, stored.connection), (request, stored)):
        assert not instance._state.adding
        for field in type(instance)._meta.concrete_fields:
            assert getattr(fresh, field.attname) == getattr(instance, field.attname), field.name


def test_a_conflict_is_djangos_error(environment) -> None:
    connection_ = ProviderConnectionFactory(calendar__environment=environment)

    def request() -> AuthorizationRequest:
        return AuthorizationRequest(
            environment=environment,
            connection=connection_,
            configuration=connection_.configuration,
            state_digest="d" * 64,
            expires_at=timezone.now(),
        )

    insert(request())
    with pytest.raises(IntegrityError), transaction.atomic():
        insert(request())


def test_plans_are_kept_only_where_they_may_be(environment) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("PostgreSQL's")
    select: Select[Any] = Select(by_environment)

    def kept() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_prepared_statements")
            return int(cursor.fetchone()[0])

    before, threshold = kept(), connection.connection.prepare_threshold
    try:
        connection.connection.prepare_threshold = None  # DATABASE_PREPARE=false
        select(environment=environment.pk)
        assert kept() == before
        connection.connection.prepare_threshold = 0
        select(environment=environment.pk)
        assert kept() == before + 1
    finally:
        connection.connection.prepare_threshold = threshold


def test_an_update_changes_the_rows_that_match(environment) -> None:
    ours = CalendarFactory(environment=environment, name="ours")
    other = CalendarFactory(environment=environment, name="other")
    moment = timezone.now() - timedelta(days=3)

    changes = {"name": "new", "created_at": moment, "metadata": {"a": None}}
    assert update(Calendar, {"pk": ours.pk, "name": "ours"}, **changes) == 1
    assert update(Calendar, {"pk": ours.pk, "name": "ours"}, **changes) == 0

    ours.refresh_from_db()
    other.refresh_from_db()
    assert (ours.name, ours.created_at, ours.metadata) == ("new", moment, {"a": None})
    assert other.name == "other"


def test_an_update_can_empty_a_column() -> None:
    connected = ProviderConnectionFactory(pending_until=timezone.now())
    assert update(ProviderConnection, {"pk": connected.pk}, pending_until=None) == 1
    connected.refresh_from_db()
    assert connected.pending_until is None
