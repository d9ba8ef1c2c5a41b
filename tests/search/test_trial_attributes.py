from __future__ import annotations

import pytest

from allocsearch.allocation import Allocation
from allocsearch.config import InputError
from allocsearch.search.trial_attributes import checked_attributes

TEXT = ("score", "reason", "warm_start")
NUMBER = ("seed", "replicate", "retry_of")
NUMBERS = ("metrics", "progress")
WRONG = {
    **dict.fromkeys(TEXT, (1, 1.5, True, ["a"], {"a": 1})),
    **dict.fromkeys(NUMBER, ("1", 1.5, -1, True, ["a"], {"a": 1})),
    **dict.fromkeys(NUMBERS, (None, 1, "x", [1], {"a": "1"}, {"a": None}, {"a": []})),
    "allocation": (1, "", "../../x", "3-", "0-12", "3-9\n", "<b>", ["3-9"], {}, "9" * 5_000),
    "provenance": (None, 1, "x", ["torch"], {"torch": 2}, {"torch": None}),
    "broken_invariants": (None, 1, "x", {"a": 1}, [1], [None]),
    "rungs": (None, 1, "x", {}, [1], [{}], [{"rung": "a", "values": [1], "judged": True}]),
    "interrupted": (None, 1, "x", []),
}
PAIRS = [(key, value) for key, values in WRONG.items() for value in values]


@pytest.mark.parametrize(("key", "value"), PAIRS)
def test_another_type_is_refused_in_a_line(key, value):
    with pytest.raises(InputError, match=rf"^attribute {key}\S* of trial 7 in the storage: ") as e:
        checked_attributes(7, {key: value})
    assert "found " in str(e.value)
    assert len(str(e.value)) < 500


@pytest.mark.parametrize("key", ["score", "reason", "warm_start"])
@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("kl_1", "kl_1"),
        ("lines\n\tof text", "lines\n\tof text"),
        ("\x1b[2J\x07", r"\x1b[2J\x07"),
        ("\0\r\x85\u202e\u2028", r"\x00\r\x85\u202e\u2028"),
        ("\ud800", r"\ud800"),
        ("<script>", "<script>"),
        ("x" * 1_000_000, "x" * 9_997 + "..."),
    ],
)
def test_text_has_no_commands_for_a_terminal(key, text, kept):
    assert getattr(checked_attributes(0, {key: text}), key) == kept


def test_names_have_none_either():
    attributes = {"metrics": {"\x1b[2J": 1}, "provenance": {"\0": "\0"}, "progress": {"\r": 1.5}}
    found = checked_attributes(0, attributes)
    assert found.metrics == {r"\x1b[2J": 1.0}
    assert found.provenance == {r"\x00": r"\x00"}
    assert found.progress == {r"\r": 1.5}


def test_what_a_trial_records_is_kept():
    found = checked_attributes(
        0,
        {
            "allocation": "3-9",
            "metrics": {"auroc": 1, "elbo": float("-inf")},
            "broken_invariants": ["attenuation"],
            "rungs": [{"rung": 0.5, "values": [1, 2.5], "judged": False}],
            "worker": 3,
            "other": None,
        },
    )
    assert found.allocation == Allocation((3, 9))
    assert found.metrics == {"auroc": 1.0, "elbo": float("-inf")}
    assert found.broken_invariants == ("attenuation",)
    assert [(each.rung, each.values, each.judged) for each in found.rungs] == [
        (0.5, (1.0, 2.5), False)
    ]
    assert (found.seed, found.reason, found.interrupted) == (None, None, False)
