"""What can be switched for everybody and for one account."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.sandbox.client import Answer, Client
from tests.sandbox.process import ControlError, SandboxProcess

RACERS = 8


@pytest.fixture
def person(calm: SandboxProcess) -> str:
    return calm.account(f"{uuid.uuid4().hex[:8]}@switch.example", events=2)


def is_dead(answer: Answer) -> bool:
    return answer.status == 400 and answer.json["error"] == "invalid_grant"


def test_one_account_alone_can_rotate(calm: SandboxProcess, person: str) -> None:
    other = Client(calm).connect(calm.account(f"{uuid.uuid4().hex[:8]}@switch.example"))
    client = Client(calm).connect(person)
    calm.switch(person, rotate_refresh_tokens=True)
    assert "refresh_token" not in other.refresh().json
    assert client.refresh().json["refresh_token"] != client.tokens["refresh_token"]
    assert is_dead(client.refresh())
    assert other.refresh().status == 200
    assert other.refresh().status == 200


@pytest.mark.parametrize("generation", [0, 1, 2])
def test_reuse_ends_the_whole_family_and_no_other(
    calm: SandboxProcess, person: str, generation: int
) -> None:
    calm.switch(person, rotate_refresh_tokens=True)
    client, bystander = Client(calm).connect(person), Client(calm).connect(person)
    family = [client.tokens["refresh_token"]]
    for _ in range(3):
        client.tokens |= client.refresh(family[-1]).json
        family.append(client.tokens["refresh_token"])
    assert client.events()["items"]
    assert is_dead(client.refresh(family[generation]))
    assert all(is_dead(client.refresh(token)) for token in family)
    assert client.api("GET", "calendars/primary/events").reason == "authError"
    assert bystander.events()["items"]
    assert bystander.refresh().status == 200


def test_only_one_of_many_refreshes_at_once_wins_and_then_loses(
    calm: SandboxProcess, person: str
) -> None:
    calm.switch(person, rotate_refresh_tokens=True)
    client = Client(calm).connect(person)
    start = threading.Barrier(RACERS)

    def race(_racer: int) -> Answer:
        racer = Client(calm, tokens=client.tokens)
        start.wait(10)
        return racer.refresh()

    with ThreadPoolExecutor(RACERS) as pool:
        answers = list(pool.map(race, range(RACERS)))
    (winner,) = [answer.json for answer in answers if answer.status == 200]
    assert sum(is_dead(answer) for answer in answers) == RACERS - 1
    assert is_dead(client.refresh(winner["refresh_token"])), "the others ended the family"
    client.tokens = winner
    assert client.api("GET", "calendars/primary/events").reason == "authError"


def test_one_account_alone_can_find_everything_empty(calm: SandboxProcess, person: str) -> None:
    client = Client(calm).connect(person)
    other = Client(calm).connect(calm.account(f"{uuid.uuid4().hex[:8]}@switch.example", events=1))
    token = client.all_events()[1]
    calm.switch(person, empty=True)
    assert client.all_events()[0] == []
    assert client.all_events(syncToken=token)[0] == []
    assert len(other.all_events()[0]) == 1
    calm.switch(person, empty=False)
    assert len(client.all_events()[0]) == 2
    calm.calendar("POST", person, "empty", {"on": True})
    assert client.all_events()[0] == []


def test_all_switches_go_back_to_normal(calm: SandboxProcess, person: str) -> None:
    normal = calm.control("GET", "settings")
    calm.switch(page_size=1, push_times=0)
    calm.switch(person, empty=True, refuse_watching=True)
    calm.calendar("POST", person, "empty", {"on": True})
    assert calm.control("GET", "settings") == normal | {"page_size": 1, "push_times": 0}
    assert calm.control("DELETE", "settings") == normal == calm.control("GET", "settings")
    assert not any(calm.control("GET", f"accounts/{person}/settings").values())
    assert len(Client(calm).connect(person).events()["items"]) == 2


@pytest.mark.parametrize(
    ("where", "order", "status"),
    [
        ("settings", {"colour": "red"}, 400),
        ("settings", {"page_size": -1}, 400),
        ("settings", {"page_size": True}, 400),
        ("settings", {"page_size": "3"}, 400),
        ("settings", {"refuse_watching": True}, 400),
        ("accounts/empty@sandbox.example/settings", {"push_times": 2}, 400),
        ("accounts/empty@sandbox.example/settings", {"empty": 1}, 400),
        ("accounts/nobody@switch.example/settings", {"empty": True}, 404),
    ],
)
def test_switches_that_make_no_sense(
    calm: SandboxProcess, where: str, order: dict[str, Any], status: int
) -> None:
    before = calm.control("GET", "settings")
    with pytest.raises(ControlError, match=str(status)):
        calm.control("POST", where, order)
    assert calm.control("GET", "settings") == before
