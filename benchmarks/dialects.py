"""The first sync of Microsoft, CalDAV and feeds, each beside a floor of its own (`floors`), at the
prepared provider (`prepared`). A source's kind says whose it is.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import urllib3

from benchmarks import floors

if TYPE_CHECKING:
    from benchmarks.arms import Bench, Result
    from benchmarks.stack import Place

REPOSITORY = Path(__file__).resolve().parent.parent
KINDS = ("microsoft", "caldav", "ics")


@contextmanager
def start() -> Iterator[str]:
    """The prepared provider's `host:port`."""
    with ExitStack() as kept:
        process = kept.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.prepared"],
                cwd=REPOSITORY,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        kept.callback(process.kill)
        assert process.stdout is not None
        yield f"127.0.0.1:{int(process.stdout.readline())}"


def connect(host: str, kind: str, size: int) -> Place:
    """A source at the prepared provider."""
    from benchmarks.stack import Place
    from providers.access import store_entered
    from providers.base import Access
    from tests.providers.sync_remote import make_source

    root = f"http://{host}/{kind}/{size}"
    if kind == "microsoft":
        source = make_source(kind=kind, configuration={"api_root_endpoint": root})
    elif kind == "caldav":
        source = make_source(kind=kind, external_id=f"{root}/calendar/")
        access = Access(address=f"{root}/", user="bench", secret="secret")
        store_entered(connection=source.connection, access=access)
    else:
        source = make_source(kind=kind, external_id="feed")
        store_entered(connection=source.connection, access=Access(address=root, secret=""))
    return Place(str(source.pk), f"http://{host}")


def first(bench: Bench) -> Result:
    """The product's."""
    bench.reset()
    _prepare(bench)
    seconds, run = bench.sync()
    return {"seconds": seconds, "events": run.events_changed}


def first_floor(bench: Bench) -> Result:
    """With the parser that is kept."""
    return _floor(bench, floors.kept)


def first_plain_floor(bench: Bench) -> Result:
    """With the least reading of iCalendar's lines."""
    return _floor(bench, floors.plain)


def again(bench: Bench) -> Result:
    """A feed of which a hundredth has changed, after its first sync."""
    bench.reset()
    _prepare(bench)
    bench.sync()
    bench.settle()
    _touch(bench)
    seconds, run = bench.sync()
    assert 0 < run.events_changed < run.events_seen / 50, (run.events_changed, run.events_seen)
    return {"seconds": seconds, "events": run.events_seen}


def again_floor(bench: Bench) -> Result:
    """Only what differs from the versions in the table is parsed and written."""
    bench.reset()
    http, writer = _prepare(bench), bench.writer()
    url = _root(bench)
    for several in floors.rows_of(floors.feed_blocks(http, url), floors.plain):
        writer.write(several)
    bench.settle()
    _touch(bench)
    begin = time.perf_counter()
    before = writer.versions()
    changed = [block for block in floors.feed_blocks(http, url) if before[block[0]] != block[1]]
    for several in floors.rows_of(changed, floors.kept):
        writer.write(several)
    seconds = time.perf_counter() - begin
    writer.close()
    assert 0 < len(changed) < len(before) / 50
    return {"seconds": seconds, "events": len(before)}


def _floor(bench: Bench, parser: floors.Parser) -> Result:
    bench.reset()
    http, writer = _prepare(bench), bench.writer()
    begin = time.perf_counter()
    events = 0
    for several in _rows(bench, http, parser):
        writer.write(several)
        events += len(several)
    seconds = time.perf_counter() - begin
    writer.close()
    return {"seconds": seconds, "events": events, "bytes": bench.stored_bytes()}


def _rows(
    bench: Bench, http: urllib3.PoolManager, parser: floors.Parser
) -> Iterable[list[tuple[Any, ...]]]:
    root = _root(bench)
    match bench.configuration.kind:
        case "microsoft":
            url = f"{root}/me/calendars/{bench.source.external_id}/calendarView/delta?"
            return floors.graph_rows(http, url, bench.accesses.current().secret)
        case "caldav":
            blocks = floors.caldav_blocks(http, bench.source.external_id)
            return floors.rows_of(blocks, parser)
        case _:
            return floors.rows_of(floors.feed_blocks(http, root), parser)


def _root(bench: Bench) -> str:
    if bench.configuration.kind == "microsoft":
        return bench.configuration.endpoints().api_root
    return bench.accesses.current().address


def _prepare(bench: Bench) -> urllib3.PoolManager:
    """The bytes made, and the connections there, before the clock runs."""
    size = bench.source.external_id if bench.configuration.kind == "caldav" else _root(bench)
    number = size.split("/")[4]
    url = f"{bench.sandbox}/make/{bench.configuration.kind}/{number}"
    http = urllib3.PoolManager(maxsize=1, retries=False)
    assert http.request("GET", url).status == 200
    assert bench.http.request("GET", url).status == 200
    return http


def _touch(bench: Bench) -> None:
    assert urllib3.request("POST", f"{_root(bench)}/touch").status == 200
