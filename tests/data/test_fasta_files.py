from __future__ import annotations

import errno
import gzip
import io
import os
import random
import sys

import pytest

from allocsearch.config import InputError
from allocsearch.data import fasta_files
from allocsearch.data.fasta_files import read_fasta

GOOD = b">a family=RVP x=1\nACDE\nFG\n>b\nKLM\n"


def read(path, content):
    path.write_bytes(content)
    return list(read_fasta(path))


def message(path, content):
    with pytest.raises(InputError) as raised:
        read(path, content)
    found = str(raised.value)
    assert "\n" not in found
    assert len(found) < 400
    assert found.startswith(f"{path}: ")
    return found.removeprefix(f"{path}: ")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "proteins.fasta"


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        GOOD.replace(b"\n", b"\r\n"),
        GOOD.replace(b"\n", b"\r"),
        GOOD.replace(b"\n", b"\n\n"),
        GOOD.rstrip(),
        b"\xef\xbb\xbf" + GOOD,
        GOOD.replace(b"ACDE\n", b"AC DE  \n"),
    ],
)
def test_line_ends_blanks_and_gzip_do_not_matter(path, content, pack):
    first, second = read(path, pack(content))
    assert (first.name, first.header) == ("a", "a family=RVP x=1")
    assert (first.residues, second.residues) == (b"ACDEFG", b"KLM")
    assert (first.field("family"), first.field("x"), first.field("y")) == ("RVP", "1", None)
    assert first.line == 1


BAD = [
    (b"", "found no record"),
    (b"\n \r\n", "found no record"),
    (gzip.compress(b"", mtime=0), "found no record"),
    (b"ACDE\n>a\nACDE\n", "line 1: found 'ACDE' before any header; allowed: '>' and a name"),
    (b">a\nACDE\n>b\nAC1E\n", "record 'b', line 4: found '1' at character 3; allowed: the amino"),
    (b">a\nA C*\n", "record 'a', line 2: found '*' at character 4; "),
    (b">a\nAC-E\n", "record 'a', line 2: found '-' (a gap; sequences are to be unaligned)"),
    (b">a\nACDE\n>a x\nACDF\n", "record 'a', line 3: the name stands at line 1 too"),
    (b">a\nACDE\n>b\n\n>c\nAC\n", "record 'b', line 3: found no residues"),
    (b">a\nACDE\n>b", "record 'b', line 3: found no residues"),
    (b">a\nACDE\n>\nAC\n", "line 3: found a header without a name"),
    (b">a\xff\nAC\n", "line 1: found bytes that are no text; allowed: UTF-8"),
    (b">a\x1b[2J\nAC\n", "record 'a\\x1b[2J', line 1: found a header with control characters"),
    (b">a\nAC\xe9D\n", "record 'a', line 2: found bytes that are no text"),
    (">a\nACÉD\n".encode(), "record 'a', line 2: found 'É' at character 3"),
    (">a\nACDE\n".encode("utf-16"), "line 1: found "),
    (bytes(random.Random(0).randrange(128, 256) for _ in range(500)), "line 1: found "),
    (b"\x00" * 500, "line 1: found "),
    (b">a\n" + b"A" * 1_000_000 + b"\n", "record 'a', line 2: found a line of more than 100,000"),
    (b">a" + b"a" * 1_000_000, "line 1: found a line of more than 100,000 characters"),
    (b"\x1f\x8bnot gzip at all", "line 1: broken gzip file"),
]


@pytest.mark.parametrize(("content", "expected"), BAD)
def test_what_is_wrong_is_one_line_with_record_and_line(path, content, expected):
    assert message(path, content).startswith(expected)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\r"])
def test_the_end_of_a_line_does_not_count(path, end):
    longest = b"A" * fasta_files.LONGEST_LINE
    [record] = read(path, b">a\n" + longest + end)
    assert record.residues == longest
    found = message(path, b">a\n" + longest + b"A" + end)
    assert found == "record 'a', line 2: found a line of more than 100,000 characters"


def test_truncated_gzip(path):
    random.seed(0)
    records = "".join(
        f">s{i}\n{''.join(random.choices('ACDEFGHIKLMNPQRSTVWY', k=60))}\n" for i in range(2000)
    )
    packed = gzip.compress(records.encode())
    # Half of it, and all but the checksum at its end.
    assert message(path, packed[: len(packed) // 2]).startswith("record 's")
    found = message(path, packed[:-6])
    assert found.startswith("record 's1999', line 4001: broken gzip file: ")
    assert message(path, packed[:-5] + b"x" + packed[-4:]).split(": ")[1] == "broken gzip file"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b">a\n" + b"A" * 300_000, "record 'a', line 2: found a line of more than 100,000 char"),
        (b">a\n" + b"AA\n" * 2_200, "record 'a', line 2002: found a record of more than 4,000 ch"),
        (b"\n" * 9_000, "line 7001: found more than 7,000 characters"),
        (b">a\nA\n" + b">b\nACD\n" * 9, "record 'b', line 5: the name stands at line 3 too"),
        (b"".join(b">%d\nAC\n" % i for i in range(2_000)), "record '888', line 1778: found more"),
    ],
)
def test_a_gzip_bomb_is_read_up_to_a_limit(path, content, expected, monkeypatch):
    monkeypatch.setattr(fasta_files, "LONGEST_RECORD", 4_000)
    monkeypatch.setattr(fasta_files, "_ALWAYS_UNPACKED", 7_000)
    monkeypatch.setattr(fasta_files, "MOST_UNPACKED", 1)
    assert message(path, gzip.compress(content)).startswith(expected)


def test_a_large_file_that_is_not_packed_has_a_limit_of_its_own(path, monkeypatch):
    monkeypatch.setattr(fasta_files, "_ALWAYS_UNPACKED", 10)
    monkeypatch.setattr(fasta_files, "MOST_UNPACKED", 0)
    assert len(read(path, GOOD)) == 2
    monkeypatch.setattr(fasta_files, "MOST_CHARACTERS", 20)
    assert message(path, GOOD) == "record 'a', line 2: found more than 20 characters"


def test_a_file_that_cannot_be_opened(path):
    with pytest.raises(InputError, match=r"proteins.fasta: No such file"):
        list(read_fasta(path))
    with pytest.raises(InputError, match=r"Is a directory"):
        list(read_fasta(path.parent))


def test_a_pipe_is_no_file(path):
    os.mkfifo(path)
    # Open at both ends, so that nobody waits for the other.
    pipe = os.open(path, os.O_RDWR)
    try:
        os.write(pipe, GOOD)
        with pytest.raises(InputError) as raised:
            list(read_fasta(path))
    finally:
        os.close(pipe)
    assert str(raised.value) == f"{path}: found a pipe or a device; allowed: a file"


def test_a_disk_that_fails_at_the_start(path, monkeypatch):
    class Failing(io.BytesIO):
        def read(self, size=-1):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    path.write_bytes(GOOD)
    monkeypatch.setattr(type(path), "open", lambda self, mode: Failing())
    with pytest.raises(InputError, match=r"proteins.fasta: Input/output error$"):
        list(read_fasta(path))


def test_without_biopython_the_extra_is_named(path, monkeypatch):
    path.write_bytes(GOOD)
    monkeypatch.setitem(sys.modules, "Bio.SeqIO.FastaIO", None)
    with pytest.raises(InputError, match=r"need Bio.*; pip install 'allocsearch\[bio\]'$"):
        list(read_fasta(path))
