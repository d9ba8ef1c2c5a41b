"""The final evaluation of chosen allocations: the only place where test data is opened."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from statistics import fmean, stdev

import torch

from allocsearch.config import DataSection, InputError
from allocsearch.data.splits import SearchData, TestData, load_test_data
from allocsearch.metrics.finite import NotFiniteError, check_finite
from allocsearch.metrics.probe import PROBE_METRICS, has_classes, probe_model
from allocsearch.metrics.scorer import Scorer
from allocsearch.search.compatibility import check_all
from allocsearch.search.evaluation.baselines import UNIFORM
from allocsearch.search.evaluation.entrants import Entrant, Pick, entrants
from allocsearch.search.evaluation.evaluations import (
    Evaluated,
    Evaluation,
    append_opening,
    evaluation_folder,
    evaluations_folder,
    read_evaluation,
    read_openings,
    write_evaluation,
)
from allocsearch.search.evaluation.final_scores import (
    load_scores,
    probe_path,
    save_scores,
    scores_path,
)
from allocsearch.search.evaluation.final_statistics import Scored, detected
from allocsearch.search.evaluation.fresh import (
    FreshTraining,
    fresh_seeds,
    search_data,
    train_fresh,
)
from allocsearch.search.evaluation.openings import next_opening
from allocsearch.search.evaluation.plain_baselines import plain_baselines
from allocsearch.search.evaluation.score_choice import ScoreChoice, choose_score
from allocsearch.search.folder_lock import held
from allocsearch.search.job_pool import Job, run_jobs
from allocsearch.search.objective import measurement_settings, provenance
from allocsearch.search.prediction import read_prediction
from allocsearch.search.records import StudyRecord
from allocsearch.search.storage import CONFIG_NAME, write_atomically

_LOCK_NAME = ".lock"
_BASELINE_SCORE = "negative_elbo"

OnDone = Callable[[str, int, int], None]


def evaluate(
    record: StudyRecord,
    picks: Sequence[Pick],
    seeds: int,
    workers: int,
    *,
    again: bool = False,
    on_done: OnDone = lambda what, done, total: None,
) -> Evaluation:
    """Train picked allocations and the baselines with fresh seeds, and test them.

    All is trained, and the score of each allocation is chosen, before any test example is scored;
    that it will be is recorded first. Whatever has been done is kept: the same call goes on with
    an evaluation that was broken off, and returns one that ended as it is.

    Args:
        record: The study.
        picks: What was picked, one or more.
        seeds: Trainings of each allocation, 1 or more.
        workers: Processes; 1 for this one alone.
        again: Whether other picks may be evaluated on test sets that were opened before.
        on_done: Called with `trainings` or `tests`, how many are done, and of how many.

    Raises:
        InputError: If the study has a foreign trainer or no OOD test set, data is missing or not
            that of the search, no score can be chosen, other picks were evaluated on the same test
            sets and not `again`, or another evaluation of the run is going on.
    """
    folder, config = record.folder, record.config
    _check_possible(record)
    evaluations_folder(folder).mkdir(exist_ok=True)
    lock = evaluations_folder(folder) / _LOCK_NAME
    with held(lock, f"{folder}: another evaluation of this run is going on"):
        data, test = search_data(config.own_data), _test_data(config.own_data)
        check_all(data, config.model, config.training, config.evaluation)
        _check_searched(record, picks, data)
        chosen = entrants(picks, config, read_prediction(folder))
        numbers = fresh_seeds(record, seeds)
        sets = {dataset.name: dataset.fingerprint for dataset in test.ood_test}
        id_test = test.test.fingerprint
        opening = next_opening(folder, chosen, numbers, sets, id_test, again=again)
        finished = read_evaluation(folder, opening)
        if finished is not None:
            return finished
        trainings = {
            entrant: [FreshTraining(entrant.allocation, n, config, folder) for n in numbers]
            for entrant in chosen
        }
        # Seed by seed, so that allocations stay comparable should time run out.
        jobs = [own[i] for i in range(seeds) for own in trainings.values()]
        _run(train_fresh, jobs, [job.done for job in jobs], workers, "trainings", on_done)
        scores = {each: choose_score(each, own, config) for each, own in trainings.items()}
        if opening.number > len(read_openings(folder)):
            append_opening(folder, opening)
        place = evaluation_folder(folder, opening)
        tests = [_Test(job, place) for job in jobs if job.failure is None]
        _run(_score, tests, [job.path.exists() for job in tests], workers, "tests", on_done)
        evaluation = Evaluation(
            opening=opening,
            study=config.study.name,
            validation_sets=tuple(entry.title for entry in config.ood_validation),
            provenance=provenance(data, config.training, config.evaluation),
            evaluated=_summary(trainings, scores, place, tuple(sets)),
            plain=plain_baselines(data.train, test),
        )
        write_evaluation(folder, evaluation)
        return evaluation


def _check_possible(record: StudyRecord) -> None:
    """Refuse what would be in vain to begin with."""
    place, config = record.folder / CONFIG_NAME, record.config
    if config.trainer.foreign:
        raise InputError(
            f"{place}: trainer.kind: found {config.trainer.kind!r}; allowed for a final "
            f"evaluation: 'hvae', as the models of others cannot be scored here"
        )
    if not config.own_data.ood_test:
        raise InputError(
            f"{place}: data.ood_test: found no set; allowed for a final evaluation: one or more, "
            f"which the search never sees"
        )
    if config.evaluation.score == "auto" and not config.ood_validation:
        raise InputError(
            f"{place}: evaluation.score: found 'auto', and no set in data.ood_validation to "
            f"choose on; allowed for a final evaluation: the name of a score"
        )


def _check_searched(record: StudyRecord, picks: Sequence[Pick], data: SearchData) -> None:
    """Refuse other data, or other classes of a probe, than the picks were found with."""
    here = {"data": data.fingerprint, "labels": data.probed.labels_fingerprint or "none"}
    for pick in picks:
        for what, fingerprint in here.items():
            searched = pick.trial.provenance.get(what, fingerprint)
            if searched != fingerprint:
                raise InputError(
                    f"{record.folder}: trial {pick.trial.number} was trained and measured on "
                    f"{what} with fingerprint {searched[:12]}, found {fingerprint[:12]}; "
                    f"allowed: the data files of the search"
                )


def _run(
    function: Callable[[Job, Callable[[], None]], None],
    jobs: Sequence[Job],
    done: Sequence[bool],
    workers: int,
    what: str,
    on_done: OnDone,
) -> None:
    """Run the jobs that are not done."""
    left = [job for job, is_done in zip(jobs, done, strict=True) if not is_done]
    on_done(what, len(jobs) - len(left), len(jobs))
    for count, _ in enumerate(run_jobs(function, left, workers), 1):
        on_done(what, len(jobs) - len(left) + count, len(jobs))


@lru_cache(maxsize=1)
def _test_data(section: DataSection) -> TestData:
    """The test data, loaded once in each process."""
    return load_test_data(section)


@dataclass(frozen=True)
class _Test:
    """One training, and the folder of the evaluation that its test scores are kept in."""

    training: FreshTraining
    folder: Path

    @property
    def path(self) -> Path:
        allocation, seed = str(self.training.allocation), self.training.seed
        return scores_path(self.folder, allocation, seed)

    @property
    def probe_path(self) -> Path:
        """Of the probe of the ID test part, where there is one."""
        allocation, seed = str(self.training.allocation), self.training.seed
        return probe_path(self.folder, allocation, seed)

    @property
    def probe(self) -> Mapping[str, float]:
        """Its metrics; none where there was no probe."""
        path = self.probe_path
        found: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}
        return found


def _score(job: _Test, check: Callable[[], None]) -> None:
    """Score all test examples by one trained model, and keep the scores."""
    config, seed = job.training.config, job.training.seed
    data, test = search_data(config.own_data), _test_data(config.own_data)
    model = job.training.model(data.train.shape)
    passes = measurement_settings(config.evaluation, seed).passes
    try:
        scorer = Scorer.fit(model, data.train.values, passes, check)
        of_id = scorer.score(test.test.values, check)
        of_ood = {dataset.name: scorer.score(dataset.values, check) for dataset in test.ood_test}
        for name, table in {"the ID test part": of_id, **of_ood}.items():
            check_finite({f"{key} of {name}": float(s.sum()) for key, s in table.items()})
        if config.evaluation.probe is not None and has_classes(test.test):
            probing = (config.evaluation.probe, config.evaluation.batch_size, seed)
            probed = probe_model(model, test.test, *probing, check).metrics
            # Before the scores: a model that has them is done.
            write_atomically(job.probe_path, json.dumps(probed))
    except NotFiniteError as error:
        job.training.fail(str(error))
        return
    save_scores(
        {key: each.numpy() for key, each in of_id.items()},
        {name: {key: s.numpy() for key, s in own.items()} for name, own in of_ood.items()},
        job.path,
    )


def _summary(
    trainings: Mapping[Entrant, Sequence[FreshTraining]],
    choices: Mapping[Entrant, ScoreChoice],
    place: Path,
    sets: Sequence[str],
) -> tuple[Evaluated, ...]:
    """What was found, in the order of the entrants."""

    def scored(entrant: Entrant, score: str | None) -> Scored | None:
        ended = [own for own in trainings[entrant] if own.failure is None]
        if score is None or not ended:
            return None
        of_id, of_ood = load_scores([_Test(own, place).path for own in ended], score, sets)
        tensors = {name: torch.from_numpy(each) for name, each in of_ood.items()}
        return Scored(torch.from_numpy(of_id), tensors)

    uniform = {
        each.allocation.layers: scored(each, choices[each].score)
        for each in trainings
        if UNIFORM in each.roles
    }
    return tuple(
        _evaluated(
            entrant,
            own,
            choices[entrant],
            scored(entrant, choices[entrant].score),
            scored(entrant, _BASELINE_SCORE),
            [_Test(each, place).probe for each in own if each.failure is None],
            None if UNIFORM in entrant.roles else uniform[entrant.allocation.layers],
            sets,
        )
        for entrant, own in trainings.items()
    )


def _evaluated(
    entrant: Entrant,
    trainings: Sequence[FreshTraining],
    choice: ScoreChoice,
    score: Scored | None,
    negative_elbo: Scored | None,
    probes: Sequence[Mapping[str, float]],
    uniform: Scored | None,
    sets: Sequence[str],
) -> Evaluated:
    failures = {str(own.seed): own.failure for own in trainings if own.failure is not None}
    ended = [own for own in trainings if own.failure is None]
    base = Evaluated(
        allocation=str(entrant.allocation),
        roles=entrant.roles,
        score=choice.score,
        chosen=choice.how,
        seeds=tuple(own.seed for own in ended),
        failures=failures,
    )
    if score is None or negative_elbo is None:
        return base
    elbos = (-negative_elbo.of_id.double().mean(1)).tolist()
    metrics = [own.metrics for own in ended]
    names = PROBE_METRICS if all(probes) else ()
    probed = {name: fmean(own[name] for own in probes) for name in names}
    return replace(
        base,
        elbo=fmean(elbos),
        elbo_sd=stdev(elbos) if len(elbos) > 1 else None,
        retention=fmean(row["retention"] for row in metrics),
        attenuation=fmean(row["attenuation"] for row in metrics),
        probe_accuracy=probed.get("probe_accuracy"),
        probe_accuracy_knn=probed.get("probe_accuracy_knn"),
        probe_chance=probed.get("probe_chance"),
        sets=tuple(detected(name, score, negative_elbo, uniform) for name in sets),
    )
