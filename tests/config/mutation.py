"""Files that are nearly what the loaders take: seeded mutations of good ones, bombs among them."""

from __future__ import annotations

import json
import random
import re
import tomllib
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import tomli_w

from allocsearch.config import StudyConfig, format_yaml, load
from allocsearch.report.exports.export import ExportedAllocation, Provenance

ROOT = Path(__file__).parents[2]
Kind = Literal["study", "space", "export", "override", "detector"]
KINDS: tuple[Kind, ...] = ("study", "space", "export", "override", "detector")

_BYTES = (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\0", b"\xef\xbb\xbf", b"\r\n", b"\r", b"\x1b[2J")
_BYTES += (
    b"\x85",
    "\u2028".encode(),
    "\u202e".encode(),
    b"\t",
    b'"',
    b"'",
    b"[",
    b"{",
    b"=",
    b":",
)
_BYTES += (b"#", b"\\", b"-", b"&a ", b"*a ", b"!", b"%", b"|", b">", b"?", b"~", b"9" * 50, b"..")
_NUMBERS = (
    "9" * 5_000,
    "-" + "9" * 400,
    "1e400",
    "-1e400",
    "1e-400",
    "nan",
    "inf",
    "-inf",
    ".nan",
)
_NUMBERS += ("-.inf", "NaN", "-Infinity", "0x" + "f" * 5_000, "0o7777", "010", "1_0", "-0.0", "0")
_NUMBERS += ("-1", "1.5", "2147483647", "2147483648", "9223372036854775808", "1" + ":59" * 2_000)
_NUMBERS += (
    "190:20:30.15",
    "1" + ":59" * 400 + ".5",
    "+",
    "1e",
    "0b2",
    "1000",
    "1001",
    "100000000",
)
_TEXTS = ("../../etc/passwd", "/etc/passwd", "..", ".", "a/b", "a\\b", "~", "", " ", "x" * 50_000)
_TEXTS += (
    "\0",
    "\n",
    "\x1b[31m",
    "\u202e",
    "\ud800",
    "d\u0456gits",
    "digits\u200b",
    "\uff0e\uff0e",
)
_TEXTS += ("<script>alert(1)</script>", "{out}", "{0.__class__}", "${HOME}", "%s%n", "/dev/zero")
_TEXTS += ("/dev/stdin", ".toml", "-" * 3_000, "1-" * 3_000 + "1", "9" * 5_000, "8-8-8", "64-18-6")
_TEXTS += ("max:auroc", "min:" + "a" * 9_000, "max:\x1b[2J", "(a+)+$", "a" * 5_000 + "!", "true")
_RAW = ("[]", "{}", "[[]]", "[[[1]]]", "true", "null", "~", "yes", "1979-05-27", "07:32:00", "é")
_RAW += (
    "1979-05-27T07:32:00Z",
    "2020-13-45",
    "0000-00-00",
    "[" * 3_000,
    "{a=" * 500,
    "{a: " * 500,
)
_RAW += ("[1, 'a', {}]", "{a = 1, a = 2}", "{a.b = 1, a = 2}", "{wrong = [1]}", '"""', "'''", "")
_RAW += ("!!python/object/apply:os.system ['true']", "!!python/name:os.system", "!!bool foo")
_RAW += ("!!int ''", "!!float ''", "!!timestamp x", "!!binary é", "!!binary x", "!!set {a}")
_RAW += ("!!omap [a: 1]", "!!pairs [a: 1]", "!!null x", "!!str [a]", "!!seq a", "!!map a", "!x y")
_RAW += (
    "&a [*a]",
    "&a {x: *a}",
    "*missing",
    "{<<: {a: 1}}",
    "? [1]\n: 2",
    "|\n  x",
    "- 1",
    "%TAG",
)
_KEYS = (
    "",
    " ",
    "__proto__",
    "__class__",
    "model_config",
    "1",
    "null",
    "true",
    "<<",
    "=",
    "a" * 999,
)
_KEYS += (
    ".".join("a" * 3_000),
    "a.b",
    "study.name",
    "file",
    "\u0455tudy",
    "\0",
    "\x1b[2J",
    "\ud800",
)
_VALUES: tuple[Any, ...] = (None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 1e308, -1.5)
_VALUES += (float("nan"), float("inf"), [], {}, [[]], [None], [1, "a"], {"": 1}, {"a": {"a": 1}})
_ENDINGS = {"export": ("toml", "yaml", "json"), "detector": ("json",)}
_LINE = re.compile(r'^(\s*"?[\w.]+"?\s*[=:]\s*)(.*?)(,?)$')


@dataclass(frozen=True)
class Case:
    """Something for a loader: a file of a kind by its name, and overrides for a study."""

    kind: Kind
    name: str
    content: bytes
    overrides: tuple[str, ...] = ()


def case(number: int, card: dict[str, Any]) -> Case:
    """The case of a number, always the same for one card of a whole detector."""
    source = random.Random(number)
    kind = KINDS[number % len(KINDS)]
    good = card if kind == "detector" else source.choice(_good(kind))
    ending = source.choice(_ENDINGS.get(kind, ("toml", "yaml")))
    if kind == "override":
        return Case(kind, "study.toml", _written(good, "toml"), _overrides(source, good))
    if source.random() < 0.04:
        return Case(kind, f"{kind}.{ending}", source.choice(_BOMBS[ending])(source).encode())
    content = _written(_changed(source, good) if source.random() < 0.4 else good, ending)
    for _ in range(source.choice((0, 1, 1, 2, 5))):
        content = source.choice((_bytes, _bytes, _lines, _values, _values))(source, content)
    return Case(kind, f"{kind}.{ending}", content)


@cache
def _good(kind: Kind) -> list[dict[str, Any]]:
    if kind == "space":
        return [tomllib.loads(p.read_text()) for p in sorted(ROOT.glob("search_spaces/*.toml"))]
    studies = [load(path) for path in sorted(ROOT.glob("studies/*.toml"))]
    if kind == "export":
        return [_export(study).model_dump(mode="json", exclude_none=True) for study in studies]
    return [study.model_dump(mode="json", exclude_none=True) for study in studies]


def _export(study: StudyConfig) -> ExportedAllocation:
    layers = study.search_space.layer_counts[0]
    dims = (study.search_space.budget - layers + 1, *(1,) * (layers - 1))
    return ExportedAllocation(
        allocation="-".join(map(str, dims)),
        dims=dims,
        seed=7,
        data=study.data,
        model=study.model,
        training=study.training,
        evaluation=study.evaluation,
        trainer=study.trainer if study.trainer.foreign else None,
        provenance=Provenance(study=study.study.name, trial=3, versions={"torch": "2.6"}),
        metrics={"auroc": 0.9, "retention": 9.5},
    )


def _written(content: Any, ending: str) -> bytes:
    try:
        if ending == "json":
            return json.dumps(content, indent=1).encode()
        if ending == "toml":
            return tomli_w.dumps(_without_null(content)).encode("utf-8", "surrogatepass")
        return format_yaml(content).encode("utf-8", "surrogatepass")
    except (AttributeError, TypeError, ValueError):
        # There are values that a format has no way to write.
        return repr(content).encode("utf-8", "surrogatepass")


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_null(v) for k, v in value.items() if v is not None}
    return [_without_null(v) for v in value if v is not None] if isinstance(value, list) else value


def _changed(source: random.Random, content: dict[str, Any]) -> dict[str, Any]:
    """The content with some places of its tree dropped, renamed, copied, nested or replaced."""
    root = deepcopy(content)
    for _ in range(source.choice((1, 1, 2, 4))):
        places = list(_places(root))
        if not places:
            break
        where, key = source.choice(places)
        other, its_key = source.choice(places)
        value = where[key]
        change = source.randrange(8)
        if change == 0:
            del where[key]
        elif change == 1 and isinstance(where, dict):
            where[source.choice((*_KEYS, str(its_key), str(key)[:-1]))] = where.pop(key)
        elif change == 2:
            where[key] = deepcopy(other[its_key])
        elif change == 3:
            where[key] = deepcopy(source.choice(([value], {"a": value}, [value, 1], str(value))))
        elif change == 4:
            where[key] = source.choice(_TEXTS)
        elif change == 5 and isinstance(value, list) and value:
            where[key] = [deepcopy(each) for each in value * source.choice((2, 100))]
        elif change == 6 and isinstance(value, int | float):
            where[key] = source.choice((-value, value + 1, value * 1000, float(value), value / 3))
        else:
            where[key] = deepcopy(source.choice(_VALUES))
    return root


def _places(node: Any) -> Any:
    pairs = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in pairs:
        yield node, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _bytes(source: random.Random, content: bytes) -> bytes:
    start = source.randrange(len(content) + 1)
    end = min(len(content), start + source.choice((0, 1, 1, 3, 12, 60)))
    piece, change = content[start:end], source.randrange(6)
    if change == 0:
        piece = bytes(byte ^ (1 << source.randrange(8)) for byte in piece)
    elif change == 1:
        piece = b""
    elif change == 2:
        piece *= source.choice((2, 3, 50))
    elif change == 3:
        return content[:start]
    elif change == 4:
        piece = bytes(reversed(piece))
    else:
        piece += source.choice(_BYTES)
    return content[:start] + piece + content[end:]


def _lines(source: random.Random, content: bytes) -> bytes:
    lines = content.split(b"\n")
    here, there = source.randrange(len(lines)), source.randrange(len(lines))
    change = source.randrange(5)
    if change == 0:
        del lines[here]
    elif change == 1:
        lines.insert(there, lines[here])
    elif change == 2:
        lines[here], lines[there] = lines[there], lines[here]
    elif change == 3:
        lines[here] = b" " * source.choice((1, 2, 4, 2_000)) + lines[here]
    else:
        lines[here : here + 1] = [lines[here]] * source.choice((3, 500))
    return b"\n".join(lines)


def _values(source: random.Random, content: bytes) -> bytes:
    """The content with another key or value in one of its lines."""
    lines = content.decode("utf-8", "replace").split("\n")
    found = [(i, match) for i, line in enumerate(lines) if (match := _LINE.match(line))]
    if not found:
        return content
    here, match = source.choice(found)
    start, value, end = match.groups()
    if source.random() < 0.2:
        key = source.choice(_KEYS)
        start = source.choice((f"{key} = ", f"{key}: ", f"{json.dumps(key)}: "))
    else:
        value = _value(source)
    lines[here] = f"{start}{value}{end}"
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _value(source: random.Random) -> str:
    text = source.choice(_TEXTS)
    return source.choice(
        (
            source.choice(_NUMBERS),
            source.choice(_RAW),
            source.choice((json.dumps(text), f"'{text}'", text, f"[{json.dumps(text)}]")),
        )
    )


def _overrides(source: random.Random, good: dict[str, Any]) -> tuple[str, ...]:
    sections = {name: found for name, found in good.items() if isinstance(found, dict)}
    keys = [f"{s}.{key}" for s, section in sections.items() for key in section]
    keys += ["search_space.file", "study.storage", "data.id.path", "trainer.function"]
    texts = []
    for _ in range(source.choice((1, 1, 2, 4))):
        key = source.choice(keys)
        if source.random() < 0.2:
            key = source.choice((*_KEYS, f"{key}.{source.choice(_KEYS)}", key.upper(), f".{key}"))
        equals = source.choice(("=", "=", "=", "=", " = ", "==", ""))
        section, _, own = key.partition(".")
        kept = good.get(section, {}).get(own, 1)
        value = json.dumps(kept) if source.random() < 0.5 else _value(source)
        text = f"{key}{equals}{value}"
        argument = text.encode("utf-8", "surrogatepass")
        if source.random() < 0.2:
            argument = _bytes(source, argument)
        # An argument of a process is no longer, has no NUL in it, and is decoded like this.
        argument = argument[: 2**17].replace(b"\0", b"")
        texts.append(argument.decode("utf-8", "surrogateescape"))
    return tuple(texts)


def _laughs(source: random.Random) -> str:
    depth, width = source.choice((5, 40)), source.choice((2, 10))
    lines = ["a0: &a0 [lol, lol]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * width)}]" for i in range(1, depth)]
    place = source.choice(
        ("study: {name: *T}", "search_space: {budget: 8, allocations: *T, layers: *T}", "<<: *T")
    )
    return "\n".join([*lines, place.replace("*T", f"*a{depth - 1}")])


def _merges(source: random.Random) -> str:
    width = source.choice((2, 10, 300))
    lines = ["a0: &a0 {budget: 8, kind: simplex}"]
    lines += [
        f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * width)}]}}"
        for i in range(1, source.choice((3, 9)))
    ]
    return "\n".join([*lines, "search_space: *a1"])


def _nested(opening: str, closing: str) -> Callable[[random.Random], str]:
    def text(source: random.Random) -> str:
        n = source.choice((50, 500, 3_000, 20_000))
        return opening * n + closing * source.choice((0, n))

    return text


def _repeated(piece: str, start: str = "", most: int = 20_000) -> Callable[[random.Random], str]:
    return lambda source: start + piece * source.choice((100, most // 10, most))


_BOMBS: dict[str, tuple[Callable[[random.Random], str], ...]] = {
    "toml": (
        lambda source: ".".join("a" * source.choice((900, 5_000, 200_000))) + " = 1",
        lambda source: "[" + ".".join("a" * source.choice((900, 5_000, 200_000))) + "]",
        lambda source: "x = {" + ".".join("a" * source.choice((900, 50_000))) + " = 1}",
        lambda source: "\n".join([".".join("a" * 900) + f".b{i} = 1" for i in range(40)]),
        lambda source: "a = [" + "1," * source.choice((100, 60_000)) + "]",
        lambda source: "a.b = 1\na.b.c = 2\n[a]\nb = 3",
        lambda source: "a = " + "1_" * 50_000 + "1",
        lambda source: "x = 1\n" * 3,
        _nested("a = [", "]"),
        _nested("[[", "]]"),
        _repeated("[[data.ood_validation]]\nshift = 'inversion'\n", most=5_000),
        _repeated("[[a]]\n"),
        _repeated("#\n"),
    ),
    "yaml": (
        _laughs,
        _laughs,
        _merges,
        _merges,
        lambda source: "a: 1" + ":59" * source.choice((500, 80_000)),
        lambda source: "a: 1" + ":59" * source.choice((500, 80_000)) + ".5",
        lambda source: "b: &a {x: 1}\na: {" + "<<: *a, " * 5_000 + "}",
        lambda source: "\n".join(" " * i + "a:" for i in range(source.choice((50, 700)))),
        lambda source: "a: " + "9" * 200_000,
        lambda source: "a: &a\n  b: *a\nstudy: *a\nsearch_space: *a\ndata: *a",
        _nested("a: [", "]"),
        _nested("{a: ", "}"),
        _nested("[", "]"),
        _repeated("- "),
        _repeated("? "),
        _repeated("a: 1\n"),
        _repeated("1, ", "a: [", most=15_000),
        _repeated("--- a\n"),
        _repeated(" ", "a:"),
    ),
    "json": (
        _nested("[", "]"),
        _nested('{"a":', "}"),
        lambda source: '{"a": ' + "9" * 100_000 + "}",
        lambda source: '{"a": ' + "-" * 10 + "Infinity}",
        _repeated('"a": 1, ', "{"),
        _repeated(" "),
    ),
}
