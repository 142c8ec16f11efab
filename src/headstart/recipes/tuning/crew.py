"""The parent's side of the workers: start them, wait, stop them, and put in order what a dead one left behind."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from headstart.core.errors import InternalError
from headstart.recipes.tuning.ledger import Ledger
from headstart.recipes.tuning.worker import Job

Ending = Literal["done", "budget", "interrupted"]
POLL = 0.1
BEGIN = (
    "import sys; job = sys.stdin.buffer.read(int(sys.argv[1])); "  # before the imports, which take seconds
    "from headstart.recipes.tuning.worker import main; main(job)"
)


def run_crew(job: Job, workers: int, threads: int, ledger: Ledger, over: Callable[[], bool]) -> Ending:
    """Let `workers` processes do a job, each with its share of `threads`, until it is done.

    over: asked often; the work ends when it says so. Ctrl-C ends it too. What was being tried then waits in the ledger.
    Raises InternalError where a worker fails.
    """
    crew = [_Hand(dataclasses.replace(job, worker=i, threads=max(1, threads // workers))) for i in range(workers)]
    ending: Ending = "done"
    try:
        for hand in crew:
            hand.start()
        while any(hand.busy for hand in crew):
            if over():
                ending = "budget"
                break
            for hand in crew:
                hand.look_after(ledger)
            time.sleep(POLL)
    except KeyboardInterrupt:
        ending = "interrupted"
    finally:
        for hand in crew:
            hand.leave()
        ledger.release()
    return ending


class _Hand:
    """One worker's process, and the one that takes its place should it die."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.busy = True
        self._log = job.folder / f"worker-{job.worker}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._deaths = 0

    def start(self) -> None:
        message = json.dumps(self.job.to_json()).encode()
        environment = {**os.environ, "OMP_NUM_THREADS": str(self.job.threads), "PYTHONPATH": os.pathsep.join(sys.path)}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", BEGIN, str(len(message))],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C is the parent's to answer
            )
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died at once: `look_after` will see
            self._process.stdin.write(message)
            self._process.stdin.flush()

    def look_after(self, ledger: Ledger) -> None:
        """See whether the process has ended, and why."""
        code = self._process.poll() if self._process is not None and self.busy else None
        if code is None:
            return
        self.stop()
        if code == 0:
            self.busy = False
        elif code > 0:
            raise InternalError(f"a worker failed: {_last_line(self._log)}. Its traceback is in {self._log}")
        else:  # killed from outside, often for want of memory
            ledger.release(self.job.worker, died=True)
            self._deaths += 1
            if self._deaths > 4:
                raise InternalError(f"a worker was killed {self._deaths} times (for want of memory?); see {self._log}")
            self.start()

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    self._process.stdin.close()
            self._process = None

    def leave(self) -> None:
        """Stop, and take the log along if nothing is in it."""
        self.stop()
        if self._log.exists() and not self._log.stat().st_size:
            self._log.unlink()


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
