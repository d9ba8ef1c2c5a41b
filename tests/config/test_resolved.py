from __future__ import annotations

import string

import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import URL

from allocsearch.config import (
    FILE_SOURCES,
    SHIFTS,
    SOURCES,
    ModelSection,
    StudySection,
    format_yaml,
    load,
)

fixed = settings(derandomize=True, deadline=None, max_examples=150)
text = st.text(max_size=20)
storages = st.builds(
    lambda kind, name: URL.create(kind, database=f"/{name}").render_as_string(),
    st.sampled_from(["sqlite", "journal"]),
    text,
)
names = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=12)
count = st.integers(1, 2**31 - 1)
size = st.integers(2, 2**31 - 1)
seed = st.integers(0, 2**31 - 1)
share = st.floats(0, 1)
positive = st.floats(0, exclude_min=True, allow_infinity=False)
plain = st.sampled_from([s for s in SOURCES if s not in FILE_SOURCES])


def optional(**strategies):
    return st.fixed_dictionaries({}, optional=strategies)


def choices(section, field):
    return st.sampled_from(section.model_fields[field].annotation.__args__)


@st.composite
def sources(draw, among=SOURCES):
    entry = {"source": draw(st.sampled_from(among))}
    if entry["source"] in FILE_SOURCES:
        entry["path"] = draw(text | st.lists(text, min_size=1, max_size=3))
    names_only = entry["source"] == "fasta"
    more = optional(
        labels=text,
        array=text,
        split=st.sampled_from(["train", "test"]),
        invert=st.booleans(),
        classes=st.lists(names if names_only else st.integers(0, 9), max_size=3),
        name=names,
    )
    return {**entry, **draw(more)}


@st.composite
def ood_sets(draw, among):
    shift = st.builds(
        lambda shift, more: {"shift": shift, **more},
        st.sampled_from(SHIFTS),
        optional(strength=share, name=names),
    )
    short = plain | st.sampled_from(SHIFTS)
    entries = draw(st.lists(short | shift | sources(among), max_size=3))

    def title(entry):
        if isinstance(entry, str):
            return entry
        return entry.get("name") or entry.get("source") or entry["shift"]

    return list({title(entry): entry for entry in entries}.values())


@st.composite
def spaces(draw):
    layers = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3, unique=True))
    step, floor = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    budget = step * (floor * max(layers) + draw(st.integers(0, 30)))
    kind = draw(st.sampled_from(["ratio", "simplex", "table"]))
    space = {"kind": kind, "budget": budget}
    if kind == "table":
        splits = {1: str(budget), 2: f"{budget - 1}-1", 3: f"1-{budget - 2}-1"}
        possible = [s for n, s in splits.items() if budget >= n]
        allocations = st.lists(st.sampled_from(possible), min_size=1, unique=True)
        return {**space, "allocations": draw(allocations)}
    space |= {"step": step, "min_dim": floor * step}
    if len(layers) == 1 and draw(st.booleans()):
        # A divisor of the one step leaves the budget possible.
        space["step"] = [draw(st.sampled_from([step, 1])) for _ in range(layers[0])]
    space["layers"] = layers[0] if len(layers) == 1 and draw(st.booleans()) else layers
    if draw(st.booleans()):
        space["max_dim"] = budget + draw(st.integers(0, 5))
    low = draw(st.floats(1e-300, 1e300))
    space["ratio_range"] = [low, low * draw(st.floats(1.5, 10))]
    return space


@st.composite
def studies(draw):
    data = {"id": draw(plain | sources())}
    beside = [source for source in SOURCES if source != "fasta"]
    if isinstance(data["id"], dict) and data["id"]["source"] == "fasta":
        data["id"]["length"] = draw(st.integers(1, 200))
        beside = SOURCES
    data |= {key: draw(ood_sets(beside)) for key in ("ood_validation", "ood_test")}
    sizes = ("train_size", "validation_size", "test_size", "ood_size")
    data |= draw(optional(**dict.fromkeys(sizes, size), seed=seed, download=st.booleans()))
    auroc = ["max:auroc", "min:auroc_worst"] if data["ood_validation"] else []
    objectives = st.sampled_from(["max:retention", "min:rate_1", "max:elbo", *auroc])
    hold, end = sorted((draw(share), draw(share)))
    training = optional(
        epochs=count,
        batch_size=size,
        learning_rate=positive,
        kl_warmup=share,
        free_nats=st.floats(0, allow_infinity=False),
        gradient_clip=positive,
        threads=count,
    )
    study = optional(name=names.filter(lambda s: s[0] not in "_-"), seed=seed, trials=count)
    model = optional(hidden=count, depth=count, skip=st.booleans())
    evaluation = optional(score=st.sampled_from(["auto", "negative_elbo", "kl_1"]), samples=size)
    return {
        "study": {
            **draw(study),
            "objectives": draw(st.lists(objectives, min_size=1, max_size=4)),
            "sampler": draw(choices(StudySection, "sampler")),
            "storage": draw(storages),
        },
        "search_space": draw(spaces()),
        "data": data,
        "model": {**draw(model), "activation": draw(choices(ModelSection, "activation"))},
        "training": {**draw(training), "free_nats_hold": hold, "free_nats_end": end},
        "evaluation": draw(evaluation),
    }


@settings(fixed, max_examples=100)
@given(studies())
def test_the_resolved_study_loads_to_an_equal_one(folder, content):
    path, resolved = folder / "study.toml", folder / "resolved.toml"
    path.write_text(tomli_w.dumps(content))
    loaded = load(path)
    resolved.write_text(loaded.to_toml())
    again = load(resolved)
    assert again == loaded
    assert again.to_toml() == loaded.to_toml()


@settings(fixed, max_examples=30)
@given(studies())
def test_yaml_and_toml_of_one_study_are_equal(folder, content):
    toml, other = folder / "one.toml", folder / "one.yaml"
    toml.write_text(tomli_w.dumps(content))
    other.write_text(format_yaml(content))
    assert load(other) == load(toml)
