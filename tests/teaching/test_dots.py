import matplotlib.pyplot as plt
import pytest

from pruning_course.teaching.dots import dots


def test_each_number_is_a_dot_and_each_mean_is_written():
    series = {"magnitude": {"row": 300.0, "2:4": 900.0}, "Wanda": {"row": [30.0, 50.0]}}
    figure, axes = dots(series, lines={"dense": 20.0}, log=True)
    assert [text.get_text() for text in axes.get_yticklabels()] == ["row", "2:4"]
    assert [text.get_text() for text in axes.texts] == ["300", "900", "40", "dense"]
    assert sorted(len(line.get_xdata()) for line in axes.lines) == [1, 1, 1, 1, 1, 2, 2]
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["magnitude", "Wanda"]
    plt.close(figure)


def test_nothing_cannot_be_drawn():
    with pytest.raises(ValueError, match="no number"):
        dots({"magnitude": {}})
