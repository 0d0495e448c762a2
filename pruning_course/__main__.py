"""The command line: `python -m pruning_course COMMAND`."""

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


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


if __name__ == "__main__":
    app(prog_name="python -m pruning_course")
