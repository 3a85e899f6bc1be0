"""A real Chromium against `run_local`, driven by Playwright. Skipped where there is no Chromium."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    Route,
    ViewportSize,
    expect,
    sync_playwright,
)

from tests.caldav_servers import CalDavServer, open_radicale, open_xandikos
from tests.password_gate import behind_a_password
from tests.sandbox.process import SandboxProcess
from tests.stack.conftest import LocalRun, new_local_run, sandbox_at
from tests.stack.product import Client

SCREENSHOTS = Path(__file__).resolve().parent.parent.parent / "var" / "screenshots"
# What a page shows may wait for a worker, on a busy machine for a while.
PATIENCE = 30_000
SIZES: dict[str, ViewportSize] = {
    "phone": {"width": 390, "height": 844},
    "desktop": {"width": 1280, "height": 900},
}
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-proxy-server",
]  # fmt: skip


def chromium() -> str:
    """The browser to drive; the test is skipped when there is none."""
    names = [os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    return found or pytest.skip("no Chromium on the PATH; CHROMIUM names one")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Of the module: Playwright's event loop must be gone when other tests use the database."""
    executable = chromium()
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass(frozen=True)
class Product:
    """The running product, as its administrator uses it, and the sandbox's switches.

    `environment` is for other programs that are to use its settings.
    """

    known: dict[str, str]
    api: Client
    sandbox: SandboxProcess
    environment: dict[str, str]

    def new_calendar(self, name: str) -> str:
        """Its page."""
        body = {"name": name, "owner_id": self.known["user_id"], "timezone": "Europe/Berlin"}
        calendar = self.api("POST", "/calendars", body).data
        return f"{self.known['base_url']}/calendars/{calendar['id']}"


@pytest.fixture(scope="session")
def caldav_servers() -> Iterator[dict[str, CalDavServer]]:
    """New ones, that the product may reach, each with an account behind a password."""
    chromium()
    with (
        open_radicale("anna@example.com") as radicale,
        open_xandikos("anna@example.com") as xandikos,
        behind_a_password(xandikos) as gated,
    ):
        yield {"radicale": radicale, "xandikos": gated}


@pytest.fixture(scope="session")
def local_run(
    tmp_path_factory: pytest.TempPathFactory, caldav_servers: dict[str, CalDavServer]
) -> Iterator[LocalRun]:
    with new_local_run(tmp_path_factory.mktemp("browser") / "var") as run:
        allowed = ",".join(server.host for server in caldav_servers.values())
        run.environment["OUTBOUND_ALLOWED_HOSTS"] = allowed
        run.start()
        yield run


@pytest.fixture
def product(local_run: LocalRun, tmp_path: Path) -> Iterator[Product]:
    known = local_run.known
    sandbox = sandbox_at(known["sandbox_url"], tmp_path)
    api = Client(known["base_url"], known["api_token"])
    yield Product(known, api, sandbox, local_run.environment)
    sandbox.calm()


@dataclass
class Person:
    """Somebody with a browser. What the browser complains about is collected."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def sign_in(self, known: dict[str, str], at: str) -> None:
        """Open a page, sign in as the administrator, be on that page."""
        self.page.goto(at)
        self.page.get_by_label("Email").fill(known["admin_username"])
        self.page.get_by_label("Password").fill(known["admin_password"])
        self.page.get_by_label("Password").press("Enter")
        self.page.wait_for_url(at)

    def start_connecting(self) -> None:
        """From a calendar's page to the provider's."""
        self.page.get_by_role("radio", name="Sandbox calendar").check()
        self.page.get_by_role("button", name="Connect calendar").click()

    def show(self, name: str, *, phone: bool = True) -> None:
        """Save what is on the screen, on a desktop and on a phone, for people to look at."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        for device, size in SIZES.items():
            if phone or device != "phone":
                self.page.set_viewport_size(size)
                self.page.screenshot(path=SCREENSHOTS / f"{name}-{device}.png", full_page=True)
                width = self.page.evaluate("document.documentElement.scrollWidth")
                assert width <= size["width"], f"{name} scrolls sideways on a {device}: {width}"


NewPerson = Callable[..., Person]


@pytest.fixture
def new_person(browser: Browser) -> Iterator[NewPerson]:
    """Makes browsers with cookies of their own; `javascript=False` switches scripts off."""
    with ExitStack() as contexts:
        everybody: list[Person] = []

        def make(*, javascript: bool = True, **options: Any) -> Person:
            context: BrowserContext = browser.new_context(java_script_enabled=javascript, **options)
            contexts.callback(context.close)
            context.set_default_timeout(PATIENCE)
            # The caller's application is not there; that its address is reached is what counts.
            context.route("https://example.com/**", _caller)
            person = Person(context.new_page())
            person.page.on("pageerror", lambda error: person.complaints.append(str(error)))
            person.page.on(
                "console",
                lambda message: (
                    person.complaints.append(message.text) if message.type == "error" else None
                ),
            )
            everybody.append(person)
            return person

        yield make
        complaints = [text for person in everybody for text in person.complaints]
        assert not complaints, complaints


def _caller(route: Route) -> None:
    route.fulfill(body="the application that asked", content_type="text/plain")
