"""People over the API."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from talkover.environments.models import Environment, Membership, User
from talkover.environments.people import add_person
from tests.factories import EnvironmentFactory, MembershipFactory
from tests.talkover.test_envelope import assert_error

URL = "/api/v1/users"
ADA = {"name": "Ada Lovelace", "email": "Ada@Example.com", "external_id": "crm-1"}


def test_add(api: APIClient, environment: Environment) -> None:
    response = api.post(URL, ADA, format="json")
    assert response.status_code == 201
    data = response.json()["data"]
    user = User.objects.get()
    assert data == {
        "id": str(user.pk),
        "name": "Ada Lovelace",
        "email": "ada@example.com",
        "external_id": "crm-1",
        "created_at": data["created_at"],
    }
    assert not user.has_usable_password()
    assert not user.is_staff
    assert environment.memberships.get().role == Membership.Role.MEMBER


def test_the_same_address_again(api: APIClient) -> None:
    first = api.post(URL, ADA, format="json").json()["data"]
    again = api.post(
        URL, {"name": "Countess", "email": " ADA@example.COM ", "external_id": "x"}, format="json"
    )
    assert again.status_code == 200
    assert again.json()["data"] == first
    assert User.objects.count() == Membership.objects.count() == 1


def test_a_person_of_another_environment(
    api: APIClient, other_environment: Environment, environment: Environment
) -> None:
    other = MembershipFactory(
        environment=other_environment,
        user=User.objects.create_user("ada@example.com"),
        name="Secret Name",
        external_id="secret-id",
    )
    response = api.post(URL, {"name": "Ada", "email": "ada@example.com"}, format="json")
    assert response.status_code == 201
    data = response.json()["data"]
    assert data["id"] == str(other.user_id)
    assert (data["name"], data["external_id"]) == ("Ada", "")
    assert b"ecret" not in api.get(URL).content
    other.refresh_from_db()
    assert other.name == "Secret Name"


def test_list(api: APIClient, environment: Environment, other_environment: Environment) -> None:
    people = MembershipFactory.create_batch(3, environment=environment)
    MembershipFactory(environment=other_environment)
    body = api.get(URL, {"per_page": 2}).json()
    assert [item["id"] for item in body["data"]] == [str(person.user_id) for person in people[:2]]
    assert body["pagination"]["total"] == 3
    assert set(body["data"][0]) == {"id", "name", "email", "external_id", "created_at"}


@pytest.mark.parametrize(
    "email",
    ["", "ada", "@example.com", "ada@", "a b@example.com", f"{'a' * 250}@example.com", None, 1, []],
)
def test_addresses_that_are_refused(api: APIClient, email: Any) -> None:
    response = api.post(URL, {"name": "Ada", "email": email}, format="json")
    body = assert_error(response, 422, "VALIDATION_ERROR")
    assert set(body["errors"]) == {"email"}
    assert User.objects.count() == 0


@pytest.mark.parametrize("external_id", ["x" * 256, None, {}, 1])
def test_external_ids_that_are_refused(api: APIClient, external_id: Any) -> None:
    body = assert_error(
        api.post(URL, {**ADA, "external_id": external_id}, format="json"), 422, "VALIDATION_ERROR"
    )
    assert set(body["errors"]) == {"external_id"}


@pytest.mark.django_db(transaction=True)
def test_two_calls_at_once_make_one_person() -> None:
    environments = [EnvironmentFactory(), EnvironmentFactory()]
    barrier = threading.Barrier(8)
    created: list[bool] = []
    failures: list[BaseException] = []

    def add(number: int) -> None:
        try:
            barrier.wait()
            _, new = add_person(
                environment=environments[number % 2], email="ada@example.com", name=f"Ada {number}"
            )
            created.append(new)
        except BaseException as error:  # noqa: BLE001  reported below
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=add, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert User.objects.count() == 1
    assert Membership.objects.count() == sum(created) == 2
