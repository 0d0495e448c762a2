import matplotlib.pyplot as plt

from pruning_course.teaching.clouds import GREY, draw_clouds, draw_pairs
from pruning_course.teaching.figures import COLOURS, new_figure


def test_every_run_is_a_point_and_what_is_random_is_grey():
    figure, axes = new_figure()
    draw_clouds(axes, {"norm": [0.5], "random": [0.1, 0.2, 0.6], "gradient": [0.8, 0.9]}, dense=0.95)
    points = [line for line in axes.lines if line.get_linestyle() == "None"]
    assert [list(line.get_ydata()) for line in points] == [[0.5], [0.1, 0.2, 0.6], [0.8, 0.9]]
    assert [line.get_color() for line in points] == [COLOURS[0], GREY, COLOURS[1]]
    assert all(abs(x - 1) < 0.3 for x in points[1].get_xdata())
    assert [text.get_text() for text in axes.get_xticklabels()] == ["norm", "random", "gradient"]
    assert [text.get_text() for text in axes.texts] == ["dense"]
    plt.close(figure)


def test_pairs_stand_side_by_side_with_their_values():
    figure, axes = new_figure()
    draw_pairs(axes, {"promised": [1.5, 2], "measured": [1.4, 1.9]}, ["neurons", "blocks"])
    assert [round(bar.get_height(), 2) for bar in axes.patches] == [1.5, 2, 1.4, 1.9]
    assert [text.get_text() for text in axes.texts] == ["1.50", "2.00", "1.40", "1.90"]
    assert list(axes.get_xticks()) == [0.2, 1.2]
    plt.close(figure)
