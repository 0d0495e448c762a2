"""Sliders and menus for a function that draws a figure. Uses only what ipywidgets has had since 7.7."""

import html
from collections.abc import Callable

import ipywidgets
import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.figure import Figure

from .figures import to_png

WIDGET = "application/vnd.jupyter.widget-view+json"


def explore(draw: Callable[..., Figure], **controls) -> None:
    """Show controls and, under them, the figure that `draw(**values)` returns; draw again when a value changes.

    A control is what `ipywidgets.interact` takes: `(low, high, step)`, a list of choices, a bool, or a widget.
    A number's slider reports when it is let go. `draw` must be pure: the same values, the same figure.

    An error in the first figure fails the cell. A later one is shown where the figure would be.
    The picture is kept in one HTML widget, so all that a notebook stores is one sentence.
    """
    widgets = {name: _control(name, value) for name, value in controls.items()}
    picture = ipywidgets.HTML(_picture(draw, widgets))

    def redraw(_change):
        try:
            picture.value = _picture(draw, widgets)
        except Exception as error:  # whatever it is, the reader must see it: nobody else reports an error in a callback
            picture.value = f"<pre><b>{type(error).__name__}</b>: {html.escape(str(error))}</pre>"

    for widget in widgets.values():
        widget.observe(redraw, names="value")
    box = ipywidgets.VBox([*widgets.values(), picture])
    text = f"Controls for {', '.join(controls)}: run this notebook to use them."
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    display({"text/plain": text, WIDGET: view}, raw=True)


def _control(name: str, value) -> ipywidgets.Widget:
    widget = ipywidgets.interactive.widget_from_abbrev(value)
    if widget is None or not hasattr(widget, "value"):
        raise ValueError(f"The control {name} must be a range, a list of choices, a bool or a widget, not {value!r}.")
    widget.description = widget.description or name.replace("_", " ")
    if hasattr(widget, "continuous_update"):
        widget.continuous_update = False  # one figure a move, not one a pixel
    return widget


def _picture(draw: Callable[..., Figure], widgets: dict[str, ipywidgets.Widget]) -> str:
    values = {name: widget.value for name, widget in widgets.items()}
    open_before = set(plt.get_fignums())
    try:
        figure = draw(**values)
    except Exception:
        for number in set(plt.get_fignums()) - open_before:  # half a figure would turn up under the next cell
            plt.close(number)
        raise
    if not isinstance(figure, Figure):
        raise TypeError(f"{draw.__name__} must return a matplotlib Figure, and returned {type(figure).__name__}.")
    alt = f"{draw.__name__.replace('_', ' ')} at " + ", ".join(f"{name} = {value}" for name, value in values.items())
    source = f"data:image/png;base64,{to_png(figure)}"
    plt.close(figure)
    return f'<img src="{source}" alt="{html.escape(alt, quote=True)}">'
