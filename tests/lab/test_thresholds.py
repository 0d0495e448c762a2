import pytest
import torch
from sklearn.metrics import f1_score

from pruning_course.lab.thresholds import fit_thresholds


def test_it_finds_the_gap_between_no_and_yes():
    scores = torch.tensor([[-3.0, 0.9], [-2.0, 0.1], [-1.0, 0.8], [-4.0, 0.3]])
    labels = torch.tensor([[0, 1], [1, 0], [1, 1], [0, 0]])
    torch.testing.assert_close(fit_thresholds(scores, labels), torch.tensor([-2.5, 0.55]))


def test_no_other_threshold_has_a_better_f1():
    torch.manual_seed(0)
    labels = (torch.rand(50, 3) < 0.3).float()
    scores = torch.randn(50, 3) + labels
    fitted = fit_thresholds(scores, labels)
    for label in range(3):
        best = f1_score(labels[:, label], scores[:, label] > fitted[label])
        others = (f1_score(labels[:, label], scores[:, label] > x, zero_division=0) for x in torch.linspace(-3, 4, 200))
        assert best >= max(others)


def test_a_label_that_all_or_no_texts_have():
    scores = torch.tensor([[0.2, 0.2], [0.6, 0.6]])
    always, never = fit_thresholds(scores, torch.tensor([[1, 0], [1, 0]]))
    assert always < 0.2 and never == torch.inf


def test_of_equally_good_thresholds_the_lowest_is_taken():
    # Yes to all: 2 of 4 right, F1 2/3. Yes to the highest only: 1 right, 1 missed, F1 2/3.
    scores, labels = torch.tensor([[1.0], [2.0], [3.0], [4.0]]), torch.tensor([[1], [0], [0], [1]])
    assert fit_thresholds(scores, labels) == torch.tensor([0.0])


@pytest.mark.parametrize("shape", [(3, 2), (0, 3), (3,)])
def test_shapes_that_do_not_fit_are_refused(shape):
    with pytest.raises(ValueError, match=r"both must be \(texts, labels\)"):
        fit_thresholds(torch.zeros(shape), torch.zeros(shape if shape[0] == 0 or len(shape) == 1 else (4, 2)))
