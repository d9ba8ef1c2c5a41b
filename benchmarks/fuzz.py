"""Mutated files through the real loaders: each loads, or is refused in one line, and soon.

Study files (TOML, YAML), search spaces, exported allocations, cards of detectors and `--set`, with
bytes, lines, values or structure changed, and bombs among them: the mutations of the tests, in
tests/config/mutation.py. What loads has to survive being written and read again. A process with
limited memory reads them; it is ended when a case takes too long, and another one goes on.

Prints how many were loaded, refused, crashed and hung, what else was found in the folder that the
cases lie in, and the slowest. Fails unless nothing crashed or hung and no file is too many.

Run: python benchmarks/fuzz.py --cases 10000
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

# The tests have the same mutations.
sys.path.append(str(Path(__file__).parents[1] / "tests" / "config"))
# Seconds that a process may take for its imports.
_START = 300.0


@dataclass(frozen=True)
class Result:
    """What became of a case: `loaded`, `refused`, `crash` or `hang`, in seconds of processor."""

    number: int
    kind: str
    end: str
    seconds: float
    note: str


def read_cases(first: int, last: int, folder: Path, gigabytes: float, out: Connection) -> None:
    """Read cases one after the other in this process, and send what became of each."""
    from mutation import case
    from outcome import outcome, whole_card, write_whole_detector

    os.chdir(folder)
    detector = folder / "detector"
    write_whole_detector(detector)
    card = whole_card(detector)
    # What has been imported takes its own share of addresses.
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = size + int(gigabytes * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    out.send(True)
    for number in range(first, last):
        each = case(number, card)
        start = time.process_time()
        note = ""
        try:
            note = outcome(each, detector if each.kind == "detector" else folder)
            end = "refused" if note else "loaded"
        except BaseException as error:  # noqa: BLE001
            where = traceback.extract_tb(error.__traceback__)[-1]
            end = "crash"
            note = f"{type(error).__name__} in {where.name}: {error}"
        seconds = time.process_time() - start
        out.send(Result(number, f"{each.kind} {Path(each.name).suffix}", end, seconds, note[:200]))


def answers(reader: Connection, pid: int | None, limit: float) -> bool:
    """Whether a process sends something before it has used its seconds of processor.

    One that waits for something is given 60 times as long of the clock.
    """
    process = psutil.Process(pid)
    start, clock = sum(process.cpu_times()[:2]), time.monotonic()
    while not reader.poll(min(limit, 1.0)):
        used = sum(process.cpu_times()[:2]) - start
        if used > limit or time.monotonic() - clock > 60 * limit:
            return False
    return True


def results(
    first: int, last: int, folder: Path, gigabytes: float, limit: float
) -> Iterator[Result]:
    """What became of each case, in order; `limit` is in seconds of processor."""
    context = multiprocessing.get_context("spawn")
    while first < last:
        ready = False
        ours, theirs = context.Pipe(duplex=False)
        reader = context.Process(
            target=read_cases, args=(first, last, folder, gigabytes, theirs), daemon=True
        )
        reader.start()
        theirs.close()
        try:
            ready = ours.poll(_START) and ours.recv()
            while ready and first < last:
                if not answers(ours, reader.pid, limit):
                    yield Result(first, "", "hang", limit, f"more than {limit:g} s")
                    break
                yield ours.recv()
                first += 1
        except EOFError:
            reader.join()
            if ready:
                yield Result(first, "", "crash", 0.0, f"the process ended with {reader.exitcode}")
        finally:
            reader.kill()
            reader.join()
        if not ready:
            raise RuntimeError("the process that reads the cases did not start")
        first += 1


def main() -> int:
    """Print the counts; 0 where no loader broke down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--limit", type=float, default=5.0, help="seconds of processor for a case")
    parser.add_argument("--memory", type=float, default=1.0, help="GiB beyond what imports take")
    options = parser.parse_args()
    counts: Counter[tuple[str, str]] = Counter()
    found: list[Result] = []
    with tempfile.TemporaryDirectory() as temporary:
        outside = Path(temporary)
        folder = outside / "runs" / "study"
        folder.mkdir(parents=True)
        last = options.first + options.cases
        for result in results(options.first, last, folder, options.memory, options.limit):
            counts[result.kind, result.end] += 1
            found.append(result)
            if result.end in ("crash", "hang"):
                print(f"case {result.number} ({result.kind}): {result.end}: {result.note}")
        stray = sorted(p for p in outside.rglob("*") if p.is_file() and folder not in p.parents)
    kinds = sorted({kind for kind, _ in counts})
    print(f"{'':16}{'loaded':>8}{'refused':>8}{'crash':>8}{'hang':>8}")
    for kind in kinds:
        row = "".join(f"{counts[kind, end]:8}" for end in ("loaded", "refused", "crash", "hang"))
        print(f"{kind:16}{row}")
    ends = Counter(result.end for result in found)
    print(f"{'all':16}" + "".join(f"{ends[e]:8}" for e in ("loaded", "refused", "crash", "hang")))
    slowest = sorted(found, key=lambda result: -result.seconds)[:3]
    print("slowest:", ", ".join(f"case {r.number} ({r.kind}) {r.seconds:.2f} s" for r in slowest))
    print(f"files outside of the run folder: {len(stray)} {[str(path) for path in stray]}")
    return 1 if ends["crash"] or ends["hang"] or stray else 0


if __name__ == "__main__":
    sys.exit(main())
