"""`python -m pruning_course.lab`: prepare everything that the notebooks need, once."""

import time
from typing import Annotated

import typer

from pruning_course.lab.cache import CacheError, dense_folder, prepare_dense
from pruning_course.lab.wheels import WHEELS, WheelError, wheel_folder

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def prepare(
    again: Annotated[bool, typer.Option("--again", help="Throw the cached dense model away first.")] = False,
) -> None:
    """Check the three wheels, train the dense model if it is not cached, and print its F1."""
    start = time.perf_counter()
    try:
        for wheel in WHEELS:
            wheel_folder(wheel)
        cached = dense_folder().exists() and not again
        _, facts = prepare_dense(again=again)
    except (WheelError, CacheError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    if cached:
        typer.echo("Nothing to do: the three wheels are whole and the dense model is cached.")
    else:
        typer.echo(f"The dense model is trained and cached, after {time.perf_counter() - start:.0f} s.")
    for name, text in (("logistic", "logistic regression on frozen features"), ("dense", "fine-tuned dense model")):
        score = facts["f1"][name]
        typer.echo(f"  {text:<40} validation micro-F1 {score['micro_f1']:.3f}, macro-F1 {score['macro_f1']:.3f}")


if __name__ == "__main__":
    app(prog_name="python -m pruning_course.lab")
