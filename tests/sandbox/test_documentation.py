"""docs/sandbox.md names everything that can be ordered, and nothing else."""

import re

import pytest

from tests.sandbox.process import REPOSITORY, SandboxProcess

TEXT = (REPOSITORY / "docs" / "sandbox.md").read_text()


def rows(heading: str) -> dict[str, str]:
    """The rows of the table below a heading, by the names in their first cell."""
    part = TEXT.split(f"## {heading}\n")[1].split("\n## ")[0]
    table = re.findall(r"^\| (`.+?) \| (.+) \|$", part, re.MULTILINE)
    return {name: says for names, says in table for name in re.findall(r"`(.+?)`", names)}


def test_every_kind_with_its_reasons_and_targets(calm: SandboxProcess) -> None:
    kinds, documented = calm.control("GET", "kinds")["kinds"], rows("Troubles")
    assert set(documented) == set(kinds)
    targets = max((kind["targets"] for kind in kinds.values()), key=len)
    for name, kind in kinds.items():
        named = set(re.findall(r"`(\w+)`", documented[name]))
        assert named.issuperset(kind["reasons"]), name
        assert named.issuperset(kind["needs"]), name
        if kind["targets"] != targets:
            assert named & set(targets) == set(kind["targets"]), name
    assert all(f"`{target}`" in TEXT.split("## Troubles")[1] for target in targets)


def test_every_switch(calm: SandboxProcess) -> None:
    assert set(rows("Switches")) == set(calm.control("GET", "settings"))
    of_one = TEXT.split("For one account:")[1].split("\n## ")[0]
    switches = calm.control("GET", "accounts/empty@sandbox.example/settings")
    assert all(f"`{name}`" in of_one for name in switches)


def test_every_path() -> None:
    addresses = (REPOSITORY / "providers/sandbox/urls.py").read_text()
    paths = {
        re.sub(r"<str:(?:\w+_)?(\w+)>", r"{\1}", path)
        for path in re.findall(r'path\("control/(.+?)"', addresses)
    }
    written = {path.replace("{event}", "{id}") for path in rows("The control API")}
    assert written == paths


@pytest.mark.parametrize("document", ["README.md", "docs/architecture.md"])
def test_it_is_found(document: str) -> None:
    assert "sandbox.md)" in (REPOSITORY / document).read_text()
