import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from pruning_course.lab.encoder import evaluate, make_batches
from pruning_course.lab.recipe import Recipe
from pruning_course.lab.training import fine_tune, micro_batches, pooled_features, rate_at, set_logistic_head


@pytest.fixture
def batches(tiny_tokenizer):
    """Label 0 says that there is an eye, label 1 that there is pain."""
    texts = [
        f"{a} {b} {c}" for a in ("red", "pain", "the") for b in ("left", "right", "in") for c in ("eye", "ear")
    ] * 3
    labels = torch.tensor([[float("eye" in text), float("pain" in text)] for text in texts])
    return make_batches(texts, labels, tiny_tokenizer, batch_size=8)


RECIPE = Recipe(epochs=8, lr=5e-3, batch_size=8)


def test_the_loop_learns_and_leaves_the_embeddings_alone(tiny_model, batches):
    tiny_model.bert.embeddings.requires_grad_(False)
    before = {name: value.clone() for name, value in tiny_model.state_dict().items()}
    f1 = evaluate(tiny_model, batches)["micro_f1"]
    fine_tune(tiny_model, batches, RECIPE)
    assert evaluate(tiny_model, batches)["micro_f1"] > max(0.95, f1)
    for name, value in tiny_model.state_dict().items():
        if name.endswith("key.bias"):  # softmax does not see it: its gradient is rounding
            continue
        assert torch.equal(value, before[name]) == ("embeddings" in name), name


def test_the_same_seed_trains_the_same_model(tiny_model, batches):
    start = {name: value.clone() for name, value in tiny_model.state_dict().items()}
    results = []
    for seed in (0, 0, 1):
        tiny_model.load_state_dict(start)
        fine_tune(tiny_model, batches, Recipe(epochs=1, lr=3e-3, seed=seed))
        results.append(tiny_model.classifier.weight.clone())
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_micro_batches_add_up_to_the_gradient_of_the_batch(tiny_model, batches):
    whole = tiny_model(**batches[-1]).loss
    parts = micro_batches(batches[-1], tokens=20)
    assert sum(len(part["labels"]) for part in parts) == len(batches[-1]["labels"]) and len(parts) > 1
    shares = [len(part["labels"]) / len(batches[-1]["labels"]) for part in parts]
    summed = sum(tiny_model(**part).loss * share for part, share in zip(parts, shares, strict=True))
    torch.testing.assert_close(summed, whole)
    assert len(micro_batches(batches[-1], tokens=1)) == len(batches[-1]["labels"])


def test_a_loss_that_is_not_finite_stops(tiny_model, batches):
    with torch.no_grad():
        tiny_model.classifier.bias.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="The loss is nan"):
        fine_tune(tiny_model, batches, RECIPE)


def test_the_head_is_the_logistic_regression(tiny_model, batches):
    features, labels = pooled_features(tiny_model, batches)
    assert features.shape == (54, 16) and labels.shape == (54, 2)
    set_logistic_head(tiny_model, features, labels, inverse_penalty=10.0)
    for column in (0, 1):
        one = LogisticRegression(C=10.0, max_iter=200).fit(features.numpy(), labels[:, column].numpy())
        with torch.inference_mode():
            ours = tiny_model.classifier(features)[:, column].sigmoid()
        np.testing.assert_allclose(ours.numpy(), one.predict_proba(features.numpy())[:, 1], atol=1e-4)


def test_a_label_that_never_changes_is_refused(tiny_model):
    with pytest.raises(ValueError, match=r"columns \[1\] never change"):
        set_logistic_head(tiny_model, torch.rand(4, 16), torch.tensor([[0.0, 1], [1, 1], [0, 1], [1, 1]]), 1.0)


def test_the_rate_rises_and_falls():
    assert [round(rate_at(step, 10, 0.2), 3) for step in range(10)] == [
        0.5,
        1,
        1,
        0.875,
        0.75,
        0.625,
        0.5,
        0.375,
        0.25,
        0.125,
    ]
    assert rate_at(0, 1, 0.1) == 1.0
