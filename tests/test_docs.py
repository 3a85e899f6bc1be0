"""The documentation is complete."""

import re
from pathlib import Path

import pytest

from providers import causes
from providers.base import Capability
from tests import contract_table
from tests.plugin import settings_variables

ROOT = Path(__file__).resolve().parent.parent
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()


@pytest.mark.parametrize("name", settings_variables())
def test_configuration_lists_every_variable_that_settings_read(name: str) -> None:
    assert f"\n| `{name}` |" in CONFIGURATION


def test_configuration_lists_no_variable_that_nobody_reads() -> None:
    own_part = CONFIGURATION.split("## Read by others")[0]
    documented = set(re.findall(r"\n\| `([A-Z0-9_]+)` \|", own_part))
    assert documented == set(settings_variables())


def documents() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
        assert (document.parent / target).exists(), target


def test_the_contract_lists_every_test_of_the_contract_and_no_failure() -> None:
    text = contract_table.PAGE.read_text()
    rows = re.findall(r"^\| ([a-z][^|]*) \|", text, re.MULTILINE)
    sections = contract_table.SECTIONS
    names = [name for section in sections for name in contract_table.test_names(section)]
    assert rows == [contract_table.told(name) for name in names]
    assert "FAILED" not in text


def test_the_contract_says_what_each_provider_declares() -> None:
    table = contract_table.abilities()
    assert table in contract_table.PAGE.read_text()
    for capability in Capability:
        assert f"\n| `{capability}` |" in table


TABLES = ("security.md", "reliability.md", "errors.md")


@pytest.mark.parametrize("document", TABLES)
def test_every_row_of_tables_of_tests_names_tests_that_exist(document: str) -> None:
    text = (ROOT / "docs" / document).read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not re.search(rf"^\s*def {name}\(", _source(file), re.MULTILINE)
    ]
    assert not missing
    untested = [row for row in _rows_of_test_tables(text) if "`tests/" not in row.split("|")[-2]]
    assert not untested
    assert _rows_of_test_tables(text)


def test_what_people_read_is_what_the_product_says() -> None:
    """The table of mishaps against the words of `providers.causes`."""
    rows = _rows_of_test_tables((ROOT / "docs" / "errors.md").read_text())
    assert len(rows) == 13
    for row in rows:
        _, code, said, _ = (cell.strip() for cell in row.strip("|").split(" | "))
        if words := causes.CAUSES.get(code.strip("`")):
            assert said == f"{words.cause} {words.remedy}"


def _rows_of_test_tables(text: str) -> list[str]:
    """The rows below each `| … | test |`, without the line below the heading."""
    rows, inside = [], False
    for line in text.splitlines():
        inside = line.startswith("|") and (inside or line.endswith(" | test |"))
        if inside and not line.endswith("| test |") and not line.startswith("|---"):
            rows.append(line)
    return rows


def _source(file: str) -> str:
    path = ROOT / file
    return path.read_text() if path.is_file() else ""
