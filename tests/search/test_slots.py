from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path

import optuna
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from optuna.trial import TrialState

from allocsearch.config import InputError, StudyConfig
from allocsearch.search import slots
from allocsearch.search.records import (
    ALLOCATION,
    INTERRUPTED,
    RATIO,
    REASON,
    REPLICATE,
    RETRY_OF,
    RUNGS,
    SEED,
    SLOT,
    WORKER,
    read_trial,
)
from allocsearch.search.slots import STOPPED, claim, end_trial, fill, requeue, slot_seed
from allocsearch.search.storages.errors import LockLostError
from allocsearch.spaces import build_space

OBJECTIVES = ["max:retention", "min:attenuation"]
DIRECTIONS = ["maximize", "minimize"]
KEPT = (SLOT, ALLOCATION, RATIO, REPLICATE, SEED)


def config_of(trials: int, sampler: str = "random", retries: int = 3, **space) -> StudyConfig:
    return StudyConfig.model_validate(
        {
            "study": {
                "trials": trials,
                "sampler": sampler,
                "retries": retries,
                "objectives": OBJECTIVES,
                "seed": 11,
            },
            "search_space": {"budget": 8, **space},
            "data": {"id": "digits"},
        }
    )


def fill_with(study: optuna.Study, config: StudyConfig) -> None:
    fill(study, config, build_space(config.search_space))


def claim_for(study: optuna.Study, config: StudyConfig, worker: str) -> optuna.Trial | None:
    return claim(study, config, build_space(config.search_space), worker)


def run_one(study: optuna.Study, config: StudyConfig, worker: str = "worker") -> str | None:
    """Claim a trial and finish it; gives the allocation."""
    trial = claim_for(study, config, worker)
    if trial is None:
        return None
    allocation = build_space(config.search_space).suggest(trial)
    study.tell(trial, [float(allocation.dims[0]), float(allocation.dims[-1])])
    return str(allocation)


def states(study: optuna.Study) -> Counter:
    return Counter(read_trial(trial).state for trial in study.trials)


def counted_slots(study: optuna.Study) -> list[int]:
    live = [t for t in study.trials if read_trial(t).state != "interrupted"]
    return sorted(t.user_attrs[SLOT] for t in live)


def repeat(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    """Enqueue the repetition of a trial, as `requeue` does before it ends the trial."""
    kept = {key: trial.user_attrs[key] for key in KEPT}
    fixed = trial.system_attrs["fixed_params"]
    study.enqueue_trial(fixed, user_attrs={**kept, RETRY_OF: trial.number})


def everyone(worker: str | None) -> bool:
    return True


@pytest.fixture(params=["memory", "sqlite"])
def study(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[optuna.Study]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url = None if request.param == "memory" else f"sqlite:///{tmp_path / 'study.db'}"
    return optuna.create_study(storage=url, directions=DIRECTIONS)


def test_fill_enqueues_each_slot_once(study: optuna.Study) -> None:
    config = config_of(5)
    fill_with(study, config)
    fill_with(study, config)
    assert counted_slots(study) == list(range(5))
    assert states(study) == {"waiting": 5}


def test_each_trial_has_a_seed_of_its_own(study: optuna.Study) -> None:
    config = config_of(5)
    fill_with(study, config)
    while run_one(study, config):
        pass
    assert len({trial.user_attrs[SEED] for trial in study.trials}) == 5


def test_every_slot_is_claimed_once_then_none_waits(study: optuna.Study) -> None:
    config = config_of(4)
    fill_with(study, config)
    assert all(run_one(study, config) for _ in range(4))
    assert run_one(study, config) is None
    assert claim_for(study, config, "worker") is None
    assert states(study) == {"complete": 4}


def test_a_claimed_trial_names_its_worker(study: optuna.Study) -> None:
    config = config_of(1)
    fill_with(study, config)
    trial = claim_for(study, config, "host:1:2.00")
    assert trial is not None
    assert study.trials[0].state == TrialState.RUNNING
    assert study.trials[0].user_attrs[WORKER] == "host:1:2.00"


def test_raising_the_number_of_trials_adds_the_difference(study: optuna.Study) -> None:
    fill_with(study, config_of(2))
    run_one(study, config_of(2))
    fill_with(study, config_of(5))
    assert states(study) == {"complete": 1, "waiting": 4}
    assert counted_slots(study) == list(range(5))


def test_lowering_takes_back_the_highest_waiting_slots(study: optuna.Study) -> None:
    fill_with(study, config_of(6))
    run_one(study, config_of(6))
    fill_with(study, config_of(3))
    assert states(study) == {"complete": 1, "waiting": 2, "interrupted": 3}
    assert counted_slots(study) == [0, 1, 2]
    assert "lowered" in study.trials[-1].user_attrs[REASON]


def test_lowering_below_what_has_begun_is_refused(study: optuna.Study) -> None:
    config = config_of(4)
    fill_with(study, config)
    run_one(study, config)
    claim_for(study, config, "worker")
    with pytest.raises(InputError, match=r"study\.trials: found 1; .*begun 2"):
        fill_with(study, config_of(1))
    assert states(study) == {"complete": 1, "running": 1, "waiting": 2}


def test_lowered_and_raised_again_is_as_if_never_lowered(study: optuna.Study) -> None:
    config = config_of(6)

    def trained(of: optuna.Study) -> dict[int, tuple[str, int]]:
        while run_one(of, config):
            pass
        live = [t.user_attrs for t in of.trials if not t.user_attrs.get(INTERRUPTED)]
        assert len(live) == 6
        return {found[SLOT]: (found[ALLOCATION], found[SEED]) for found in live}

    untouched = optuna.create_study(directions=DIRECTIONS)
    fill_with(untouched, config)
    fill_with(study, config)
    run_one(study, config)
    fill_with(study, config_of(2))
    fill_with(study, config)
    assert trained(study) == trained(untouched)


def test_a_kill_while_slots_are_taken_back_leaves_none_to_claim(study: optuna.Study) -> None:
    fill_with(study, config_of(3))
    # What the storage holds when the process dies between the mark and the end of the trial.
    study._storage.set_trial_user_attr(study.trials[2]._trial_id, INTERRUPTED, True)
    fill_with(study, config_of(2))
    config = config_of(2)
    while run_one(study, config):
        pass
    assert states(study) == {"complete": 2, "interrupted": 1}


@pytest.mark.parametrize("marked", [False, True])
def test_a_trial_that_ends_while_it_is_given_up_keeps_its_slot(
    study: optuna.Study, marked: bool
) -> None:
    config = config_of(3)
    fill_with(study, config)
    trial = claim_for(study, config, "dead")
    assert trial is not None
    dims = build_space(config.search_space).suggest(trial).dims
    # What the storage had of its worker comes between the steps that end it in its place.
    repeat(study, study.trials[trial.number])
    if marked:
        study._storage.set_trial_user_attr(trial._trial_id, INTERRUPTED, True)
    study.tell(trial, [float(dims[0]), float(dims[-1])])
    while run_one(study, config):
        pass
    assert states(study) == {"complete": 3, "interrupted": 1}
    # Another worker that joins finds nothing missing.
    fill_with(study, config)
    assert states(study) == {"complete": 3, "interrupted": 1}
    fill_with(study, config_of(4))
    assert states(study) == {"complete": 3, "interrupted": 1, "waiting": 1}
    assert counted_slots(study) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "space",
    [
        {"layers": 2},
        {"layers": 3},
        {"budget": 9, "layers": 3},
        {"layers": [2, 3]},
        {"kind": "ratio"},
        {"kind": "table", "allocations": ["4-4", "2-2-4", "6-1-1"]},
    ],
    ids=str,
)
def test_a_grid_covers_the_space_exactly_once_per_lap(space: dict) -> None:
    config = config_of(1, "grid", **space)
    whole = build_space(config.search_space)
    allocations = {str(whole[rank]) for rank in range(whole.size)}
    assert len(allocations) == whole.size
    study = optuna.create_study(directions=DIRECTIONS)
    laps = 2 if whole.size <= 20 else 1
    config = config_of(laps * whole.size, "grid", **space)
    fill_with(study, config)
    seen = []
    while allocation := run_one(study, config):
        seen.append(allocation)
    for lap in range(laps):
        assert set(seen[lap * whole.size : (lap + 1) * whole.size]) == allocations
    assert Counter(seen) == dict.fromkeys(allocations, laps)


def test_a_grid_filled_in_parts_covers_the_space_exactly_once() -> None:
    study = optuna.create_study(directions=DIRECTIONS)
    seen = []
    # 28 allocations of budget 9 to 3 layers.
    for trials in (3, 20, 7, 28):
        config = config_of(trials, "grid", budget=9)
        fill_with(study, config)
        seen += [run_one(study, config) for _ in range(2)]
    while allocation := run_one(study, config):
        seen.append(allocation)
    assert len(seen) == len(set(seen)) == 28


def test_a_short_grid_over_a_huge_space_never_lists_it() -> None:
    study = optuna.create_study(directions=DIRECTIONS)
    config = config_of(5, "grid", budget=4_000, layers=12)
    assert build_space(config.search_space).size > 2**64
    fill_with(study, config)
    assert len({run_one(study, config) for _ in range(5)}) == 5


def test_a_grid_is_shuffled_by_the_seed() -> None:
    def order(seed: int) -> list[str | None]:
        config = config_of(28, "grid", budget=9)
        section = config.study.model_copy(update={"seed": seed})
        config = config.model_copy(update={"study": section})
        study = optuna.create_study(directions=DIRECTIONS)
        fill_with(study, config)
        return [run_one(study, config) for _ in range(28)]

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert order(1) != sorted(order(1), key=str)


def test_requeue_repeats_the_trial_of_a_dead_worker_with_seed_and_allocation(
    study: optuna.Study,
) -> None:
    config = config_of(2)
    space = build_space(config.search_space)
    fill_with(study, config)
    first = claim_for(study, config, "dead")
    assert first is not None
    allocation = space.suggest(first)
    first.set_user_attr(RUNGS, [{"rung": 0.25, "values": [1.0, 2.0], "judged": False}])
    claim_for(study, config, "alive")
    requeue(study, config, lambda worker: worker == "dead", "the worker died")

    interrupted, running, repeated = study.trials
    assert read_trial(interrupted).state == "interrupted"
    assert interrupted.user_attrs[REASON] == "the worker died"
    assert running.state == TrialState.RUNNING
    assert repeated.state == TrialState.WAITING
    assert repeated.user_attrs[RETRY_OF] == 0
    for key in (*KEPT, RUNGS):
        assert repeated.user_attrs[key] == interrupted.user_attrs[key]
    again = claim_for(study, config, "alive")
    assert again is not None
    assert space.suggest(again) == allocation
    assert counted_slots(study) == [0, 1]


@pytest.mark.parametrize("sampler", ["lattice_gp", "tpe", "nsga2", "nsga3", "gp", "qmc", "random"])
def test_a_trial_that_died_before_its_proposal_is_proposed_the_same(sampler: str) -> None:
    def proposed(die: bool) -> str | None:
        study = optuna.create_study(directions=DIRECTIONS)
        config = config_of(1, sampler)
        fill_with(study, config)
        if die:
            claim_for(study, config, "dead")
            requeue(study, config, everyone, "the worker died")
        return run_one(study, config)

    assert proposed(die=True) == proposed(die=False)


def test_requeue_killed_halfway_goes_on_where_it_was(study: optuna.Study) -> None:
    config = config_of(1, retries=1)
    fill_with(study, config)
    claim_for(study, config, "dead")
    original = study.trials[0]
    # What the storage holds when requeue dies after the repetition has been enqueued.
    repeat(study, original)
    for _ in range(2):
        requeue(study, config, everyone, "the worker died")
        fill_with(study, config)
        assert states(study) == {"interrupted": 1, "waiting": 1}
    run_one(study, config)
    assert states(study) == {"interrupted": 1, "complete": 1}


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_trial_fails_for_good_after_the_last_retry(study: optuna.Study, retries: int) -> None:
    config = config_of(1, retries=retries)
    fill_with(study, config)
    begun = 0
    while claim_for(study, config, "dead") is not None:
        begun += 1
        requeue(study, config, everyone, "the worker died")
    assert begun == retries + 1
    assert states(study) == Counter({"interrupted": retries, "failed": 1}) - Counter()
    assert f"({begun} attempts)" in study.trials[-1].user_attrs[REASON]
    fill_with(study, config)
    assert claim_for(study, config, "worker") is None


def test_stops_on_purpose_do_not_use_up_the_retries(study: optuna.Study) -> None:
    config = config_of(1, retries=1)
    fill_with(study, config)
    for _ in range(4):
        claim_for(study, config, "worker")
        requeue(study, config, everyone, STOPPED)
    claim_for(study, config, "worker")
    requeue(study, config, everyone, "the worker died")
    claim_for(study, config, "worker")
    requeue(study, config, everyone, STOPPED)
    assert states(study) == {"interrupted": 6, "waiting": 1}
    assert run_one(study, config) is not None


def test_a_slot_that_was_taken_back_keeps_its_retries(study: optuna.Study) -> None:
    fill_with(study, config_of(2, retries=1))
    fill_with(study, config_of(1, retries=1))
    config = config_of(2, retries=1)
    fill_with(study, config)
    run_one(study, config)
    claim_for(study, config, "dead")
    requeue(study, config, everyone, "the worker died")
    assert run_one(study, config) is not None


def test_finished_trials_are_left_alone(study: optuna.Study) -> None:
    config = config_of(3)
    fill_with(study, config)
    run_one(study, config)
    claim_for(study, config, "worker")
    end_trial(study, study.trials[1], "the loss became nan")
    before = [vars(read_trial(trial)) for trial in study.trials]
    requeue(study, config, everyone, "the worker died")
    assert [vars(read_trial(trial)) for trial in study.trials] == before
    assert states(study) == {"complete": 1, "failed": 1, "waiting": 1}


def test_claimers_at_the_same_time_never_get_the_same_trial(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna.create_study(study_name="shared", storage=url, directions=DIRECTIONS)
    config = config_of(12)
    fill_with(study, config)

    space = build_space(config.search_space)

    def claim_all(worker: str) -> list[int]:
        own = optuna.load_study(study_name="shared", storage=url)
        claimed = []
        while (trial := claim(own, config, space, worker)) is not None:
            claimed.append(trial.number)
        return claimed

    with ThreadPoolExecutor(3) as pool:
        claimed = list(pool.map(claim_all, ["a", "b", "c"]))
    assert sorted(chain.from_iterable(claimed)) == list(range(12))
    for worker, numbers in zip("abc", claimed, strict=True):
        assert all(study.trials[n].user_attrs[WORKER] == worker for n in numbers)


def test_seeds_differ_between_slots_purposes_and_studies() -> None:
    arguments = [(s, slot, p) for s in range(5) for slot in range(200) for p in range(2)]
    seeds = [slot_seed(*each) for each in arguments]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert seeds == [slot_seed(*each) for each in arguments]


class Queue(RuleBasedStateMachine):
    """Any order of filling, claiming, finishing, dying and putting back."""

    RETRIES = 2

    def __init__(self) -> None:
        super().__init__()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.study = optuna.create_study(directions=DIRECTIONS)
        self.trials = 0
        self.workers = count()
        self.running: dict[int, optuna.Trial] = {}
        self.deaths: Counter[int] = Counter()

    @property
    def config(self) -> StudyConfig:
        return config_of(self.trials, retries=self.RETRIES)

    @rule(trials=st.integers(1, 6))
    def fill(self, trials: int) -> None:
        begun = {
            t.user_attrs[SLOT]
            for t in self.study.trials
            if not t.user_attrs.get(INTERRUPTED) and t.state != TrialState.WAITING
        }
        if trials < len(begun):
            with pytest.raises(InputError):
                fill_with(self.study, config_of(trials))
            return
        self.trials = trials
        fill_with(self.study, self.config)

    @precondition(lambda self: self.trials)
    @rule()
    def claim(self) -> None:
        waiting = states(self.study)["waiting"]
        trial = claim_for(self.study, self.config, f"worker {next(self.workers)}")
        assert (trial is not None) == (waiting > 0)
        if trial is not None:
            assert trial.number not in self.running
            self.running[trial.number] = trial

    @precondition(lambda self: self.running)
    @rule(data=st.data(), end=st.sampled_from(["complete", "fail", "die", "die halfway", "stop"]))
    def end(self, data: st.DataObject, end: str) -> None:
        number = data.draw(st.sampled_from(sorted(self.running)))
        trial = self.running.pop(number)
        frozen = self.study.trials[number]
        if end == "complete":
            self.study.tell(trial, [0.0, 0.0])
            return
        if end == "fail":
            end_trial(self.study, frozen, "diverged")
            return
        slot = frozen.user_attrs[SLOT]
        if end == "die halfway" and self.deaths[slot] < self.RETRIES:
            repeat(self.study, frozen)
        self.deaths[slot] += end != "stop"
        dead = frozen.user_attrs[WORKER]
        reason = STOPPED if end == "stop" else "the worker died"
        requeue(self.study, self.config, lambda worker: worker == dead, reason)
        expected = "failed" if self.deaths[slot] > self.RETRIES else "interrupted"
        assert read_trial(self.study.trials[number]).state == expected

    @invariant()
    def every_slot_is_held_by_exactly_one_trial(self) -> None:
        slots = counted_slots(self.study)
        assert len(slots) == len(set(slots)) == self.trials

    @invariant()
    def no_training_is_given_to_two_slots(self) -> None:
        settled = [t.user_attrs for t in self.study.trials if ALLOCATION in t.user_attrs]
        live = {
            (found[SLOT], found[ALLOCATION], found[REPLICATE])
            for found in settled
            if not found.get(INTERRUPTED)
        }
        assert len(live) == len({each[1:] for each in live})

    @invariant()
    def seeds_belong_to_trainings(self) -> None:
        settled = [t.user_attrs for t in self.study.trials if ALLOCATION in t.user_attrs]
        seeds = {(found[ALLOCATION], found[REPLICATE], found[SEED]) for found in settled}
        assert len(seeds) == len({each[:2] for each in seeds}) == len({each[2] for each in seeds})

    def teardown(self) -> None:
        if not self.trials:
            return
        for trial in self.running.values():
            self.study.tell(trial, [0.0, 0.0])
        while run_one(self.study, self.config):
            pass
        finished = states(self.study)
        assert finished["complete"] + finished["failed"] == self.trials
        assert set(finished) <= {"complete", "failed", "interrupted"}


def test_what_was_enqueued_twice_is_run_once(study: optuna.Study) -> None:
    """As when the answer to the first attempt was lost."""
    config = config_of(4)
    fill_with(study, config)
    study.enqueue_trial({}, user_attrs={SLOT: 2})
    run_one(study, config)
    study.enqueue_trial({}, user_attrs={SLOT: 0})
    fill_with(study, config)
    assert counted_slots(study) == [0, 1, 2, 3]
    study.enqueue_trial({}, user_attrs={SLOT: 1})
    while run_one(study, config):
        pass
    assert states(study) == {"complete": 4, "interrupted": 3}
    assert counted_slots(study) == [0, 1, 2, 3]


@pytest.mark.parametrize("marked", [True, False])
def test_a_trial_that_two_have_repeated_is_run_once(study: optuna.Study, marked: bool) -> None:
    config = config_of(2)
    fill_with(study, config)
    claim_for(study, config, "dead")
    # Another process sees the same death, and dies before or after it marks the trial.
    repeat(study, study.trials[0])
    if marked:
        requeue(study, config, everyone, "the worker died")
        repeat(study, study.trials[0])
    else:
        repeat(study, study.trials[0])
    fill_with(study, config)
    while run_one(study, config):
        pass
    requeue(study, config, everyone, "the worker died")
    assert states(study) == {"complete": 2, "interrupted": 2}
    assert counted_slots(study) == [0, 1]


def test_a_trial_that_ends_while_it_is_repeated_is_not_run_again(study: optuna.Study) -> None:
    config = config_of(2)
    fill_with(study, config)
    slow = claim_for(study, config, "slow")
    assert slow is not None
    repeat(study, study.trials[0])
    study.tell(slow, [1.0, 2.0])
    while run_one(study, config):
        pass
    assert states(study) == {"complete": 2, "interrupted": 1}
    assert read_trial(study.trials[0]).state == "complete"


@pytest.mark.parametrize("losses", [1, 2, 3])
def test_what_was_settled_under_a_lost_lock_is_settled_again(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch, losses: int
) -> None:
    def outcome(losses: int, of: optuna.Study) -> dict[int, tuple[str, int]]:
        config = config_of(3)
        fill_with(of, config)
        left = iter([False] * 2 + [True] * losses)

        @contextmanager
        def lossy(of: optuna.Study) -> Iterator[None]:
            yield
            if next(left, False):
                raise LockLostError("lost")

        monkeypatch.setattr(slots, "claim_lock", lossy)
        while run_one(of, config):
            pass
        live = [t.user_attrs for t in of.trials if not t.user_attrs.get(INTERRUPTED)]
        assert counted_slots(of) == [0, 1, 2]
        return {found[SLOT]: (found[ALLOCATION], found[REPLICATE]) for found in live}

    undisturbed = outcome(0, optuna.create_study(directions=DIRECTIONS))
    assert outcome(losses, study) == undisturbed
    assert states(study) == {"complete": 3, "interrupted": losses}


def test_a_lock_that_is_lost_again_and_again_is_an_error(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def hopeless(of: optuna.Study) -> Iterator[None]:
        yield
        raise LockLostError("lost")

    config = config_of(1)
    fill_with(study, config)
    monkeypatch.setattr(slots, "claim_lock", hopeless)
    for call in (claim_for, lambda *_: fill_with(study, config)):
        with pytest.raises(LockLostError):
            call(study, config, "worker")
    assert counted_slots(study) == [0]
    assert states(study)["waiting"] == 1


@pytest.mark.parametrize("slot", [None, "0", 1.5, True, -1, [0]])
def test_a_trial_in_no_slot_is_one_line(study: optuna.Study, slot: object) -> None:
    config = config_of(2)
    fill_with(study, config)
    # As anybody can, with Optuna alone.
    study.enqueue_trial({}, user_attrs={} if slot is None else {SLOT: slot})
    for call in (claim_for, lambda *_: fill_with(study, config)):
        with pytest.raises(InputError, match="attribute slot of trial 2 in the storage: found"):
            call(study, config, "worker")
    assert [trial.state for trial in study.trials] == [TrialState.WAITING] * 3


TestQueue = Queue.TestCase
TestQueue.settings = settings(
    derandomize=True, deadline=None, max_examples=25, stateful_step_count=25
)
