"""`make contract`: runs every provider's contract, and writes docs/contract.md from the results.

Columns are the servers that it ran against, rows its tests. tests/test_docs.py holds the page to
the tests that there are.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from providers import registry
from providers.base import Capability

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "contract.md"
# Column by the package of the tests, and by the server where there are several.
COLUMNS = {
    "google": "Google (sandbox)",
    "microsoft": "Microsoft (sandbox)",
    "radicale": "CalDAV (Radicale)",
    "xandikos": "CalDAV (Xandikos)",
    "ics": "ICS (web server)",
}


class Section(NamedTuple):
    """A class of the contract: the module with it, and the providers' modules that inherit it."""

    title: str
    module: str
    inherited_in: str


SECTIONS = (
    Section("Authorising", "contract", "test_contract"),
    Section("Entering an address and a password", "contract_entering", "test_contract"),
    Section("Calendars and events", "contract_listing", "test_contract"),
    Section("Trouble", "contract_trouble", "test_contract"),
    Section("Writing", "contract_writing", "test_writing_contract"),
    Section("Push", "contract_push", "test_push_contract"),
)
_HEAD = """# The contract, per provider

Every provider passes the same tests, each against a server of its protocol. This page is what
`make contract` printed last. ✓: passed, with how many cases where there are several; –: does not
apply to this provider, for the reason below; empty: the provider does not do it at all.
"""
_ABILITIES = {
    Capability.CALENDARS_READ: "lists the account's calendars",
    Capability.EVENTS_READ: "lists a calendar's events",
    Capability.EVENTS_INCREMENTAL: "lists only what has changed since the last time",
    Capability.EVENTS_WRITE: "creates, changes and deletes events",
    Capability.INVITATIONS: "leaves it to us whether attendees are told",
    Capability.MEETINGS: "makes links of meetings",
    Capability.PUSH: "tells when a calendar has changed",
}
_PARTS = {"skipped": "–", "failure": "FAILED", "error": "FAILED"}

# By the module that inherits a test and the test's name, then by column.
Cells = dict[tuple[str, str], dict[str, list[str]]]


def test_names(section: Section) -> list[str]:
    """The tests that a class of the contract brings itself, in their order."""
    source = ROOT / "tests" / "providers" / f"{section.module}.py"
    [contract] = [
        node
        for node in ast.parse(source.read_text()).body
        if isinstance(node, ast.ClassDef) and node.name.endswith("Contract")
    ]
    functions = [node.name for node in contract.body if isinstance(node, ast.FunctionDef)]
    return [name for name in functions if name.startswith("test_")]


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        files = sorted(str(path) for path in ROOT.glob("tests/providers/*/test*_contract.py"))
        command = [sys.executable, "-m", "pytest", "-q", *files, f"--junitxml={report}"]
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        cells, reasons = read(report)
    PAGE.write_text(render(cells, reasons), encoding="utf-8")
    return code


def read(report: Path) -> tuple[Cells, dict[str, set[str]]]:
    """Outcomes by test and column, and why a test did not apply, by column."""
    cells: Cells = defaultdict(lambda: defaultdict(list))
    reasons: dict[str, set[str]] = defaultdict(set)
    for case in ElementTree.parse(report).iter("testcase"):
        _, _, package, module, *_ = case.get("classname", "").split(".")
        name, _, parameters = case.get("name", "").partition("[")
        server = re.match(r"radicale|xandikos", parameters)
        column = server[0] if server else package
        skipped = case.find("skipped")
        outcome = next((sign for part, sign in _PARTS.items() if case.find(part) is not None), "✓")
        cells[module, name][column].append(outcome)
        if skipped is not None:
            reasons[column].add(f"{told(name)}: {skipped.get('message', '')}")
    return cells, reasons


def abilities() -> str:
    """What each provider declares that it can do."""
    providers = [registry.get_provider(kind) for kind in registry.kinds()]
    lines = [
        "\n## What each can do\n",
        "By the names that `GET /environment` has for it.\n",
        f"| | | {' | '.join(provider.name for provider in providers)} |",
        f"|---|---|{'---|' * len(providers)}",
    ]
    for capability, meaning in _ABILITIES.items():
        row = ["✓" if capability in provider.capabilities else "" for provider in providers]
        lines.append(f"| `{capability}` | {meaning} | {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def render(cells: Cells, reasons: dict[str, set[str]]) -> str:
    parts = [_HEAD, abilities()]
    for section in SECTIONS:
        lines = [
            f"\n## {section.title}\n",
            f"| | {' | '.join(COLUMNS.values())} |",
            f"|---|{'---|' * len(COLUMNS)}",
        ]
        for name in test_names(section):
            found = cells.get((section.inherited_in, name), {})
            row = [cell(found.get(column, [])) for column in COLUMNS]
            lines.append(f"| {told(name)} | {' | '.join(row)} |")
        parts.append("\n".join(lines) + "\n")
    lines = ["\n## What does not apply\n"]
    for column, title in COLUMNS.items():
        lines += [f"- {title}: {reason}" for reason in sorted(reasons.get(column, ()))]
    return "".join([*parts, "\n".join(lines), "\n"])


def cell(outcomes: list[str]) -> str:
    """One cell: what failed counts most, then what passed."""
    for sign in ("FAILED", "✓", "–"):
        number = outcomes.count(sign)
        if number:
            return f"{sign} {number}" if number > 1 else sign
    return ""


def told(name: str) -> str:
    return name.removeprefix("test_").replace("_", " ")


if __name__ == "__main__":
    sys.exit(main())
