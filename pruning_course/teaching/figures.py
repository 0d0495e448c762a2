"""One look for every figure of the course: colours that colour-blind readers can tell apart, never colour alone."""

import base64
import io

import matplotlib as mpl
import matplotlib.pyplot as plt
from cycler import cycler
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito (2008), "Color Universal Design". The yellow is left out: lines in it are lost on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
HATCHES = ("", "//", "..", "xx", "\\\\", "oo", "++")
WIDTH, DPI = 7.0, 100  # inches, dots an inch
SHORTEST_ALT = 20

STYLE = {
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


def new_figure(rows: int = 1, columns: int = 1, height: float = 3.2, **options) -> tuple[Figure, Axes]:
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


def show(figure: Figure, alt: str) -> None:
    """Display the figure as PNG with its alt text in the output's metadata, and close it.

    The text beside the picture is the figure's size: nbval compares it, and it is the same on every machine.
    """
    alt = checked_alt(alt)
    data = {"image/png": to_png(figure), "text/plain": repr(figure)}
    plt.close(figure)
    display(data, metadata={"image/png": {"alt": alt}}, raw=True)
