import pandas as pd
import pytest
import torch
from sklearn.metrics import f1_score

from pruning_course.teaching.paired import f1_gain, paired, smallest_seen

RUNS = pd.DataFrame({"one-shot": [0.5, 0.6, 0.7], "cubic": [0.6, 0.7, 0.8], "late": [0.4, 0.6, 0.5]})


def test_the_differences_by_hand():
    found = paired(RUNS, against="one-shot")
    assert list(found.index) == ["cubic", "late"]
    assert found.loc["cubic"].tolist() == pytest.approx([0.1, 0.1, 0.1, 0.0])
    assert found.loc["late"].tolist() == pytest.approx([-0.1, -0.2, 0.0, 4.303 * 0.1 / 3**0.5])


def test_what_all_pairs_share_does_not_count():
    assert smallest_seen([0.1, 0.2, 0.3]) == pytest.approx(4.3027 * 0.1 / 3**0.5, rel=1e-4)
    assert smallest_seen([0.1, 0.1, 0.1]) == pytest.approx(0)


def test_one_pair_shows_nothing():
    with pytest.raises(ValueError, match="There are 1 pairs; 2 to 10"):
        paired(RUNS[:1], against="cubic")
    with pytest.raises(ValueError, match="There are 11 pairs"):
        smallest_seen([0.1] * 11)
    with pytest.raises(KeyError, match="dense"):
        paired(RUNS, against="dense")


def test_the_gain_is_that_of_scikit_learn_and_lies_in_its_interval():
    dice = torch.Generator().manual_seed(0)
    truth, before = torch.rand(200, 4, generator=dice) > 0.7, torch.rand(200, 4, generator=dice) > 0.7
    after = torch.where(torch.rand(200, 4, generator=dice) > 0.5, truth, before)
    gain, low, high = f1_gain(truth, before, after)
    right = f1_score(truth, after, average="micro") - f1_score(truth, before, average="micro")
    assert gain == pytest.approx(right) and 0 < low < gain < high
    assert f1_gain(truth, before, before) == (0, 0, 0)
    with pytest.raises(ValueError, match="shapes"):
        f1_gain(truth, before, after[:5])
