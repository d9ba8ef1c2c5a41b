"""Scores of a data set of any size, in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from allocsearch.config import InputError
from allocsearch.data.streams import open_stream
from allocsearch.search.detectors.detector import Detector
from allocsearch.search.detectors.score_table import AddRows

# Rows that are written together; a batch alone makes a small group of Parquet.
_LEAST_READ = 4_000


@dataclass(frozen=True)
class Examples:
    """What is to be scored.

    Attributes:
        data: As `text` of `open_stream`.
        array: The array in a .npz file.
        split: The part of a named set.
        resize: Whether images of other size or colours are converted.
    """

    data: str
    array: str | None = None
    split: str | None = None
    resize: bool = False


@dataclass(frozen=True)
class Tally:
    """What was scored.

    Attributes:
        examples: How many.
        flagged: How many of them are OOD.
        threshold: The threshold.
    """

    examples: int
    flagged: int
    threshold: float

    def line(self, score: str, fpr: float) -> str:
        """The counts in a line."""
        share = f" ({self.flagged / self.examples:.2%})" if self.examples else ""
        return (
            f"{self.examples:,} examples, {self.flagged:,} OOD{share}: {score} above "
            f"{self.threshold:.6g}, which {fpr:.4g} of ID examples exceed at most"
        )


def score_examples(
    detector: Detector,
    examples: Examples,
    open_table: Callable[[str], AbstractContextManager[AddRows]],
    fpr: float = 0.05,
    batch_size: int | None = None,
    on_block: Callable[[int, int], None] = lambda done, total: None,
) -> Tally:
    """Score examples, decide which are OOD, and write a table of it.

    Args:
        detector: The detector.
        examples: What to score.
        open_table: From the name of the first column, `file`, `name` or `index`, to a table.
        fpr: The false-positive rate of the decision.
        batch_size: Examples in one pass; None takes that of the detector.
        on_block: Called after every block, with the examples that are done and all of them.

    Raises:
        InputError: If there are no such examples, one is not what the detector takes, or the rate
            is not one that it can promise.
    """
    threshold = detector.threshold(fpr)
    stream = open_stream(examples.data, examples.array, examples.split)
    if stream.names is not None and detector.card.kind != "tokens":
        raise InputError(
            f"--data: found {stream.title}, sequences of residues; allowed: what the detector was "
            f"trained on"
        )
    size = batch_size or detector.card.batch_size
    done = flagged = 0
    column = "index" if stream.files is None else "file"
    with open_table(column if stream.names is None else "name") as add_rows:
        for block in stream.blocks(size * -(-_LEAST_READ // size)):
            last = done + len(block)
            keys: Sequence[str] | range = range(done, last)
            if stream.files is not None:
                keys = [file.member for file in stream.files[done:last]]
            elif stream.names is not None:
                keys = stream.names[done:last]
            where = f"{stream.title}, examples {done} to {last - 1}"
            values = detector.prepare(block, where, resize=examples.resize)
            scores = detector.score_prepared(values, size)
            ood = scores > threshold
            add_rows(keys, scores, ood)
            done, flagged = last, flagged + int(ood.sum())
            on_block(done, stream.count)
    return Tally(done, flagged, threshold)
