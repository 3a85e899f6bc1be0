"""The CalDAV server of `make run`: Radicale, when the development requirements have brought it."""

from __future__ import annotations

import importlib.util
import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from talkover.local import write_private

USER = "demo"
# Radicale's own tree: collections are folders below the name of their owner.
_COLLECTIONS = Path("collections", "collection-root", USER)
_CALENDARS = {"home": ("Home", "#2e7d32"), "team": ("Team", "#1565c0")}
_EVENT = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Talkover//Demo//EN
BEGIN:VEVENT
UID:{uid}
DTSTAMP:{stamp}
DTSTART:{start}
DTEND:{end}
SUMMARY:{title}{more}
END:VEVENT
END:VCALENDAR
"""


@dataclass(frozen=True, kw_only=True)
class Demo:
    """A CalDAV server to try the product with. `command` are arguments for the interpreter."""

    url: str
    user: str
    password: str
    command: tuple[str, ...]


def is_installed() -> bool:
    return importlib.util.find_spec("radicale") is not None


def prepare(folder: Path, *, port: int, password: str) -> Demo:
    """Write what the server needs below `folder`; calendars that are there stay. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(folder / "users", f"{USER}:{password}\n")
    write_private(folder / "config", _configuration(folder, port))
    if not (folder / _COLLECTIONS).exists():
        for number, (name, (title, color)) in enumerate(_CALENDARS.items()):
            _make_calendar(folder / _COLLECTIONS / name, title, color, first_hour=9 + 3 * number)
    return Demo(
        url=f"http://127.0.0.1:{port}/",
        user=USER,
        password=password,
        command=("radicale", "--config", str(folder / "config")),
    )


def _configuration(folder: Path, port: int) -> str:
    sections = {
        "server": {"hosts": f"127.0.0.1:{port}"},
        "auth": {
            "type": "htpasswd",
            "htpasswd_filename": str(folder / "users"),
            "htpasswd_encryption": "plain",
        },
        "storage": {"filesystem_folder": str(folder / "collections")},
        "logging": {"level": "warning"},
    }
    lines = []
    for section, values in sections.items():
        lines += [f"[{section}]", *(f"{name} = {value}" for name, value in values.items()), ""]
    return "\n".join(lines)


def _make_calendar(folder: Path, title: str, color: str, *, first_hour: int) -> None:
    folder.mkdir(mode=0o700, parents=True)
    tag = {"tag": "VCALENDAR", "D:displayname": title, "ICAL:calendar-color": color}
    (folder / ".Radicale.props").write_text(json.dumps(tag), encoding="utf-8")
    monday = datetime.now(UTC).replace(hour=first_hour, minute=0, second=0, microsecond=0)
    monday -= timedelta(days=monday.weekday())
    _write(folder, "Weekly meeting", monday, "\nRRULE:FREQ=WEEKLY;COUNT=20")
    for day in range(1, 5):
        _write(folder, f"Appointment {day}", monday + timedelta(days=day, hours=1))


def _write(folder: Path, title: str, start: datetime, more: str = "") -> None:
    uid = uuid.uuid4().hex
    text = _EVENT.format(
        uid=uid,
        stamp=_utc(datetime.now(UTC)),
        start=_utc(start),
        end=_utc(start + timedelta(hours=1)),
        title=title,
        more=more,
    )
    (folder / f"{uid}.ics").write_bytes(text.replace("\n", "\r\n").encode())


def _utc(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%SZ}"
