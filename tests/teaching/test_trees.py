import matplotlib.pyplot as plt
import pytest

from pruning_course.teaching.trees import draw_tree


def test_leaves_stand_side_by_side_and_a_question_above_the_middle_of_its_answers():
    figure = draw_tree(("Fast?", {"yes": "cut", "no": ("Train?", {"yes": "magnitude", "no": "Wanda"})}))
    places = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    assert {name: places[name] for name in ("cut", "magnitude", "Wanda")} == {
        "cut": (0, -1),
        "magnitude": (1, -2),
        "Wanda": (2, -2),
    }
    assert places["Train?"] == (1.5, -1)
    assert places["Fast?"] == (0.75, 0)
    assert [text.get_text() for text in figure.axes[0].texts].count("yes") == 2
    plt.close(figure)


def test_every_box_is_inside_the_picture():
    figure = draw_tree(("Fast?", {"yes": "cut", "no": ("Train?", {"yes": "magnitude", "no": "Wanda"})}))
    figure.canvas.draw()
    [axes] = figure.axes
    for text in axes.texts:
        x, y = axes.transData.inverted().transform(text.get_window_extent().get_points()).mean(axis=0)
        assert axes.get_xlim()[0] < x < axes.get_xlim()[1]
        assert axes.get_ylim()[0] < y < axes.get_ylim()[1]
    plt.close(figure)


@pytest.mark.parametrize("tree", ["a leaf", ("A question?", {"yes": "a leaf"})])
def test_a_small_tree_is_drawn(tree):
    figure = draw_tree(tree)
    assert any(text.get_text() == "a leaf" for text in figure.axes[0].texts)
    plt.close(figure)
