from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocsearch.data.alphabet import (
    AMBIGUOUS,
    LEVELS,
    PAD,
    RESIDUES,
    UNKNOWN,
    decode,
    encode,
    first_illegal,
)


def test_tokens_are_those_that_the_documentation_states():
    assert encode(b"ACY").tolist() == [1, 2, 20]
    assert encode(b"XBZJUO").tolist() == [UNKNOWN] * 6
    assert (PAD, UNKNOWN, LEVELS) == (0, 21, 22)


@given(st.text(st.sampled_from(RESIDUES + RESIDUES.lower())), st.integers(0, 9))
@settings(derandomize=True, deadline=None)
def test_decoding_returns_what_was_encoded(sequence, pads):
    tokens = np.pad(encode(sequence.encode()), (0, pads), constant_values=PAD)
    assert decode(tokens) == sequence.upper()
    assert np.array_equal(encode(decode(tokens).encode()), tokens[: len(sequence)])


@given(st.text(st.sampled_from(RESIDUES + AMBIGUOUS)))
@settings(derandomize=True, deadline=None)
def test_ambiguous_residues_become_x(sequence):
    assert decode(encode(sequence.encode())) == "".join(
        "X" if letter in AMBIGUOUS else letter for letter in sequence
    )


@given(st.binary(max_size=20))
@settings(derandomize=True, deadline=None)
def test_what_is_no_residue_is_found(data):
    allowed = {*(RESIDUES + AMBIGUOUS).encode(), *(RESIDUES + AMBIGUOUS).lower().encode()}
    expected = next((i for i, byte in enumerate(data) if byte not in allowed), None)
    assert first_illegal(data) == expected
    if expected is not None:
        with pytest.raises(ValueError, match=f"position {expected + 1}: "):
            encode(data)


@pytest.mark.parametrize(("tokens", "wrong"), [([1, 0, 2], "pad before"), ([22], "token 22")])
def test_what_no_encoding_gives_is_not_decoded(tokens, wrong):
    with pytest.raises(ValueError, match=wrong):
        decode(np.array(tokens, dtype=np.uint8))
