import ipywidgets
import matplotlib.pyplot as plt
import pytest

from pruning_course.teaching import widgets
from pruning_course.teaching.figures import new_figure


@pytest.fixture
def shown(monkeypatch):
    """What `explore` displays, in place of a notebook that is being built."""
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    monkeypatch.delenv("COLAB_RELEASE_TAG", raising=False)
    calls = []
    monkeypatch.setattr(widgets, "display", lambda data, **options: calls.append(data))
    return calls


def straight_line(slope, dashed):
    figure, axes = new_figure()
    if slope > 2:
        raise ValueError("too <steep>")
    axes.plot([0, slope], "--" if dashed else "-")
    return figure


def test_the_notebook_keeps_one_sentence(shown):
    assert widgets.explore(straight_line, slope=(0.0, 3.0, 0.5), dashed=False) is None
    [data] = shown
    assert data["text/plain"] == "Controls for slope, dashed: run this notebook to use them."
    assert set(data) == {"text/plain", widgets.WIDGET}


def test_in_jupyter_the_first_picture_and_the_sentence_are_stored_too(shown, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "/course/lesson.ipynb")
    widgets.explore(straight_line, slope=[1, 2], dashed=False)
    [data] = shown
    assert set(data) == {"text/plain", "text/html", widgets.WIDGET}
    assert data["text/html"].startswith('<img src="data:image/png;base64,')
    assert 'alt="straight line at slope = 1, dashed = False"' in data["text/html"]
    assert data["text/html"].endswith(f"<p>{data['text/plain']}</p>")


def test_colab_gets_the_widget_alone(shown, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "lesson.ipynb")
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    widgets.explore(straight_line, slope=[1, 2], dashed=False)
    assert set(shown[0]) == {"text/plain", widgets.WIDGET}


def with_defaults(slope=0.3, colour="C1", dashed=True, power=3):
    figure, axes = new_figure()
    axes.plot([0, slope**power], "--" if dashed else "-", color=colour)
    return figure


CONTROLS = {"slope": (0.1, 1.0, 0.1), "colour": ["C0", "C1"], "dashed": False, "power": (1, 5)}


@pytest.fixture
def made(monkeypatch):
    """The controls that `explore` makes."""
    found, control = {}, widgets._control

    def kept(name, *more):
        found[name] = control(name, *more)
        return found[name]

    monkeypatch.setattr(widgets, "_control", kept)
    return found


def test_the_controls_start_at_the_defaults_of_the_drawing(shown, made):
    widgets.explore(with_defaults, **CONTROLS)
    assert {name: widget.value for name, widget in made.items()} == {
        "slope": 0.3, "colour": "C1", "dashed": True, "power": 3
    }  # fmt: skip
    assert {widget.style.description_width for widget in made.values()} == {"initial"}


def test_a_widget_that_is_given_keeps_its_own_value(shown, made):
    widgets.explore(with_defaults, slope=ipywidgets.FloatSlider(value=0.7, min=0, max=1))
    assert made["slope"].value == 0.7


@pytest.mark.parametrize("controls", [{"slope": (0.5, 1.0, 0.1)}, {"colour": ["C0", "C2"]}], ids=str)
def test_a_default_that_the_control_cannot_take_is_refused(shown, controls):
    with pytest.raises(ValueError, match=f"control {next(iter(controls))} cannot start at"):
        widgets.explore(with_defaults, **controls)
    assert not shown


def test_a_moved_control_draws_again_and_an_error_is_seen(shown, monkeypatch):
    slope = ipywidgets.FloatSlider(value=1, min=0, max=3)
    made, html = [], ipywidgets.HTML
    monkeypatch.setattr(widgets.ipywidgets, "HTML", lambda value: made.append(html(value)) or made[-1])
    widgets.explore(straight_line, slope=slope, dashed=[True, False])
    [picture] = made
    first = picture.value
    assert 'alt="straight line at slope = 1.0, dashed = True"' in first
    slope.value = 2
    assert picture.value != first
    slope.value = 3
    assert picture.value == "<pre><b>ValueError</b>: too &lt;steep&gt;</pre>"
    slope.value = 1
    assert picture.value == first
    assert slope.continuous_update is False
    assert not plt.get_fignums()


def test_an_error_in_the_first_figure_fails_the_cell(shown):
    with pytest.raises(ValueError, match="steep"):
        widgets.explore(straight_line, slope=[3], dashed=True)
    assert not shown


def test_what_is_not_a_figure_or_a_control_is_refused(shown):
    with pytest.raises(TypeError, match="must return a matplotlib Figure"):
        widgets.explore(lambda slope: None, slope=(0, 1))
    with pytest.raises(ValueError, match="control slope"):
        widgets.explore(straight_line, slope=object(), dashed=True)
