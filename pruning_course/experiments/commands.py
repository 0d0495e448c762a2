"""The commands of `python -m pruning_course`.

torch and everything that needs it are imported by the commands, so that `doctor` runs without them.
"""

from typing import Annotated, Any

import typer

from pruning_course.experiments.exits import FAILED, STOPPED, reported
from pruning_course.experiments.machine import doctor, verify
from pruning_course.experiments.options import (
    FINE_TUNE_EPOCHS,
    HELP,
    Data,
    FineTune,
    Global,
    LabelColumn,
    Model,
    Separator,
    TextColumn,
    option,
    repeatable,
)

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Prune a text classifier, measure what it costs, and compare runs."""


app.command()(doctor)
app.command()(verify)


@app.command()
def run(
    prune_method: Annotated[str | None, option(HELP["prune_method"])] = None,
    prune_sparsity: Annotated[float | None, option(HELP["prune_sparsity"])] = None,
    prune_layers: Annotated[str | None, option(HELP["prune_layers"])] = None,
    schedule: Annotated[str | None, option(HELP["schedule"])] = None,
    structure: Annotated[str | None, option(HELP["structure"])] = None,
    importance: Annotated[str | None, option(HELP["importance"])] = None,
    group: Annotated[str | None, option(HELP["group"])] = None,
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
    output_dir: Annotated[str | None, option("A new folder. (default: results/ and the name of the run)")] = None,
) -> None:
    """Prune a classifier, train it again, score it, and save it with its result."""
    options = _settings(locals())
    with reported():
        from pruning_course.experiments import Settings, Source, check_run, find_run, load_task, run_into

        settings = Settings(**options)
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
    sparsity = result["sparsity"]
    typer.echo(
        f"Micro-F1 on the validation texts is {after:.3f}, and was {before:.3f} before pruning; "
        f"{sparsity['selected']:.1%} of the chosen weights are pruned, {sparsity['of_all']:.1%} of all. "
        f"The model and its result are in {folder}."
    )


@app.command()
def sweep(
    grid: Annotated[str | None, option("A TOML file of experiments. (default: those of the lecture)")] = None,
    prune_method: Annotated[list[str] | None, repeatable("prune_method")] = None,
    prune_sparsity: Annotated[list[float] | None, repeatable("prune_sparsity")] = None,
    prune_layers: Annotated[list[str] | None, repeatable("prune_layers")] = None,
    schedule: Annotated[list[str] | None, repeatable("schedule")] = None,
    structure: Annotated[list[str] | None, repeatable("structure")] = None,
    importance: Annotated[list[str] | None, repeatable("importance")] = None,
    group: Annotated[list[str] | None, repeatable("group")] = None,
    global_pruning: Global = None,
    fine_tune_after_prune: FineTune = False,
    fine_tune_epochs: Annotated[list[int] | None, repeatable("fine_tune_epochs")] = None,
    learning_rate: Annotated[list[float] | None, repeatable("learning_rate")] = None,
    train_texts: Annotated[list[int] | None, repeatable("train_texts")] = None,
    seed: Annotated[list[int] | None, repeatable("seed")] = None,
    model: Model = None,
    data: Data = None,
    text_column: TextColumn = "text",
    label_column: LabelColumn = "label",
    label_separator: Separator = None,
    output_dir: Annotated[str, option("A new folder, or that of the same sweep. (default: results/sweep)")] = (
        "results/sweep"
    ),
    jobs: Annotated[int, option("The number of runs at a time. (default: 1)")] = 1,
    backend: Annotated[str, option("Where runs are made: local or dask. (default: local)")] = "local",
    scheduler: Annotated[str | None, option("The address of a Dask scheduler, for --backend dask.")] = None,
) -> None:
    """Make the runs of a grid of experiments, or of every combination of the given settings.

    A sweep that was interrupted is resumed, and failed runs are tried again. Settings that say how to prune replace
    the grid; --learning-rate, --train-texts and --seed alone only replace these values in the grid.
    """
    options = _settings(locals())
    with reported():
        from pruning_course.experiments import Source, Sweep, choose_runs, load_task

        if backend not in ("local", "dask"):
            raise ValueError(f"backend is {backend!r}; it must be local or dask.")
        if (backend == "dask") != (scheduler is not None):
            raise ValueError("--backend dask and --scheduler must be given together, or neither of them.")
        if jobs < 1 or (backend == "dask" and jobs > 1):
            raise ValueError(f"jobs is {jobs}; it must be at least 1, and 1 for dask, where the scheduler decides.")
        experiments = choose_runs(grid, options)
        source = Source(model, data, text_column, label_column, label_separator)
        task = load_task(source)
        runs = Sweep(experiments, source, output_dir)
        total = len(runs.runs)
        typer.echo(task.count)
        try:
            errors = runs.run(jobs, scheduler)
        except KeyboardInterrupt:
            message = f"Stopped: {len(runs.done)} of {total} runs are done; the same command makes the others."
            typer.echo(message, err=True)
            raise typer.Exit(STOPPED) from None
    typer.echo(f"{total - len(errors)} of {total} runs are done, in {output_dir}.")
    for name, error in errors.items():
        typer.echo(f"{name} failed: {error}", err=True)
    if errors:
        raise typer.Exit(FAILED)


@app.command()
def shapes(
    model: Model = None,
    data: Data = None,
    text_column: TextColumn = "text",
    label_column: LabelColumn = "label",
    label_separator: Separator = None,
    output: Annotated[str, option("The file to write. (default: results/shapes.csv)")] = "results/shapes.csv",
) -> None:
    """Measure the file and the time of each shape that pruning can make of a classifier."""
    with reported():
        from pruning_course.experiments import Source, measure_shapes
        from pruning_course.files import written_beside

        table = measure_shapes(Source(model, data, text_column, label_column, label_separator))
        with written_beside(output) as target:
            table.to_csv(target, index=False)
    typer.echo(f"{len(table)} shapes were measured on {table['processor'][0]}; they are in {output}.")


@app.command()
def report(folder: Annotated[str, typer.Argument(help="A folder that `sweep` has written, or one with runs.")]) -> None:
    """Print tables of the results in a folder, and write results.csv, report.md and figures there."""
    with reported():
        from pruning_course.experiments import write_report

        write_report(folder)


def _settings(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a run or sweep that are among the arguments of a command and were given."""
    names = (*HELP, "global_pruning")
    settings = {name: arguments[name] for name in names if arguments[name] not in (None, [])}
    if arguments["fine_tune_after_prune"]:
        settings.setdefault("fine_tune_epochs", FINE_TUNE_EPOCHS)
    return settings
