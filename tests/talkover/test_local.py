"""What a run on one's own machine needs before it can start."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from talkover.encryption import parse_keys
from talkover.local import LocalRunError, ensure_local_env, only_run


def test_secrets_are_made_once_and_are_private(tmp_path: Path) -> None:
    path = tmp_path / "local.env"
    first = ensure_local_env(path)
    assert set(first) == {
        "SECRET_KEY",
        "CREDENTIAL_KEYS",
        "SANDBOX_CLIENT_SECRET",
        "DEMO_CALDAV_PASSWORD",
    }
    assert parse_keys(first["CREDENTIAL_KEYS"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_text()
    assert ensure_local_env(path) == first
    assert path.read_text() == before


def test_what_is_missing_is_added_to_what_people_wrote(tmp_path: Path) -> None:
    path = tmp_path / "local.env"
    path.write_text("# mine\nSECRET_KEY=mine\nCREDENTIAL_KEYS=\nLOG_LEVEL=DEBUG\n")
    values = ensure_local_env(path)
    assert values["SECRET_KEY"] == "mine"
    assert values["LOG_LEVEL"] == "DEBUG"
    lines = path.read_text().splitlines()
    assert lines[:3] == ["# mine", "SECRET_KEY=mine", "LOG_LEVEL=DEBUG"]
    assert len(lines) == 6


def test_one_run_at_a_time(tmp_path: Path) -> None:
    with (
        only_run(tmp_path / "var"),
        pytest.raises(LocalRunError, match="Another run already uses"),
        only_run(tmp_path / "var"),
    ):
        pytest.fail("two at once")
    with only_run(tmp_path / "var"):
        assert stat.S_IMODE((tmp_path / "var").stat().st_mode) == 0o700
