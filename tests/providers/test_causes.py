"""Every code that can be shown has words, in the product and in docs/errors.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from providers import errors, run_writer, sync_reader
from providers.causes import CAUSES, explain

ROOT = Path(__file__).resolve().parents[2]


def all_codes() -> set[str]:
    modules = (errors, sync_reader, run_writer)
    codes = {
        value.code
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, errors.ProviderError)
    }
    for name in ("handshake", "sync", "sync_failures", "tasks", "credentials", "connect"):
        source = (ROOT / "providers" / f"{name}.py").read_text()
        codes |= set(re.findall(r'(?:Refused|UnknownRequest|Outcome)\("(\w+)"', source))
        codes |= set(re.findall(r'\bcode="(\w+)"', source))
    return codes


def test_every_code_has_words() -> None:
    assert len(all_codes()) > 20
    assert all_codes() <= CAUSES.keys()


def test_the_documentation_has_every_code_with_the_same_words() -> None:
    table = dict(
        re.findall(
            r"^\| `(\w+)` \| (.+ \| .+) \|$",
            (ROOT / "docs" / "errors.md").read_text(),
            re.MULTILINE,
        )
    )
    assert table == {code: f"{words.cause} | {words.remedy}" for code, words in CAUSES.items()}


@pytest.mark.parametrize("code", CAUSES)
def test_words_are_whole_sentences(code: str) -> None:
    words = explain(code)
    for text in (words.cause, words.remedy):
        assert text[0].isupper()
        assert text.endswith(".")
