"""Rules of the house that no linter knows."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("talkover", "calendars", "providers")
MAX_LINES = 400


def tracked(pattern: str) -> list[Path]:
    """Files of the repository, committed or about to be. Without git: whatever is there."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", pattern],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listing.returncode:
        return [path for path in ROOT.rglob(pattern) if ".venv" not in path.parts]
    return [ROOT / name for name in listing.stdout.splitlines() if (ROOT / name).is_file()]


def product_modules() -> list[Path]:
    return [path for path in tracked("*.py") if path.relative_to(ROOT).parts[0] in PRODUCT]


def test_modules_stay_small() -> None:
    sizes = {path: len(path.read_text().splitlines()) for path in product_modules()}
    too_long = {
        str(path.relative_to(ROOT)): size
        for path, size in sizes.items()
        if size > MAX_LINES and "migrations" not in path.parts
    }
    assert not too_long


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in product_modules()
        if path.stat().st_size
        and path.name != "apps.py"
        and path.parent.name != "commands"  # those have a help text
        and "migrations" not in path.parts
        and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent


def test_no_cursor_outlives_its_transaction() -> None:
    """A pooler that hands out connections by transaction loses it; `talkover.batches` does not."""
    users = [
        str(path.relative_to(ROOT))
        for path in product_modules()
        if ".iterator(" in path.read_text()
        and path.relative_to(ROOT).parts[:2] != ("providers", "sandbox")
    ]
    assert not users


def test_only_settings_read_the_environment() -> None:
    """The sandbox is a project of its own; a local run composes its children's environment."""
    allowed = {
        "talkover/settings.py",
        "talkover/local.py",
        "providers/management/commands/run_local.py",
    }
    readers = {
        str(path.relative_to(ROOT))
        for path in product_modules()
        if re.search(
            r"os\.(environ\[|environ\.get|getenv|environ\b(?!\.setdefault))", path.read_text()
        )
        and "sandbox" not in path.relative_to(ROOT).parts
    }
    assert readers <= allowed


def test_no_room_for_leftovers() -> None:
    names = {path.stem for path in product_modules()} | {
        path.parent.name for path in product_modules()
    }
    assert not names & {"utils", "util", "common", "helpers", "misc"}


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_requirements_are_compiled_and_hashed(name: str) -> None:
    text = (ROOT / f"{name}.txt").read_text()
    pinned = {found.lower() for found in re.findall(r"^([A-Za-z0-9_.-]+)\S*==", text, re.MULTILINE)}
    for line in (ROOT / f"{name}.in").read_text().splitlines():
        wanted = re.match(r"[A-Za-z0-9_.-]+", line)
        if wanted and not line.startswith("-"):
            assert wanted.group().lower() in pinned, f"{wanted.group()}: run make requirements"
    assert len(re.findall(r"^\S+==", text, re.MULTILINE)) <= text.count("--hash=sha256:")
    assert "://" not in text, "an address of a package index"


def test_the_procfile_has_the_processes_of_production() -> None:
    names = [line.split(":")[0] for line in (ROOT / "Procfile").read_text().splitlines()]
    assert names == ["release", "web", "worker", "beat"]
