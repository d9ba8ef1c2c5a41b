"""The command line: one thin function per command."""

from __future__ import annotations

import io
import json
import locale
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from shutil import get_terminal_size
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from optuna.exceptions import OptunaError
from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress import Progress
from sqlalchemy.exc import SQLAlchemyError

from allocsearch import __version__
from allocsearch.config import (
    PASSWORD_VARIABLE,
    ExecutorName,
    InputError,
    StudyConfig,
    TrainerSection,
    checked_artifacts_url,
    checked_storage_url,
    load,
    printable,
    split_password,
)
from allocsearch.report.exports.export import ExportedAllocation
from allocsearch.report.exports.export_formats import ExportFormat
from allocsearch.report.figures.image_format import ImageFormat
from allocsearch.report.terminal.fitting import UNLIMITED
from allocsearch.search.executors.executor import Executor
from allocsearch.search.storage import StorageError

if TYPE_CHECKING:
    from allocsearch.search.records import StudyRecord

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Search how a hierarchical VAE splits a fixed latent budget across its layers.",
)

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130

_Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change one field of the study."),
]
_RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder, as runs/quickstart.")]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"allocsearch {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="Study file, TOML or YAML.")],
    overrides: _Overrides = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="How many workers; overrides study.workers.")
    ] = None,
    executor: Annotated[
        ExecutorName | None,
        typer.Option(
            help="Workers are processes of this machine, or tasks of Ray; overrides "
            "study.executor."
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Ray cluster, auto or HOST:PORT, from a node of it; without it a local Ray of "
            "the run's own. Overrides ray.address and RAY_ADDRESS.",
        ),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where trials are kept; overrides study.storage."),
    ] = None,
    artifacts: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help="Folder or s3://BUCKET/PREFIX for the files of trials; overrides "
            "study.artifacts.",
        ),
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder that run folders are made in.")] = Path(
        "runs"
    ),
) -> None:
    """Run a study to its end, or go on with one that was stopped or killed.

    Example: `allocsearch run studies/quickstart.toml --workers 2`
    """
    given = {
        "study.workers": workers,
        "study.executor": executor,
        "ray.address": address,
        "study.storage": None if storage is None else _without_password(storage),
        # In quotes: a folder may have the name of a number.
        "study.artifacts": None if artifacts is None else json.dumps(artifacts),
    }
    changes = [f"{key}={value}" for key, value in given.items() if value is not None]
    config = load(study, [*(overrides or ()), *changes])
    folder = runs / config.study.name
    if address is not None and config.study.executor != "ray":
        raise InputError("--address: allowed with --executor ray")
    with _interruptible() as check:
        from allocsearch.search.executors.choice import executor_of

        check()
        with executor_of(config) as workplace:
            from allocsearch.search.run import prepare

            config = prepare(config, folder)
            check()
            _run(config, folder, workplace, check)


def _without_password(storage: str) -> str:
    """The URL as it may be stored; worker processes find the password in the environment."""
    url, password = split_password(storage)
    if password is not None:
        os.environ[PASSWORD_VARIABLE] = password
    return url


@contextmanager
def _interruptible(
    message: str = "Interrupted; what had finished is kept. The same command goes on.",
) -> Iterator[Callable[[], None]]:
    """Exit code 130 after SIGINT or SIGTERM, with a line that says how to go on.

    Yields:
        What raises KeyboardInterrupt where a library has swallowed that one.
    """
    received: list[int] = []

    def interrupt(number: int, _: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    def check() -> None:
        # Libraries swallow what is raised while they are being imported, or turn it into more.
        if received:
            raise KeyboardInterrupt

    # A plain kill is an interruption too: workers put their trials back either way.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        try:
            yield check
        except Exception:
            check()
            raise
    except KeyboardInterrupt:
        print(message, file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None


def _run(config: StudyConfig, folder: Path, executor: Executor, check: Callable[[], None]) -> None:
    from allocsearch.report.front import study_front
    from allocsearch.report.terminal.live import PlainProgress, live_view
    from allocsearch.report.terminal.summary import summary
    from allocsearch.search.run import run_study

    check()
    console = _console()
    start = time.monotonic()
    # A dumb one cannot go back to what it has shown.
    if console.is_terminal and not console.is_dumb_terminal:
        with Live(console=console, transient=True, auto_refresh=False) as live:

            def show(record: StudyRecord) -> None:
                live.update(live_view(record, time.monotonic() - start), refresh=True)

            record = run_study(config, folder, executor, show)
    else:
        plain = PlainProgress()

        def tell(record: StudyRecord) -> None:
            for line in plain.lines(record):
                _show(console, line)

        record = run_study(config, folder, executor, tell)
    # What draws would keep the first trial waiting.
    from allocsearch.report.page import write_page
    from allocsearch.report.tables import write_tables

    check()
    front = study_front(record)
    write_tables(record, front)
    page = write_page(record, front)
    _show(console, summary(record, elapsed=time.monotonic() - start, report=page))
    if not record.complete:
        raise typer.Exit(FAILED)


def _console() -> Console:
    """Standard output; a file or a pipe has no width that lines would have to fit."""
    console = Console()
    if not console.is_terminal:
        return Console(width=UNLIMITED)
    if console.is_dumb_terminal:
        # Rich takes every one for 80 columns unless it is told both.
        width, height = get_terminal_size()
        return Console(width=width, height=height)
    return console


def _show(console: Console, shown: RenderableType) -> None:
    console.print(shown, markup=False, highlight=False, crop=False)


@app.command()
def worker(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="Its name, as in study.name.")],
    storage: Annotated[
        str, typer.Option(metavar="URL", help="Where its trials are kept, as reached from here.")
    ],
    artifacts: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help="Its artifact store, as reached from here, where that differs from "
            "study.artifacts.",
        ),
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder for the run folder of the study.")] = Path(
        "runs"
    ),
) -> None:
    """Train trials of a study that `run` has begun, on this or another machine.

    Its settings come from the storage. It can be started and stopped at any time; one process
    trains one trial, or one population, at a time.

    Example: `allocsearch worker quickstart --storage sqlite:///runs/quickstart/study.db`
    """
    try:
        url = checked_storage_url(_without_password(storage))
    except ValueError as error:
        raise InputError(f"--storage: {error}") from None
    try:
        place = None if artifacts is None else checked_artifacts_url(artifacts)
    except ValueError as error:
        raise InputError(f"--artifacts: {error}") from None
    with _interruptible() as check:
        from allocsearch.report.terminal.summary import progress_text
        from allocsearch.search.joining import join

        check()
        last = ""

        def tell(record: StudyRecord) -> None:
            nonlocal last
            if (text := progress_text(record)) != last:
                last = text
                print(f"{study}: {text}", flush=True)

        join(study, url, runs, tell, place)


@app.command()
def status(run_folder: _RunFolder) -> None:
    """Show how a study stands; it may be running.

    Example: `allocsearch status runs/quickstart`
    """
    from allocsearch.report.terminal.summary import status_lines
    from allocsearch.search.records import read_run

    for line in status_lines(read_run(run_folder)):
        print(line)


@app.command()
def report(
    run_folder: _RunFolder,
    figures: Annotated[
        list[ImageFormat] | None,
        typer.Option(
            help="Also write every figure to RUN/figures as an image, and what it is drawn from "
            "as CSV; can be repeated.",
        ),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            help="Write it again whenever a trial begins or ends, to the last one or Ctrl-C; the "
            "open page follows.",
        ),
    ] = False,
    every: Annotated[
        float | None,
        typer.Option(
            min=1, max=86400, metavar="SECONDS", help="How often --watch looks; without it 10."
        ),
    ] = None,
) -> None:
    """Write report.html, trials.csv and front.csv of a study, finished or not.

    Images are written at the end of a watch. They need kaleido, which is installed by `pip install
    'allocsearch[figures]'`, and Chrome or Chromium.

    Example: `allocsearch report runs/quickstart`
    """
    from allocsearch.report.content import content_of
    from allocsearch.report.front import study_front
    from allocsearch.report.page import write_page
    from allocsearch.report.panels.figure_files import check_browser, write_figures
    from allocsearch.report.tables import write_tables
    from allocsearch.search.records import read_run

    if every is not None and not watch:
        raise InputError("--every: allowed with --watch")
    if watch:
        if figures:
            check_browser()
        record = _watched(run_folder, every or 10.0)
        content = content_of(record, study_front(record)) if figures else None
    else:
        record = read_run(run_folder)
        front = study_front(record)
        content = content_of(record, front)
        page = write_page(record, front, content=content)
        for path in (page, *write_tables(record, front)):
            print(path)
    if figures and content:
        for path in write_figures(content.figures, record.folder, figures):
            print(path)


def _watched(run_folder: Path, every: float) -> StudyRecord:
    """The study once it has ended; its report is written whenever there is news."""
    from allocsearch.report.page import REPORT_NAME
    from allocsearch.report.terminal.summary import progress_text
    from allocsearch.report.watching import watch_report

    def tell(record: StudyRecord) -> None:
        print(f"{run_folder / REPORT_NAME}: {progress_text(record)}", flush=True)

    with _interruptible("The report stands as it is; the same command goes on.") as check:
        record = watch_report(run_folder, every, tell)
        check()
    return record


@app.command()
def dashboard(
    run_folder: _RunFolder,
    host: Annotated[
        str, typer.Option(help="Address of this machine that it listens on.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port; 0 for any that is free.")
    ] = 8080,
) -> None:
    """Show the studies of a run's storage, and the files of their trials, in a browser.

    It is Optuna's dashboard, which is installed by `pip install 'allocsearch[dashboard]'`. It
    asks for no password, so that only this machine reaches it unless --host says otherwise.
    Nothing but notes can be written.

    Example: `allocsearch dashboard runs/quickstart --port 0`
    """
    from allocsearch.report.dashboard.server import open_dashboard
    from allocsearch.report.dashboard.text import dashboard_lines, warning
    from allocsearch.report.terminal.first_lines import log_first_lines

    log_first_lines()
    with _interruptible("The dashboard has ended.") as check:
        with open_dashboard(run_folder, host, port) as opened:
            check()
            if line := warning(opened):
                print(line, file=sys.stderr)
            for line in dashboard_lines(opened):
                print(line, flush=True)
            opened.serve()
        check()


@app.command()
def export(
    run_folder: _RunFolder,
    choices: Annotated[
        list[str] | None,
        typer.Option(
            "--pick",
            metavar="PICK",
            help="knee (without it), best:OBJECTIVE, max:METRIC, min:METRIC, "
            "weights:OBJECTIVE=NUMBER,..., allocation:D-D-D, trial:NUMBER, or front for all its "
            "members; can be repeated.",
        ),
    ] = None,
    constraints: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="METRIC<=NUMBER",
            help="What the pick has to satisfy, also >=, < and >; can be repeated.",
        ),
    ] = None,
    file_format: Annotated[
        ExportFormat | None,
        typer.Option("--format", help="Format; without it by the ending of --out, or toml."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File to write, or folder for a file of each pick; without it the run folder, "
            "- for the terminal."
        ),
    ] = None,
    files: Annotated[
        bool,
        typer.Option(
            "--files",
            help="Also fetch the files of its trial from study.artifacts to RUN/trials/NUMBER.",
        ),
    ] = False,
    listing: Annotated[
        bool,
        typer.Option(
            "--list", help="Show what can be picked, narrowed by --where; export nothing."
        ),
    ] = False,
) -> None:
    """Export allocations as files; `allocsearch train` accepts toml, yaml, json and hydra.

    Where an allocation has several trainings, their means decide, and the training nearest to
    them is exported.

    Example: `allocsearch export runs/quickstart --list`

    Example: `allocsearch export runs/quickstart --pick knee --out best.toml`

    Example: `allocsearch export runs/quickstart --where 'attenuation<=0.9' --out flat.toml`

    Example: `allocsearch export runs/quickstart --pick knee --pick best:auroc --out picked`

    Example: `allocsearch export runs/quickstart --format python --out model.py`
    """
    from allocsearch.report.exports.export_files import export_files, write_files
    from allocsearch.report.exports.export_formats import format_of
    from allocsearch.report.exports.export_list import export_list
    from allocsearch.report.exports.pick import picks
    from allocsearch.search.records import read_run

    if listing:
        given = {"--pick": choices, "--format": file_format, "--out": out, "--files": files}
        for name in (name for name, value in given.items() if value):
            raise InputError(f"{name}: not allowed with --list, which exports nothing")
    record = read_run(run_folder)
    if listing:
        listed = export_list(record, constraints or ())
        _console().print(listed, soft_wrap=True, highlight=False)
        return
    terminal = out == Path("-")
    written = format_of(file_format, out)
    picked = picks(record, choices or ["knee"], constraints or ())
    if terminal and len(picked) > 1:
        raise InputError(f"--out -: found {len(picked)} picks; allowed: one, or a folder")
    texts = export_files(record, picked, written, None if terminal else out, _feature_maps)
    if terminal:
        print(*texts.values(), end="")
    else:
        write_files(texts)
        for path in texts:
            print(path)
    if files:
        from allocsearch.search.artifacts.fetch import trial_files

        for number in dict.fromkeys(each.trial.number for each in picked):
            for found in trial_files(record, number):
                print(found, file=sys.stderr if terminal else sys.stdout)


def _feature_maps(exported: ExportedAllocation) -> tuple[int, ...]:
    """What the format hvae-oodd counts."""
    from allocsearch.search.feature_maps import feature_maps

    own = exported.trainer is None
    return feature_maps(exported.dims, exported.model, exported.data if own else None)


@app.command()
def evaluate(
    run_folder: _RunFolder,
    choices: Annotated[
        list[str] | None,
        typer.Option(
            "--pick",
            metavar="PICK",
            help="knee (without it), best:OBJECTIVE or another pick of `export --list`; can be "
            "repeated.",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Fresh trainings of each allocation.")] = 3,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes; without it study.workers.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Evaluate other picks on test sets seen before.")
    ] = False,
) -> None:
    """Train picked allocations and baselines with fresh seeds, and test them on data.ood_test.

    Picks know validation metrics alone. Every opening of the test sets is counted, and shown with
    the results: pick once, then evaluate once. The same command goes on with what was broken off.

    Example: `allocsearch evaluate runs/quickstart --pick knee --seeds 3 --workers 2`
    """
    from allocsearch.report.exports.pick import pick
    from allocsearch.search.records import read_run

    record = read_run(run_folder)
    picked = [(text, pick(record, text)) for text in choices or ["knee"]]
    with _interruptible() as check:
        from allocsearch.report.evaluation_table import write_evaluation_table
        from allocsearch.report.evaluation_text import evaluation_text
        from allocsearch.report.page import write_page
        from allocsearch.search.evaluation.entrants import Pick
        from allocsearch.search.evaluation.evaluations import read_openings
        from allocsearch.search.evaluation.final import evaluate as evaluate_run

        check()
        evaluation = evaluate_run(
            record,
            [Pick(text, trial) for text, trial in picked],
            seeds,
            workers or record.config.study.workers,
            again=again,
            on_done=lambda what, done, total: print(f"{done} of {total} {what}", flush=True),
        )
        openings = read_openings(record.folder)
        Console().print(evaluation_text(evaluation, openings), soft_wrap=True, highlight=False)
        print(write_evaluation_table(evaluation, record.folder))
        print(write_page(record))


@app.command()
def train(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An exported allocation.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to; without it FILE without its ending.")
    ] = None,
) -> None:
    """Train an exported allocation again, compare its metrics, and make a detector of it.

    The folder holds metrics.json, scores.npz, and what `allocsearch score` takes: detector.json
    and its tensors.

    Example: `allocsearch train best.toml --out best`
    """
    from allocsearch.report.exports.export import load_export
    from allocsearch.report.exports.repetition import repetition_lines

    exported = load_export(file)
    folder = out or file.with_suffix("")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: exists already; choose another --out")
    if exported.trainer is not None and exported.trainer.foreign:
        _train_foreign(exported, exported.trainer, folder)
        return
    from allocsearch.search.detectors.detector_training import train_detector

    console = Console()
    with console.status(f"training {exported.allocation}") as state:
        outcome, card = train_detector(
            folder,
            exported.parsed_allocation,
            exported.seed,
            exported.own_data,
            exported.model,
            exported.training,
            exported.evaluation,
            lambda epoch: state.update(
                f"training {exported.allocation}: epoch {epoch.epoch} of {epoch.epochs}, "
                f"ELBO {epoch.elbo:.1f} nats"
            ),
            lambda epoch: state.update(
                f"pretraining {exported.allocation}: epoch {epoch.pretrain_epoch} of "
                f"{epoch.pretrain_epochs}, NT-Xent {epoch.contrastive_loss:.3f} nats"
            ),
        )
    for line in repetition_lines(exported, outcome.measurement.metrics, outcome.provenance):
        print(line)
    print(_no_detector(exported.evaluation.score) if card is None else card.summary)
    print(folder)


def _train_foreign(exported: ExportedAllocation, trainer: TrainerSection, folder: Path) -> None:
    """Train an exported allocation by the function or program of the user."""
    from allocsearch.report.exports.repetition import repetition_lines
    from allocsearch.search.foreign.retraining import retrain_foreign

    console = Console()
    with console.status(f"training {exported.allocation}") as state:
        result = retrain_foreign(
            folder,
            exported.parsed_allocation,
            exported.seed,
            trainer,
            exported.data,
            exported.model,
            exported.training,
            exported.evaluation,
            lambda share: state.update(f"training {exported.allocation}: {share:.0%}"),
        )
    for line in repetition_lines(exported, result.metrics, result.provenance):
        print(line)
    print(
        f"No detector: trainer.kind is {trainer.kind!r}; only allocsearch's own models have one."
    )
    print(folder)


def _no_detector(score: str) -> str:
    return (
        f"No detector: evaluation.score is {score!r}, and data.ood_validation has no set to "
        f"choose a score on; set one of the two."
    )


@app.command()
def score(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder that `allocsearch train` wrote.")
    ],
    data: Annotated[
        str,
        typer.Option(
            metavar="X",
            help=".npy, .npz, FASTA, IDX or image file, folder or .zip file of images, or name of "
            "a set.",
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Table to write, .csv or .parquet; - for CSV on the terminal.")
    ] = Path("scores.csv"),
    fpr: Annotated[
        float, typer.Option(help="Share of ID examples that may be taken for OOD.")
    ] = 0.05,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Examples in one pass; without it as in training.")
    ] = None,
    array: Annotated[
        str | None, typer.Option(help="Array of a .npz file; FILE.npz:ARRAY does the same.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Official part of a named set: train or test.")
    ] = None,
    resize: Annotated[
        bool, typer.Option("--resize", help="Convert images of other size or colours.")
    ] = False,
) -> None:
    """Score examples with a detector, and decide which are OOD.

    Writes a table with name or place, score (larger is more OOD) and decision of each example.

    Example: `allocsearch score best --data digits --out scores.csv`
    """
    from allocsearch.search.detectors.detector import Detector
    from allocsearch.search.detectors.score_table import check_table, csv_table, table_at
    from allocsearch.search.detectors.scoring import Examples, score_examples

    terminal = out == Path("-")
    if not terminal:
        check_table(out)
    table = partial(csv_table, sys.stdout.buffer) if terminal else partial(table_at, out)
    detector = Detector.load(folder)
    examples = Examples(data, array, split, resize)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("scoring", total=None)
        tally = score_examples(
            detector,
            examples,
            table,
            fpr,
            batch_size,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    print(tally.line(detector.card.score, fpr), file=sys.stderr if terminal else sys.stdout)
    if not terminal:
        print(out)


@app.command()
def theory(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="Study file, TOML or YAML.")],
    overrides: _Overrides = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder to write to; without it runs/NAME-theory."),
    ] = None,
) -> None:
    """Predict retention, attenuation and the front from the ID data alone, without training.

    Writes theory.html, and theory.png where kaleido and a browser are installed.

    Example: `allocsearch theory studies/quickstart.toml`
    """
    from allocsearch.report.theory_page import write_prediction_image, write_prediction_page
    from allocsearch.report.theory_text import prediction_text
    from allocsearch.search.prediction import write_prediction
    from allocsearch.search.predictor import load_and_predict

    config = load(study, overrides or ())
    name = config.study.name
    folder = out or Path("runs") / f"{name}-theory"
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: not a folder; choose another --out")
    prediction = load_and_predict(config)
    Console().print(prediction_text(prediction, name), soft_wrap=True, highlight=False)
    print()
    print(write_prediction(prediction, folder))
    print(write_prediction_page(prediction, name, folder))
    try:
        print(write_prediction_image(prediction, name, folder))
    except RuntimeError as error:
        print(f"{folder}: no theory.png: {error}", file=sys.stderr)


def main() -> NoReturn:
    """Run the command line; one line and an exit code for whatever goes wrong."""
    _suit_terminal()
    try:
        # Alone, the command shows what it can do.
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except typer.TyperException as error:
        context: typer.Context | None = getattr(error, "ctx", None)
        hint = f"; see {context.command_path} --help" if context else ""
        _fail(error.format_message().rstrip(".") + hint, BAD_INPUT)
    except (InputError, StorageError) as error:
        _fail(str(error), BAD_INPUT)
    except OSError as error:
        # What is renamed has a second name, that of the file which was asked for.
        place = error.filename2 or error.filename or "system"
        _fail(f"{place}: {error.strerror or error}", FAILED)
    except (RuntimeError, OptunaError, SQLAlchemyError) as error:
        _fail(str(error).partition("\n")[0] or type(error).__name__, FAILED)
    sys.exit(code)


def _suit_terminal() -> None:
    """Write what the locale has no characters for as escapes, instead of failing.

    Python writes UTF-8 in a locale without any encoding; what a terminal shows there are bytes.
    """
    chosen = os.environ.keys() & {"PYTHONIOENCODING", "PYTHONUTF8"}
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            plain = stream.isatty() and not chosen
            encoding = locale.getencoding() if plain else None
            stream.reconfigure(encoding=encoding, errors="backslashreplace")


def _fail(message: str, code: int) -> NoReturn:
    print(printable(" ".join(message.split())), file=sys.stderr)
    sys.exit(code)
