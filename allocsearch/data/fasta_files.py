"""FASTA files of proteins, plain or gzipped, record by record."""

from __future__ import annotations

import gzip
import io
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from allocsearch.config import InputError, shown
from allocsearch.data.alphabet import AMBIGUOUS, RESIDUES, first_illegal

# Three times the longest protein that is known.
LONGEST_LINE = 100_000
# Of a record, whose lines are held until it ends.
LONGEST_RECORD = 1_000_000
# Of a file once unpacked: what is larger is no set for one machine's memory.
MOST_CHARACTERS = 2**31
# Gzip makes proteins about 5 times smaller, and a bomb of few letters 1,000 times.
MOST_UNPACKED = 200
_ALWAYS_UNPACKED = 10_000_000

_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class FastaRecord:
    """A sequence of a file.

    Attributes:
        path: The file.
        line: That of its header, from 1.
        header: Without the `>`.
        residues: One-letter codes, as they stand in the file, one or more.
    """

    path: Path
    line: int
    header: str
    residues: bytes

    @property
    def name(self) -> str:
        """The first word of the header."""
        return self.header.split(maxsplit=1)[0]

    def field(self, key: str) -> str | None:
        """What stands after `key=` in the header, up to the next space; None where it does not."""
        start = f"{key}="
        words = self.header.split()[1:]
        return next((word[len(start) :] for word in words if word.startswith(start)), None)

    def place(self) -> str:
        """Where it stands, for errors."""
        return f"{self.path}: record {shown(self.name)}, line {self.line}"


def read_fasta(path: Path) -> Iterator[FastaRecord]:
    """The records of a FASTA file, checked; one is in memory at a time, and all names.

    Lines may end as on any system, be empty, and have spaces in them.

    Args:
        path: The file; whether it is gzipped is seen from its content.

    Raises:
        InputError: If Biopython is missing, or the file cannot be read, is a pipe, truncated or
            no text, has no record, a line before the first header, a line, a record or a content
            that is too long, a record without a name or residues, a name twice, or what is no
            residue.
    """
    try:
        # Of the extra `bio`, for those alone who have such files.
        from Bio.SeqIO.FastaIO import SimpleFastaParser
    except ModuleNotFoundError as error:
        raise InputError(
            f"{path}: FASTA files need {error.name}; pip install 'allocsearch[bio]'"
        ) from None
    try:
        mode = path.stat().st_mode
        # A pipe gives its content once, and a device may never end.
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise InputError(f"{path}: found a pipe or a device; allowed: a file")
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    with file:
        lines = _Lines(path, file)
        names: dict[str, int] = {}
        count = 0
        # The parser has read the next header when it gives a record.
        parsed = SimpleFastaParser(iter(lines))  # type: ignore[no-untyped-call]
        for count, (header, residues) in enumerate(parsed, 1):
            record = FastaRecord(path, lines.headers[count - 1], header, residues.encode())
            if not residues:
                raise InputError(f"{record.place()}: found no residues; allowed: one or more")
            first = names.setdefault(record.name, record.line)
            if first != record.line:
                raise InputError(
                    f"{record.place()}: the name stands at line {first} too; allowed: a name of "
                    f"its own for each record"
                )
            yield record
    if not count:
        raise InputError(f"{path}: found no record; allowed: FASTA, headers that start with '>'")


class _Lines:
    """The lines of a FASTA file, each checked.

    Args:
        path: For errors.
        file: The file, from its start.

    Attributes:
        headers: The number of the line of each header so far.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.headers: list[int] = []
        self._path, self._number, self._name = path, 0, ""
        try:
            packed = file.read(2) == _GZIP_MAGIC
            unpacked = max(_ALWAYS_UNPACKED, MOST_UNPACKED * file.seek(0, io.SEEK_END))
            file.seek(0)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}") from None
        self._most = min(MOST_CHARACTERS, unpacked) if packed else MOST_CHARACTERS
        # Bytes that are no text are kept, to say where they are.
        self._text = io.TextIOWrapper(
            gzip.GzipFile(fileobj=file) if packed else file,
            encoding="utf-8-sig",
            errors="surrogateescape",
        )

    def __iter__(self) -> Iterator[str]:
        seen = of_record = 0
        while line := self._next():
            self._number += 1
            seen += len(line)
            of_record = 0 if line[0] == ">" else of_record + len(line.rstrip())
            # Its end, which all systems' become, is none of the line's characters.
            if len(line.removesuffix("\n")) > LONGEST_LINE:
                raise self._error(f"found a line of more than {LONGEST_LINE:,} characters")
            if of_record > LONGEST_RECORD:
                raise self._error(f"found a record of more than {LONGEST_RECORD:,} characters")
            if seen > self._most:
                raise self._error(f"found more than {self._most:,} characters")
            line = line.rstrip()
            if line:
                self._check(line)
                yield line

    def _next(self) -> str:
        try:
            return self._text.readline(LONGEST_LINE + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            self._number += 1
            raise self._error(f"broken gzip file: {error}") from None
        except OSError as error:
            raise InputError(f"{self._path}: {error.strerror or error}") from None

    def _check(self, line: str) -> None:
        if not line.isascii() and any("\udc80" <= character <= "\udcff" for character in line):
            raise self._error("found bytes that are no text; allowed: UTF-8")
        if line[0] == ">":
            self._name = line[1:].split(maxsplit=1)[0] if line[1:].strip() else ""
            self.headers.append(self._number)
            if line[1:2].isspace() or not self._name:
                raise self._error("found a header without a name; allowed: one after the '>'")
            if not line.replace("\t", " ").isprintable():
                raise self._error("found a header with control characters; allowed: text")
        elif not self.headers:
            raise self._error(f"found {shown(line)} before any header; allowed: '>' and a name")
        elif (at := _first_illegal(line)) is not None:
            raise self._error(_illegal(line[at], at))

    def _error(self, problem: str) -> InputError:
        record = f"record {shown(self._name)}, " if self._name else ""
        return InputError(f"{self._path}: {record}line {self._number}: {problem}")


def _first_illegal(line: str) -> int | None:
    """The place, from 0, of the first character that is neither a residue nor a space."""
    # One byte for each character, so that places agree.
    return first_illegal(line.replace(" ", RESIDUES[0]).encode("ascii", "replace"))


def _illegal(found: str, at: int) -> str:
    """What is wrong with a line of residues."""
    gap = " (a gap; sequences are to be unaligned)" if found in "-." else ""
    return (
        f"found {found!r}{gap} at character {at + 1}; allowed: the amino acids {RESIDUES}, "
        f"and {AMBIGUOUS}"
    )
