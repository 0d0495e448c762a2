"""The command line: `python -m pruning_course COMMAND`."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

FAILED, REFUSED, STOPPED = 1, 2, 130  # exit codes; the last is what a shell gives for Ctrl-C
FINE_TUNE_EPOCHS = 3  # of --fine-tune-after-prune alone
HELP = {
    "prune_method": "magnitude, wanda, gradual or structured. (default: magnitude)",
    "prune_sparsity": "The share to remove, from 0 to 1. (default: 0.5)",
    "prune_layers": "all, attention, ffn or encoder. (default: all)",
    "schedule": "Of gradual pruning: linear, cubic, exponential or geometric. (default: cubic)",
    "importance": "Of structured pruning: norm or gradient. (default: norm)",
    "fine_tune_epochs": "Train afterwards, for this many epochs. (default: 0)",
    "learning_rate": "Of that training, constant. (default: 2e-5)",
    "train_texts": "How many texts are drawn to train on. (default: 512)",
    "seed": "Of that draw and of the training. (default: 0)",
}


def option(help: str, *names: str):
    """An option; its name is that of the parameter, if no other is given."""
    return typer.Option(*names, help=help, show_default=False)


def several(name: str):
    """The type of a setting that can be given more than once."""
    kind = {"prune_sparsity": float, "learning_rate": float, "fine_tune_epochs": int, "train_texts": int, "seed": int}
    return Annotated[list[kind.get(name, str)] | None, option(f"{HELP[name]} Can be repeated.")]


Global = Annotated[
    bool | None,
    option("Compare all layers with each other, or within each. (default: the method's)", "--global/--local"),
]
FineTune = Annotated[bool, option(f"The same as --fine-tune-epochs {FINE_TUNE_EPOCHS}.", "--fine-tune-after-prune")]
Model = Annotated[str | None, option("A classifier: a folder, or a name on the Hugging Face Hub. (default: ours)")]
Data = Annotated[str | None, option("Its texts, a CSV file; a fifth of them is kept to score on. (default: our task)")]
TextColumn = Annotated[str, option("The column of texts in that file. (default: text)")]
LabelColumn = Annotated[str, option("The column of labels in that file. (default: label)")]
Separator = Annotated[str | None, option("Between the labels of a text that can have several. (default: it has one)")]


@app.callback()
def main() -> None:
    """Prune neural networks: score, select, mask, hold while training, finalize or shrink."""


@app.command()
def doctor() -> None:
    """Say whether the course can run on this machine, and if not, what to do."""
    from pruning_course.lab.doctor import check_environment

    rows = check_environment()
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, value, ok, advice in rows:
        mark = "ok" if ok else "NO"
        typer.echo(f"{mark:<3} {name:<{widths[0]}}  {value:<{widths[1]}}  {advice}".rstrip())
    bad = [row for row in rows if not row.ok]
    if bad:
        typer.echo(f"\nThe course cannot run yet; first: {bad[0].advice}")
        raise typer.Exit(1)
    typer.echo("\nThe course can run here.")


@app.command()
def run(
    prune_method: Annotated[str | None, option(HELP["prune_method"])] = None,
    prune_sparsity: Annotated[float | None, option(HELP["prune_sparsity"])] = None,
    prune_layers: Annotated[str | None, option(HELP["prune_layers"])] = None,
    schedule: Annotated[str | None, option(HELP["schedule"])] = None,
    importance: Annotated[str | None, option(HELP["importance"])] = None,
    global_pruning: Global = None,
    fine_tune_after_prune: FineTune = False,
    fine_tune_epochs: Annotated[int | None, option(HELP["fine_tune_epochs"])] = None,
    learning_rate: Annotated[float | None, option(HELP["learning_rate"])] = None,
    train_texts: Annotated[int | None, option(HELP["train_texts"])] = None,
    seed: Annotated[int | None, option(HELP["seed"])] = None,
    model: Model = None,
    data: Data = None,
    text_column: TextColumn = "text",
    label_column: LabelColumn = "label",
    label_separator: Separator = None,
    output_dir: Annotated[str | None, option("A new folder. (default: one in results/, named after the run)")] = None,
) -> None:
    """Prune a classifier, train it again, score it, and save it with its result."""
    given = _given(locals())
    with _told():
        from pruning_course.experiments import Settings, Source, check_run, find_run, load_task, run_into

        settings = Settings(**given)
        folder = output_dir or f"results/{settings.name}"
        source = Source(model, data, text_column, label_column, label_separator)
        result = find_run(folder, settings, source)
        if result is not None:
            typer.echo(f"Nothing to do: {folder} holds this run already.")
        else:
            check_run(settings, source)
            typer.echo(load_task(source).count)
            result = run_into(folder, settings, source)
    before, after = (result[name]["micro_f1"] for name in ("dense_metrics", "metrics"))
    typer.echo(
        f"Micro-F1 on validation {after:.3f}, before {before:.3f}; {result['sparsity']['selected']:.1%} of the chosen "
        f"weights are pruned, {result['sparsity']['of_all']:.1%} of all. The model and its result are in {folder}."
    )


@app.command()
def sweep(
    grid: Annotated[str | None, option("A TOML file of experiments. (default: the lecture's four)")] = None,
    prune_method: several("prune_method") = None,
    prune_sparsity: several("prune_sparsity") = None,
    prune_layers: several("prune_layers") = None,
    schedule: several("schedule") = None,
    importance: several("importance") = None,
    global_pruning: Global = None,
    fine_tune_after_prune: FineTune = False,
    fine_tune_epochs: several("fine_tune_epochs") = None,
    learning_rate: several("learning_rate") = None,
    train_texts: several("train_texts") = None,
    seed: several("seed") = None,
    model: Model = None,
    data: Data = None,
    text_column: TextColumn = "text",
    label_column: LabelColumn = "label",
    label_separator: Separator = None,
    output_dir: Annotated[str, option("A new folder, or that of the same sweep. (default: results/sweep)")] = (
        "results/sweep"
    ),
    jobs: Annotated[int, option("How many runs at a time. (default: 1)")] = 1,
    backend: Annotated[str, option("local or dask. (default: local)")] = "local",
    scheduler: Annotated[str | None, option("The address of a Dask scheduler, for --backend dask.")] = None,
) -> None:
    """Run every combination of the settings, or the experiments of a grid; go on where an earlier call was stopped.

    Runs that failed are tried again. Options of pruning make a grid of their own; --learning-rate, --train-texts and
    --seed alone take the place of those values in the grid.
    """
    given = _given(locals())
    with _told():
        from pruning_course.experiments import Source, Sweep, choose_runs, load_task

        if backend not in ("local", "dask") or (backend == "dask") != (scheduler is not None):
            raise ValueError("backend is local, or dask together with the address of a --scheduler.")
        if jobs < 1 or (backend == "dask" and jobs > 1):
            raise ValueError(f"jobs is {jobs}; it is at least 1, and on a cluster the scheduler decides.")
        experiments = choose_runs(grid, given)
        source = Source(model, data, text_column, label_column, label_separator)
        task = load_task(source)
        runs = Sweep(experiments, source, output_dir)
        typer.echo(task.count)
        try:
            errors = runs.run(jobs, scheduler)
        except KeyboardInterrupt:
            typer.echo(
                f"Stopped: {len(runs.done)} of {len(runs.runs)} runs are done; the same command makes the rest.",
                err=True,
            )
            raise typer.Exit(STOPPED) from None
    typer.echo(f"{len(runs.runs) - len(errors)} of {len(runs.runs)} runs are done, in {output_dir}.")
    for name, error in errors.items():
        typer.echo(f"{name} failed: {error}", err=True)
    if errors:
        raise typer.Exit(FAILED)


@app.command()
def report(folder: Annotated[str, typer.Argument(help="What `sweep` wrote, or a folder of runs.")]) -> None:
    """Print tables of the results in a folder, and write them there: results.csv, report.md, a PNG an experiment."""
    with _told():
        from pruning_course.experiments import write_report

        write_report(folder)


def _given(arguments: dict) -> dict:
    """The settings among the arguments of a command that were given."""
    names = (*HELP, "global_pruning")
    given = {name: arguments[name] for name in names if arguments[name] not in (None, [])}
    if arguments["fine_tune_after_prune"]:
        given.setdefault("fine_tune_epochs", FINE_TUNE_EPOCHS)
    return given


@contextmanager
def _told() -> Iterator[None]:
    """Tell what goes wrong in one sentence, and end with its exit code; tell a warning without the code it is from."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: typer.echo(f"Warning: {message}", err=True)
            yield
    except KeyboardInterrupt:
        typer.echo("Stopped.", err=True)
        raise typer.Exit(STOPPED) from None
    except typer.Exit:
        raise
    except OSError as error:
        typer.echo(f"{error.filename}: {error.strerror}." if error.filename else str(error), err=True)
        raise typer.Exit(FAILED) from None
    except Exception as error:
        typer.echo(" ".join(str(error).split()) or type(error).__name__, err=True)
        raise typer.Exit(REFUSED if isinstance(error, ValueError) else FAILED) from None
