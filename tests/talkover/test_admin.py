"""Admin pages: who may what, and secrets that are shown once."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from calendars.admin import COUNT_LIMIT
from talkover.environments.models import (
    Environment,
    EnvironmentToken,
    Membership,
    RedirectURI,
    User,
)
from tests.conftest import client_of
from tests.factories import CalendarFactory, EventFactory, MembershipFactory

PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def superuser(db: None) -> User:
    return User.objects.create_superuser("root@example.com", PASSWORD)


@pytest.fixture
def root(superuser: User) -> Client:
    client = Client()
    client.force_login(superuser)
    return client


@pytest.fixture
def staff(db: None) -> Client:
    """Staff with all permissions on our own models, yet no superuser."""
    user = User.objects.create_user("staff@example.com", PASSWORD, is_staff=True)
    apps = ["environments", "calendars"]
    user.user_permissions.set(Permission.objects.filter(content_type__app_label__in=apps))
    client = Client()
    client.force_login(user)
    return client


def page(name: str, *arguments: Any) -> str:
    return reverse(f"admin:{name}", args=arguments)


def test_signing_in_by_email(superuser: User, client: Client) -> None:
    response = client.post(
        "/admin/login/?next=/admin/", {"username": "Root@Example.com", "password": PASSWORD}
    )
    assert response.status_code == 302
    assert client.get("/admin/").status_code == 200


def test_every_page_opens(root: Client, environment: Environment, token: str) -> None:
    event = EventFactory(calendar=CalendarFactory(environment=environment))
    rows: dict[str, Any] = {
        "environments_environment": environment,
        "environments_environmenttoken": EnvironmentToken.objects.get(),
        "environments_user": event.calendar.owner,
        "calendars_calendar": event.calendar,
        "calendars_event": event,
    }
    for name, row in rows.items():
        assert root.get(page(f"{name}_changelist"), {"q": "a"}).status_code == 200
        assert root.get(page(f"{name}_changelist"), {"q": str(row.pk)}).status_code == 200
        assert root.get(page(f"{name}_change", row.pk)).status_code == 200
        expected = 403 if name == "calendars_event" else 200
        assert root.get(page(f"{name}_add")).status_code == expected


def test_pages_are_for_staff(client: Client, environment: Environment) -> None:
    client.force_login(User.objects.create_user("person@example.com", PASSWORD))
    for name in ("environments_environment", "environments_environmenttoken", "calendars_event"):
        assert client.get(page(f"{name}_changelist")).status_code == 302


def test_staff_without_permissions(client: Client, environment: Environment) -> None:
    client.force_login(User.objects.create_user("s@example.com", PASSWORD, is_staff=True))
    for path in (
        page("environments_environment_changelist"),
        page("environments_environmenttoken_add"),
        page("environments_environment_renew_signing_key", environment.pk),
        page("calendars_event_changelist"),
    ):
        assert client.get(path).status_code == 403
    path = page("environments_environment_renew_signing_key", environment.pk)
    before = environment.signing_key
    assert client.post(path).status_code == 403
    environment.refresh_from_db()
    assert environment.signing_key == before


class TestTokens:
    def issue(self, client: Client, environment: Environment) -> tuple[Any, str]:
        response = client.post(
            page("environments_environmenttoken_add"),
            {
                "environment": environment.pk,
                "name": "backend",
                "expires_at_0": "",
                "expires_at_1": "",
            },
        )
        assert response.status_code == 200, response.content
        (token,) = set(re.findall(r"talq_[A-Za-z0-9_-]{40,}", response.content.decode()))
        return response, token

    def test_issued_and_shown_once(self, root: Client, environment: Environment) -> None:
        response, token = self.issue(root, environment)
        assert "no-store" in response["Cache-Control"]
        assert client_of(token).get("/api/v1/environment").status_code == 200
        row = EnvironmentToken.objects.get()
        for path in (
            page("environments_environmenttoken_changelist"),
            page("environments_environmenttoken_change", row.pk),
            page("environments_environmenttoken_history", row.pk),
            page("index"),
        ):
            text = root.get(path).content.decode()
            assert token not in text
            assert row.digest not in text

    def test_kept_nowhere(self, root: Client, environment: Environment) -> None:
        _, token = self.issue(root, environment)
        assert all(token not in cookie.OutputString() for cookie in root.cookies.values())
        assert all(token not in str(session.get_decoded()) for session in Session.objects.all())
        assert all(
            token not in f"{entry.object_repr}{entry.change_message}"
            for entry in LogEntry.objects.all()
        )
        assert LogEntry.objects.filter(object_id=EnvironmentToken.objects.get().pk).exists()

    def test_neither_digest_nor_environment_can_be_edited(
        self, root: Client, environment: Environment, other_environment: Environment
    ) -> None:
        _, token = self.issue(root, environment)
        row = EnvironmentToken.objects.get()
        root.post(
            page("environments_environmenttoken_change", row.pk),
            {
                "name": "renamed",
                "environment": other_environment.pk,
                "digest": "0" * 64,
                "hint": "talq_zzzz",
                "expires_at_0": "",
                "expires_at_1": "",
            },
        )
        changed = EnvironmentToken.objects.get()
        assert changed.name == "renamed"
        assert changed.environment == environment
        assert (changed.digest, changed.hint) == (row.digest, row.hint)
        assert client_of(token).get("/api/v1/environment").status_code == 200

    def test_revoke(self, root: Client, environment: Environment) -> None:
        _, token = self.issue(root, environment)
        row = EnvironmentToken.objects.get()
        root.post(
            page("environments_environmenttoken_changelist"),
            {"action": "revoke", "_selected_action": [row.pk]},
        )
        assert client_of(token).get("/api/v1/environment").status_code == 401
        assert LogEntry.objects.filter(object_id=row.pk, change_message="Revoked.").exists()


class TestSigningKeys:
    def test_a_new_environment_shows_its_key(self, root: Client) -> None:
        response = root.post(
            page("environments_environment_add"),
            {
                "name": "New",
                "timezone": "Europe/Berlin",
                "rate_limit_per_minute": 10,
                "handshake": "automatic",
            },
        )
        environment = Environment.objects.get()
        assert environment.read_signing_key() in response.content.decode()
        assert "no-store" in response["Cache-Control"]

    def test_renew(self, root: Client, environment: Environment) -> None:
        before = environment.read_signing_key()
        path = page("environments_environment_renew_signing_key", environment.pk)
        change = page("environments_environment_change", environment.pk)
        assert path in root.get(change).content.decode()
        assert before not in root.get(path).content.decode()
        environment.refresh_from_db()
        assert environment.read_signing_key() == before  # GET only asks
        text = root.post(path).content.decode()
        environment.refresh_from_db()
        after = environment.read_signing_key()
        assert after != before
        assert after in text
        for shown in (change, page("environments_environment_history", environment.pk)):
            text = root.get(shown).content.decode()
            assert after not in text
            assert environment.signing_key not in text

    def test_renew_wants_the_csrf_token(self, superuser: User, environment: Environment) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(superuser)
        path = page("environments_environment_renew_signing_key", environment.pk)
        assert client.post(path).status_code == 403

    def test_renew_what_is_not_there(self, root: Client, environment: Environment) -> None:
        path = page("environments_environment_renew_signing_key", environment.pk)
        environment.delete()
        assert root.get(path).status_code == 404


def test_environment_with_uris_and_people(root: Client, environment: Environment) -> None:
    person = MembershipFactory(environment=environment)

    def save(uri: str) -> Any:
        return root.post(
            page("environments_environment_change", environment.pk),
            {
                "name": "Acme",
                "timezone": "Europe/London",
                "rate_limit_per_minute": 5,
                "handshake": "confirmed",
                "redirect_uris-TOTAL_FORMS": 1,
                "redirect_uris-INITIAL_FORMS": 0,
                "redirect_uris-0-uri": uri,
                "memberships-TOTAL_FORMS": 1,
                "memberships-INITIAL_FORMS": 1,
                "memberships-0-id": person.pk,
                "memberships-0-environment": environment.pk,
                "memberships-0-user": person.user_id,
                "memberships-0-name": "Ada",
                "memberships-0-role": "admin",
                "memberships-0-external_id": "",
            },
        )

    assert "must use https" in save("http://acme.example/back").content.decode()
    assert not RedirectURI.objects.exists()
    assert save("https://acme.example/back").status_code == 302
    assert RedirectURI.objects.get().uri == "https://acme.example/back"
    assert Membership.objects.get(pk=person.pk).role == "admin"
    environment.refresh_from_db()
    assert environment.read_signing_key()
    assert environment.rate_limit_per_minute == 5


class TestPeople:
    def test_add_without_a_password(self, root: Client) -> None:
        response = root.post(
            page("environments_user_add"), {"email": "Ada@Example.com", "usable_password": "false"}
        )
        assert response.status_code == 302, response.content
        user = User.objects.get(email="ada@example.com")
        assert not user.has_usable_password()

    def test_add_with_a_password(self, root: Client) -> None:
        root.post(
            page("environments_user_add"),
            {
                "email": "ada@example.com",
                "usable_password": "true",
                "password1": PASSWORD,
                "password2": PASSWORD,
            },
        )
        assert User.objects.get(email="ada@example.com").check_password(PASSWORD)

    def test_the_same_address_in_capitals(self, root: Client) -> None:
        User.objects.create_user("ada@example.com")
        response = root.post(
            page("environments_user_add"), {"email": "ADA@example.com", "usable_password": "false"}
        )
        assert response.status_code == 200
        assert User.objects.filter(email__iexact="ada@example.com").count() == 1

    def change(self, client: Client, user: User, **fields: Any) -> Any:
        return client.post(
            page("environments_user_change", user.pk),
            {"email": user.email, "is_active": "on", **fields},
        )

    def test_superusers_hand_out_privileges(self, root: Client) -> None:
        user = User.objects.create_user("ada@example.com")
        assert self.change(root, user, is_staff="on", is_superuser="on").status_code == 302
        user.refresh_from_db()
        assert user.is_staff
        assert user.is_superuser

    def test_staff_cannot_raise_anybody(self, staff: Client) -> None:
        myself = User.objects.get(email="staff@example.com")
        user = User.objects.create_user("ada@example.com")
        for person in (user, myself):
            self.change(staff, person, is_staff="on", is_superuser="on")
            person.refresh_from_db()
            assert not person.is_superuser
        user.refresh_from_db()
        assert not user.is_staff

    def test_staff_cannot_touch_superusers(self, staff: Client, superuser: User) -> None:
        assert self.change(staff, superuser, email="x@example.com").status_code == 403
        path = f"/admin/environments/user/{superuser.pk}/password/"
        response = staff.post(path, {"password1": "another pass", "password2": "another pass"})
        assert response.status_code == 403
        assert staff.post(page("environments_user_delete", superuser.pk)).status_code == 403
        superuser.refresh_from_db()
        assert superuser.check_password(PASSWORD)

    def test_staff_cannot_delete_superusers_in_bulk(self, staff: Client, superuser: User) -> None:
        staff.post(
            page("environments_user_changelist"),
            {"action": "delete_selected", "_selected_action": [superuser.pk], "post": "yes"},
        )
        assert User.objects.filter(pk=superuser.pk).exists()


class TestCalendars:
    def test_events_are_read_only(self, root: Client, calendar: Any) -> None:
        event = EventFactory(calendar=calendar, title="Talk")
        path = page("calendars_event_change", event.pk)
        assert "Talk" in root.get(path).content.decode()
        assert root.post(path, {"title": "Changed"}).status_code == 403
        assert (
            root.post(page("calendars_event_delete", event.pk), {"post": "yes"}).status_code == 403
        )

    def test_calendars_are_not_deleted_here(self, root: Client, calendar: Any) -> None:
        path = page("calendars_calendar_delete", calendar.pk)
        assert root.post(path, {"post": "yes"}).status_code == 403

    def test_lists_cost_a_fixed_number_of_queries(
        self, root: Client, calendar: Any, django_assert_max_num_queries: Any
    ) -> None:
        EventFactory.create_batch(30, calendar=calendar)
        with django_assert_max_num_queries(8):
            response = root.get(page("calendars_event_changelist"), {"status": "confirmed"})
        assert response.status_code == 200

    def test_counting_ends_somewhere(self, calendar: Any, monkeypatch: Any) -> None:
        from calendars import admin
        from calendars.models import Event

        EventFactory.create_batch(4, calendar=calendar)
        monkeypatch.setattr(admin, "COUNT_LIMIT", 3)
        assert admin.CappedPaginator(Event.objects.all(), 2).count == 3
        assert COUNT_LIMIT == 10_000
