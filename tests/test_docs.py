"""The documentation is complete."""

import re
from pathlib import Path

import pytest

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
