"""Runs several programs in the foreground, as one: they start, print and end together.

Needs nothing but the standard library. The programs get sessions of their own, so that Ctrl-C
reaches only us, and nothing outlives us: on Linux the kernel ends them when we are killed.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO

_PR_SET_PDEATHSIG = 1
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program to run: what its lines are prefixed with, its arguments, its environment."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class _Ended:
    name: str
    code: int


@dataclass(frozen=True)
class _Signalled:
    number: int


def end_with_parent(ends_with: signal.Signals = signal.SIGTERM) -> Callable[[], None] | None:
    """A `preexec_fn` that has Linux send the child this signal when its parent dies; else None."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up here: nothing should be loaded after the fork
    return lambda: prctl(_PR_SET_PDEATHSIG, int(ends_with))


class Supervisor:
    """Runs programs until one ends or a signal comes, then ends all."""

    def __init__(self, *, folder: Path, output: IO[str], stop_seconds: float = 5.0) -> None:
        self._folder = folder
        self._output = output
        self._stop_seconds = stop_seconds
        self._lock = threading.Lock()
        self._running: dict[str, subprocess.Popen[str]] = {}
        # Simple: its put() may be called from a signal handler.
        self._news: SimpleQueue[_Ended | _Signalled] = SimpleQueue()
        self._width = 0

    def say(self, text: str) -> None:
        """Print whole lines, not mixed with what the programs print."""
        with self._lock:
            self._output.write(text.rstrip("\n") + "\n")
            self._output.flush()

    def run(
        self,
        programs: Sequence[Program],
        *,
        is_ready: Callable[[], bool],
        when_ready: Callable[[], None],
    ) -> int:
        """Start all, call `when_ready` once `is_ready`, wait. Returns what to exit with.

        0 after Ctrl-C, SIGTERM or SIGHUP; 1 when a program ended by itself.
        """
        previous = {
            number: signal.signal(number, self._on_signal)
            for number in _STOP_SIGNALS
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN  # nohup
        }
        self._width = max(len(program.name) for program in programs)
        try:
            for program in programs:
                self._running[program.name] = self._start(program)
            # Only now: a fork is safest before there are threads.
            for name, process in self._running.items():
                for job in (self._copy_lines, self._await_end):
                    threading.Thread(target=job, args=(name, process), daemon=True).start()
            return self._watch(is_ready, when_ready)
        finally:
            self._stop()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: object) -> None:
        self._news.put(_Signalled(number))

    def _start(self, program: Program) -> subprocess.Popen[str]:
        return subprocess.Popen(  # noqa: S603  the caller's own commands
            program.command,
            cwd=self._folder,
            env=dict(program.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=end_with_parent(),  # noqa: PLW1509  one prctl call, and no threads yet
        )

    def _copy_lines(self, name: str, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None  # noqa: S101  for the type checker
        for line in process.stdout:
            self.say(f"{name:{self._width}} | {line}")

    def _await_end(self, name: str, process: subprocess.Popen[str]) -> None:
        self._news.put(_Ended(name, process.wait()))

    def _watch(self, is_ready: Callable[[], bool], when_ready: Callable[[], None]) -> int:
        ready = False
        while True:
            try:
                news = self._news.get(timeout=None if ready else 0.1)
            except Empty:
                if is_ready():
                    ready = True
                    when_ready()
                continue
            if isinstance(news, _Signalled):
                self.say("Stopping.")
                return 0
            how = f"signal {-news.code}" if news.code < 0 else f"code {news.code}"
            self.say(f"{news.name} has ended ({how}): stopping the others.")
            return 1

    def _stop(self) -> None:
        """End all: ask first, then kill, at once when a second Ctrl-C comes."""
        for process in self._running.values():
            process.terminate()  # it alone: a worker's pool must not die in the middle of its tasks
        deadline = time.monotonic() + self._stop_seconds
        while any(process.poll() is None for process in self._running.values()):
            try:
                hurry = isinstance(self._news.get(timeout=0.1), _Signalled)
            except Empty:
                hurry = False
            if hurry or time.monotonic() > deadline:
                break
        for process in self._running.values():
            with suppress(ProcessLookupError, PermissionError):
                # Also what it has started and left behind: its session is its process group.
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
