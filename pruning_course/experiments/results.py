"""The results in a folder: read, put into tables, written as a report."""

import io
import os
from pathlib import Path

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

NOT_ON_SCREEN = ["macro-F1", "of selected"]  # 80 columns are enough for the rest
LEGEND = (
    "F1 is on validation: the mean over the seeds and, in brackets, the lowest and the highest. `vs dense` is the "
    "change in micro-F1. `of all` is the pruned share of all parameters, `of selected` that of the chosen layers. "
    "`MB` is the size of the model when rows and columns that are pruned as a whole are cut out."
)
# Of the grid lecture.toml, as `make sweep` gave them.
LECTURE = Path(__file__).with_name("lecture.csv")
WIDEST = 1000  # columns of a Markdown table, so that no cell is broken


def read_results(folder: str | os.PathLike | None = None) -> pd.DataFrame:
    """One row for each `result.json` below `folder`, sorted by its path; without a folder, those of the lecture's grid
    that come with the course.

    Columns: run, status, error; the settings; micro_f1, macro_f1, dense_micro_f1, dense_macro_f1; selected and of_all
    (pruned shares); mb_dense, mb_csr, mb_shrunk; work (share of the multiply-adds that is left), speed_up (of a forward
    pass); seconds, of which pruning_seconds for the choice and the mask; torch, transformers (versions) and cores. A
    failed run has no numbers. ValueError if there is none, or a file is damaged.
    """
    if folder is None:
        return pd.read_csv(LECTURE, converters={"error": str})
    paths = sorted(path for path in Path(folder).rglob(RESULT) if not path.parent.name.startswith("."))
    if not paths:
        raise ValueError(f"{folder} holds no {RESULT}; `run` and `sweep` write them.")
    return pd.DataFrame([_row(path, read_json(path)) for path in paths])


def _row(path: Path, result: dict) -> dict:
    try:
        row = {"run": path.parent.name, "status": result["status"], "error": result.get("error", "")}
        row |= {name: result["settings"][name] for name in NAMES}
        if result["status"] == "done":
            row |= result["metrics"] | {f"dense_{name}": value for name, value in result["dense_metrics"].items()}
            row |= {name: result["sparsity"][name] for name in ("selected", "of_all")}
            row |= {f"mb_{kind}": result["bytes"][kind] / 1e6 for kind in ("dense", "csr", "shrunk")}
            row["work"] = result["multiply_adds"]["pruned"] / result["multiply_adds"]["dense"]
            row["speed_up"] = result["seconds"]["dense_forward"] / result["seconds"]["pruned_forward"]
            row["pruning_seconds"] = result["seconds"]["pruning"]
        row |= {name: result["versions"][name] for name in ("torch", "transformers")}
        return row | {"cores": result["machine"]["cores"], "seconds": result["seconds"]["total"]}
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is no result of a run: it has no {error}.") from error


def by_experiment(folder: str | os.PathLike, results: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The runs that ended well: of a sweep, those of each experiment in its order; of another folder, all, sorted."""
    done = results[results["status"] == "done"]
    plan = Path(folder) / PLAN
    if not plan.exists():
        return {"runs": done.sort_values(list(NAMES), kind="stable")} if len(done) else {}
    found = {}
    for name, runs in read_json(plan)["experiments"].items():
        frame = done[done["run"].isin(runs)]
        if len(frame):
            found[name] = frame.sort_values("run", key=lambda column, runs=runs: column.map(runs.index))
    return found


def varied(frame: pd.DataFrame) -> list[str]:
    """The settings, other than the seed, of which the runs have more than one value; what comes with the method not."""
    axes = [name for name in NAMES if name != "seed" and frame[name].nunique(dropna=False) > 1]
    within = frame.groupby("prune_method")
    return [name for name in axes if name not in OPTIONS or (within[name].nunique(dropna=False) > 1).any()]


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """One row for each combination of what is varied: means over the seeds and, of the F1s, lowest and highest."""
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
                "MB": f"{runs['mb_shrunk'].mean():.1f}",
                "seconds": f"{runs['seconds'].mean():.0f}",
                "seeds": str(runs["seed"].nunique()),
            }
        )
    return pd.DataFrame(rows)


def _heading(name: str) -> str:
    return name.removeprefix("prune_").removeprefix("fine_tune_").replace("_", " ")


def _text(value) -> str:
    if pd.isna(value):  # an option that the method does not have
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _spread(values: pd.Series) -> str:
    if len(values) == 1:
        return f"{values.iloc[0]:.3f}"
    return f"{values.mean():.3f} ({values.min():.3f}-{values.max():.3f})"


def write_report(folder: str | os.PathLike) -> None:
    """Print the tables of `folder` and write into it `results.csv` (a row for each run), `report.md` and a PNG for each
    experiment. Raises as `read_results`; OSError if it cannot be written."""
    folder, console = Path(folder), Console()
    results = read_results(folder)
    with written_beside(folder / "results.csv") as target:
        results.to_csv(target, index=False)
    parts = ["# Results\n", f"{LEGEND}\n"]
    for name, frame in by_experiment(folder, results).items():
        table = summary(frame)
        console.print(_rich(table.drop(columns=NOT_ON_SCREEN), title=name))
        axes = varied(frame)
        with written_beside(folder / f"{name}.png") as target:
            draw(frame, axes, title=name).savefig(target, dpi=100)
        about = f"Micro-F1 on validation by {', '.join(axes) or 'run'}; the dashed line is the dense model."
        parts += [f"## {name}\n", _markdown(table), f"![{about}]({name}.png)\n"]
    console.print(LEGEND)
    failed = results[results["status"] == "failed"][["run", "error"]]
    if len(failed):
        console.print(_rich(failed, title="failed"))
        parts += ["## Failed\n", _markdown(failed)]
    with written_beside(folder / "report.md") as target:
        target.write_text("\n".join(parts), encoding="utf-8")


def _rich(frame: pd.DataFrame, **options) -> Table:
    table = Table(**{"box": box.SIMPLE_HEAD} | options)
    for name in frame.columns:
        table.add_column(name, no_wrap="F1" in name)  # other headings may be broken, a mean and its spread not
    for row in frame.itertuples(index=False):
        table.add_row(*(Text(str(value)) for value in row))  # a bracket in it is no markup
    return table


def _markdown(frame: pd.DataFrame) -> str:
    text = io.StringIO()
    Console(file=text, width=WIDEST).print(_rich(frame, box=box.MARKDOWN))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines() if line.strip()) + "\n"
