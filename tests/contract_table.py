"""`make contract`: runs every provider's contract, and writes docs/contract.md from the results.

Columns are the servers that it ran against, rows its tests. tests/test_docs.py holds the page to
the tests that there are.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

from tests.providers.contract import ProviderContract
from tests.providers.contract_listing import ListingContract
from tests.providers.contract_writing import WritingContract

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
SECTIONS = {
    "Authorising, and trouble": ProviderContract,
    "Calendars and events": ListingContract,
    "Writing": WritingContract,
}
_HEAD = """# The contract, per provider

Every provider passes the same tests, each against a server of its protocol. This page is what
`make contract` printed last. ✓: passed, with how many cases where there are several; –: does not
apply to this provider, for the reason below; empty: the provider does not do it at all.
"""
_PARTS = {"skipped": "–", "failure": "FAILED", "error": "FAILED"}

Cells = dict[str, dict[str, list[str]]]


def test_names(contract: type) -> list[str]:
    """The tests that a class of the contract brings itself, in their order."""
    return [name for name in vars(contract) if name.startswith("test_")]


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
        package = case.get("classname", "").split(".")[2]
        name, _, parameters = case.get("name", "").partition("[")
        server = re.match(r"radicale|xandikos", parameters)
        column = server[0] if server else package
        skipped = case.find("skipped")
        outcome = next((sign for part, sign in _PARTS.items() if case.find(part) is not None), "✓")
        cells[name][column].append(outcome)
        if skipped is not None:
            reasons[column].add(f"{told(name)}: {skipped.get('message', '')}")
    return cells, reasons


def render(cells: Cells, reasons: dict[str, set[str]]) -> str:
    parts = [_HEAD]
    for title, contract in SECTIONS.items():
        lines = [
            f"\n## {title}\n",
            f"| | {' | '.join(COLUMNS.values())} |",
            f"|---|{'---|' * len(COLUMNS)}",
        ]
        for name in test_names(contract):
            row = [cell(cells.get(name, {}).get(column, [])) for column in COLUMNS]
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
