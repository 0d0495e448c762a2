import ipywidgets
import matplotlib.pyplot as plt
import pytest

from pruning_course.teaching import widgets
from pruning_course.teaching.figures import new_figure


@pytest.fixture
def shown(monkeypatch):
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
