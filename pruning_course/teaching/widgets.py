"""Sliders and menus for a function that draws a figure. Uses only what ipywidgets has had since 7.7."""

import contextlib
import html
import inspect
from collections.abc import Callable

import ipywidgets
import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.figure import Figure
from traitlets import TraitError

from .figures import to_html
from .live import in_jupyter

WIDGET = "application/vnd.jupyter.widget-view+json"
NO_DEFAULT = inspect.Parameter.empty


def explore(draw: Callable[..., Figure], **controls: object) -> None:
    """Show controls and, under them, the figure that `draw(**values)` returns; draw again when a value changes.

    A control is what `ipywidgets.interact` takes: `(low, high, step)`, a list of choices, a bool, or a widget. It
    starts at the default that `draw` has, so that the first picture is that of `draw()`; a widget keeps its own value.
    A number's slider reports when it is let go. `draw` must be pure: the same values, the same figure.

    An error in the first figure fails the cell. A later one is shown where the figure would be.
    The picture is kept in one HTML widget, so all that a committed notebook stores is one sentence. In Jupyter the
    first picture is stored too: a notebook that was saved and opened again has no widgets, and shows that instead.
    """
    defaults = {name: parameter.default for name, parameter in inspect.signature(draw).parameters.items()}
    widgets = {name: _control(name, value, defaults.get(name, NO_DEFAULT)) for name, value in controls.items()}
    first = _picture(draw, widgets)
    picture = ipywidgets.HTML(first)

    def redraw(_change: object) -> None:
        try:
            picture.value = _picture(draw, widgets)
        except Exception as error:  # whatever it is, the reader must see it: nobody else reports an error in a callback
            picture.value = f"<pre><b>{type(error).__name__}</b>: {html.escape(str(error))}</pre>"

    for widget in widgets.values():
        widget.observe(redraw, names="value")
    box = ipywidgets.VBox([*widgets.values(), picture])
    text = f"Controls for {', '.join(controls)}: run this notebook to use them."
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    data = {"text/plain": text, WIDGET: view}
    if in_jupyter():  # not in Colab, which keeps the widgets of a saved notebook itself
        data["text/html"] = f"{first}<p>{text}</p>"
    display(data, raw=True)  # type: ignore[no-untyped-call]  # IPython has no types here


def _control(name: str, value: object, start: object) -> ipywidgets.Widget:
    widget = ipywidgets.interactive.widget_from_abbrev(value)
    if widget is None or not hasattr(widget, "value"):
        raise ValueError(f"The control {name} must be a range, a list of choices, a bool or a widget, not {value!r}.")
    if start is not NO_DEFAULT and widget is not value:
        _start_at(widget, name, start)
    widget.description = widget.description or name.replace("_", " ")
    if hasattr(getattr(widget, "style", None), "description_width"):
        widget.style.description_width = "initial"  # as wide as its words
    if hasattr(widget, "continuous_update"):
        widget.continuous_update = False  # one figure a move, not one a pixel
    return widget


def _start_at(widget: ipywidgets.Widget, name: str, start: object) -> None:
    """Set the value; ValueError if the control cannot take it. A slider would silently take its nearest end."""
    with contextlib.suppress(TraitError):
        widget.value = start
    if widget.value != start:
        raise ValueError(
            f"The control {name} cannot start at {start!r}, where the function that draws has its default."
        )


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
    image = to_html(figure, alt)
    plt.close(figure)
    return image
