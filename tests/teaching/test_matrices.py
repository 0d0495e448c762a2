import matplotlib.pyplot as plt
import torch

from pruning_course.teaching.figures import new_figure
from pruning_course.teaching.matrices import draw_matrix

MATRIX = torch.tensor([[0.0, 1.0], [0.25, -0.5], [0.5, 0.75]])


def test_the_numbers_are_written_and_whole_rows_or_single_cells_are_hatched():
    figure, (left, right) = new_figure(1, 2)
    draw_matrix(left, MATRIX, removed_rows=[1])
    draw_matrix(right, MATRIX, removed=MATRIX > 0.6, digits=2)
    assert [text.get_text() for text in left.texts] == ["0.0", "1.0", "0.2", "-0.5", "0.5", "0.8"]
    assert [(patch.get_x(), patch.get_y()) for patch in left.patches] == [(-0.5, 0.5), (0.5, 0.5)]
    assert [(patch.get_x(), patch.get_y()) for patch in right.patches] == [(0.5, -0.5), (0.5, 1.5)]
    assert right.texts[5].get_text() == "0.75"
    plt.close(figure)
