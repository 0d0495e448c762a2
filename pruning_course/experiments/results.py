"""Read the results in a folder, summarize them in tables, and write a report."""

import io
import os
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pruning_course.experiments.folders import PLAN, RESULT, read_json
from pruning_course.experiments.grid import NAMES
from pruning_course.experiments.plots import draw
from pruning_course.experiments.settings import OPTIONS
from pruning_course.files import written_beside

NOT_ON_SCREEN = ["macro-F1", "of selected"]  # so that the table fits into 80 columns
LEGEND = (
    "F1 is the mean over the seeds on the validation texts, with the lowest and the highest value in brackets. "
    "`vs dense` is the change in micro-F1. `of all` is the pruned fraction of all parameters, `of selected` that of "
    "the chosen layers. `MB` is the size of the model's file, in which a masked weight takes as much room as any other."
)
LECTURE = Path(__file__).with_name("lecture.csv")  # the results of `make sweep`, which runs the grid lecture.toml
WIDEST = 1000  # characters in a line of a Markdown table, so that no cell is wrapped


def read_results(folder: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Return a row for each `result.json` in `folder` and its subfolders, sorted by path.

    Without a folder, these are the results of the lecture's grid, which come with the course.

    The columns are run, status and error; the settings; micro_f1, macro_f1 and average_precision on validation,
    select_micro_f1 on the texts that choose an epoch, and all four of the dense model, such as dense_micro_f1; selected
    and of_all (the pruned fractions of the chosen layers and of all parameters); mb (the model's file in megabytes);
    work (the fraction of multiply-adds that remains); seconds, and pruning_seconds for calibrating, selecting and
    masking alone; torch and transformers (versions) and cores. A failed run has no numbers.

    Raises:
        OSError: if a file cannot be read.
        ValueError: if there is no result, or a file is damaged or is not a result.
    """
    if folder is None:
        return pd.read_csv(LECTURE, converters={"error": str})
    paths = sorted(path for path in Path(folder).rglob(RESULT) if not path.parent.name.startswith("."))
    if not paths:
        raise ValueError(f"{folder} holds no {RESULT}; it must be a folder that `run` or `sweep` has written.")
    return pd.DataFrame([_row(path, read_json(path)) for path in paths])


def _row(path: Path, result: dict[str, Any]) -> dict[str, Any]:
    try:
        row = {"run": path.parent.name, "status": result["status"], "error": result.get("error", "")}
        row |= {name: result["settings"][name] for name in NAMES}
        if result["status"] == "done":
            row |= result["metrics"] | {f"dense_{name}": value for name, value in result["dense_metrics"].items()}
            row |= {name: result["sparsity"][name] for name in ("selected", "of_all")}
            row["mb"] = result["bytes"] / 1e6
            row["work"] = result["multiply_adds"]["pruned"] / result["multiply_adds"]["dense"]
            row["pruning_seconds"] = result["seconds"]["pruning"]
        row |= {name: result["versions"][name] for name in ("torch", "transformers")}
        return row | {"cores": result["machine"]["cores"], "seconds": result["seconds"]["total"]}
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is not the result of a run: it has no {error}.") from error


def by_experiment(folder: str | os.PathLike[str], results: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the rows of the runs that are done, by experiment and in its order.

    If `folder` does not hold a sweep, all of them are one experiment called "runs", sorted by their settings.

    Raises ValueError if the plan of the sweep is damaged.
    """
    done = results[results["status"] == "done"]
    plan = Path(folder) / PLAN
    if not plan.exists():
        return {"runs": done.sort_values(list(NAMES), kind="stable")} if len(done) else {}
    frames = {}
    for name, runs in read_json(plan)["experiments"].items():
        frame = done[done["run"].isin(runs)]
        if len(frame):
            frames[name] = frame.sort_values("run", key=lambda column, runs=runs: column.map(runs.index))
    return frames


def varied(frame: pd.DataFrame) -> list[str]:
    """Return the settings, except the seed, that differ between runs and do not just follow from the method."""
    axes = [name for name in NAMES if name != "seed" and frame[name].nunique(dropna=False) > 1]
    within = frame.groupby("prune_method")
    return [name for name in axes if name not in OPTIONS or (within[name].nunique(dropna=False) > 1).any()]


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each combination of the varied settings: means over the seeds, and the range of each F1."""
    axes = varied(frame) or ["prune_method"]
    rows = []
    for values, runs in frame.groupby(axes, sort=False, dropna=False):
        rows.append(
            {_heading(axis): _text(value) for axis, value in zip(axes, values, strict=True)}
            | {
                "micro-F1": _spread(runs["micro_f1"]),
                "macro-F1": _spread(runs["macro_f1"]),
                "vs dense": f"{(runs['micro_f1'] - runs['dense_micro_f1']).mean():+.3f}",
                "of selected": f"{runs['selected'].mean():.1%}",
                "of all": f"{runs['of_all'].mean():.1%}",
                "MB": f"{runs['mb'].mean():.1f}",
                "seconds": f"{runs['seconds'].mean():.0f}",
                "seeds": str(runs["seed"].nunique()),
            }
        )
    return pd.DataFrame(rows)


def _heading(name: str) -> str:
    return name.removeprefix("prune_").removeprefix("fine_tune_").replace("_", " ")


def _text(value: Any) -> str:
    if pd.isna(value):  # an option that the method does not have
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _spread(values: pd.Series) -> str:
    if len(values) == 1:
        return f"{values.iloc[0]:.3f}"
    return f"{values.mean():.3f} ({values.min():.3f}-{values.max():.3f})"


def write_report(folder: str | os.PathLike[str]) -> None:
    """Print tables of the results in `folder`, and write them there.

    The files are `results.csv` (a row for each run), `report.md`, and a PNG for each experiment.

    Raises:
        OSError: if a result cannot be read, or the report cannot be written.
        ValueError: if there is no result, or a file is damaged or is not a result.
    """
    folder, console = Path(folder), Console()
    results = read_results(folder)
    with written_beside(folder / "results.csv") as target:
        results.to_csv(target, index=False)
    sections = ["# Results\n", f"{LEGEND}\n"]
    for name, frame in by_experiment(folder, results).items():
        table = summary(frame)
        console.print(_rich(table.drop(columns=NOT_ON_SCREEN), title=name))
        axes = varied(frame)
        with written_beside(folder / f"{name}.png") as target:
            draw(frame, axes, title=name).savefig(target, dpi=100)
        caption = f"Micro-F1 on the validation texts by {', '.join(axes) or 'run'}; the dashed line is the dense model."
        sections += [f"## {name}\n", _markdown(table), f"![{caption}]({name}.png)\n"]
    console.print(LEGEND)
    failed = results[results["status"] == "failed"][["run", "error"]]
    if len(failed):
        console.print(_rich(failed, title="failed"))
        sections += ["## Failed\n", _markdown(failed)]
    with written_beside(folder / "report.md") as target:
        target.write_text("\n".join(sections), encoding="utf-8")


def _rich(frame: pd.DataFrame, **options: Any) -> Table:
    table = Table(**{"box": box.SIMPLE_HEAD} | options)
    for name in frame.columns:
        table.add_column(name, no_wrap="F1" in name)  # a mean and its range stay on one line
    for row in frame.itertuples(index=False):
        table.add_row(*(Text(str(value)) for value in row))  # so that rich does not take brackets for markup
    return table


def _markdown(frame: pd.DataFrame) -> str:
    text = io.StringIO()
    Console(file=text, width=WIDEST).print(_rich(frame, box=box.MARKDOWN))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines() if line.strip()) + "\n"
