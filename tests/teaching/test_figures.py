import base64
import re

import matplotlib.pyplot as plt
import pytest

from pruning_course.teaching import figures

ALT = "A line that rises from nought to one."


@pytest.fixture
def shown(monkeypatch):
    """What `show` displays, in place of a notebook that is being built."""
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    monkeypatch.delenv("COLAB_RELEASE_TAG", raising=False)
    calls = []
    monkeypatch.setattr(figures, "display", lambda *args, **options: calls.append((args, options)))
    return calls


def line():
    figure, axes = figures.new_figure()
    axes.plot([0, 1])
    return figure


def test_a_figure_is_shown_as_png_with_its_alt_text_and_closed(shown):
    figure = line()
    figures.show(figure, ALT)
    [([data], options)] = shown
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert data["text/plain"] == "<Figure size 700x320 with 1 Axes>"
    assert options == {"metadata": {"image/png": {"alt": ALT}}, "raw": True}
    assert not plt.fignum_exists(figure.number)


@pytest.mark.parametrize("variable", ["JPY_SESSION_NAME", "COLAB_RELEASE_TAG"])
def test_a_reader_gets_an_image_with_its_alt_text(shown, monkeypatch, variable):
    monkeypatch.setenv(variable, "something")
    figure = line()
    figures.show(figure, 'Below "0" & <1> all is flat.')
    [([data], options)] = shown
    assert set(data) == {"text/html", "text/plain"}, "the picture is kept once"
    assert data["text/plain"] == "<Figure size 700x320 with 1 Axes>"
    assert 'alt="Below &quot;0&quot; &amp; &lt;1&gt; all is flat."' in data["text/html"]
    [png] = re.findall(r'src="data:image/png;base64,([^"]+)"', data["text/html"])
    assert base64.b64decode(png).startswith(b"\x89PNG")
    assert options == {"metadata": {}, "raw": True}
    assert not plt.fignum_exists(figure.number)


@pytest.mark.parametrize("alt", ["", "a figure", " " * 30])
def test_a_short_alt_text_is_refused(shown, alt):
    figure = line()
    with pytest.raises(ValueError, match="alt text"):
        figures.show(figure, alt)
    assert not shown
    plt.close(figure)


def test_the_same_figure_gives_the_same_bytes():
    first, second = line(), line()
    assert figures.to_png(first) == figures.to_png(second)
    plt.close("all")


def test_lines_differ_in_more_than_colour():
    figure, axes = figures.new_figure()
    lines = [axes.plot([0, 1], [i, i])[0] for i in range(len(figures.COLOURS))]
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == len(lines)
    assert len({line.get_marker() for line in lines}) == len(lines)
    assert len(figures.HATCHES) == len(figures.COLOURS) == len(figures.MARKERS)
    plt.close(figure)


def test_every_text_can_be_read():
    figures.style()
    sizes = [plt.rcParams[name] for name in ("font.size", "axes.labelsize", "xtick.labelsize", "legend.fontsize")]
    assert min(sizes) >= 10
