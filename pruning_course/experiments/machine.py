"""The commands about the reader's machine: what it has, and whether it measures what the course says."""

import typer

from pruning_course.experiments.exits import FAILED, reported


def doctor() -> None:
    """Check whether the course can run on this machine, and say what to do if it cannot."""
    from pruning_course.lab.doctor import check_environment

    rows = check_environment()
    name_width, value_width = (max(map(len, column)) for column in ([r.name for r in rows], [r.value for r in rows]))
    for name, value, ok, advice in rows:
        mark = "ok" if ok else "NO"
        typer.echo(f"{mark:<3} {name:<{name_width}}  {value:<{value_width}}  {advice}".rstrip())
    problems = [row for row in rows if not row.ok]
    if problems:
        typer.echo(f"\nThe course cannot run yet; first: {problems[0].advice}")
        raise typer.Exit(FAILED)
    typer.echo("\nThe course can run here.")


def verify() -> None:
    """Measure ten numbers of the course on this machine, and compare them with ours."""
    with reported():
        from pruning_course.experiments import measure_claims

        typer.echo(f"{'':<3} {'here':>8} {'ours':>8} {'within':>8}  what (lesson)")
        hold = []
        for claim, measured in measure_claims():
            hold.append(claim.holds(measured))
            mark = "ok" if hold[-1] else "NO"
            numbers = " ".join(f"{number:>8.4g}" for number in (measured, claim.ours, claim.tolerance))
            typer.echo(f"{mark:<3} {numbers}  {claim.text} ({claim.lesson})")
    if not all(hold):
        typer.echo(
            f"\n{hold.count(False)} of {len(hold)} numbers differ from the course; please report all lines above."
        )
        raise typer.Exit(FAILED)
    typer.echo(f"\nAll {len(hold)} numbers are what the course says.")
