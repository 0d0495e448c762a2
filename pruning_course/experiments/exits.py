"""How a command ends: its exit code, and an error as one sentence."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import typer

FAILED, REFUSED, STOPPED = 1, 2, 130  # exit codes; the last is what a shell reports after Ctrl-C


@contextmanager
def reported() -> Iterator[None]:
    """Print an error as one sentence and exit with its code; print warnings without the code that they come from."""
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
