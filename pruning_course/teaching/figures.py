"""One look for every figure of the course: colours that colour-blind readers can tell apart, never colour alone."""

import base64
import html
import io
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from cycler import cycler
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pruning_course.lab.colours import COLOURS

from .live import in_colab, in_jupyter

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType  # only newer versions have it

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
HATCHES = ("", "//", "..", "xx", "\\\\", "oo", "++")
WIDTH, DPI = 7.0, 100  # inches, dots an inch
SHORTEST_ALT = 20

STYLE: "dict[RcKeyType, Any]" = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelsize": 11,
    "axes.prop_cycle": cycler(color=COLOURS) + cycler(marker=MARKERS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 12,
    "figure.dpi": DPI,
    "font.size": 10,
    "grid.alpha": 0.3,
    "hatch.linewidth": 0.6,
    "image.cmap": "viridis",
    "legend.fontsize": 10,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "lines.markersize": 6,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
}


def style() -> None:
    """Take the course's style for every figure from here on. `new_figure` does so by itself."""
    mpl.rcParams.update(STYLE)


def new_figure(rows: int = 1, columns: int = 1, height: float = 3.2, **options: Any) -> tuple[Figure, Axes]:
    """A figure 7 inches wide and `height` inches high for each row, with its axes, as `plt.subplots` gives them.

    Lines get a colour and a marker each. For bars, take `COLOURS[i]` together with `hatch=HATCHES[i]`.
    """
    style()
    return plt.subplots(rows, columns, figsize=(WIDTH, height * rows), layout="constrained", **options)


def to_png(figure: Figure) -> str:
    """The figure as PNG, base64, in its own size and always the same for the same figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def checked_alt(alt: str) -> str:
    """`alt` itself, if it can stand in for a picture; else `ValueError`."""
    if len(alt.strip()) < SHORTEST_ALT:
        raise ValueError(f"The alt text must say what the figure shows, in {SHORTEST_ALT} characters or more: {alt!r}.")
    return alt.strip()


def to_html(figure: Figure, alt: str) -> str:
    """The figure as an <img> that holds its picture and its alt text."""
    source = f"data:image/png;base64,{to_png(figure)}"
    return f'<img src="{source}" alt="{html.escape(alt, quote=True)}" style="max-width: 100%">'


def show(figure: Figure, alt: str) -> None:
    """Display the figure with its alt text, and close it.

    A reader at work gets an <img>, because JupyterLab and Colab show a PNG without its alt text. Elsewhere the output
    is a PNG with the alt text in its metadata: that is what GitHub shows, and what nbval compares.

    The text beside the picture is the figure's size: nbval compares it, and it is the same on every machine.
    """
    alt = checked_alt(alt)
    data, metadata = {"text/plain": repr(figure)}, {}
    if in_jupyter() or in_colab():
        data["text/html"] = to_html(figure, alt)
    else:
        data["image/png"] = to_png(figure)
        metadata["image/png"] = {"alt": alt}
    plt.close(figure)
    display(data, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]  # IPython has no types here
