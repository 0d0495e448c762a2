"""The caller's own optimizer, loss and metric; and which labels need them."""

import math
from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator
from helpers.models import SMALL, make
from helpers.training import FAST, Killed, Net, batched, half, net, same, samples, state
from sklearn.metrics import f1_score
from torch import nn
from torch.utils.data import DataLoader, IterableDataset
from transformers import BertConfig, BertForSequenceClassification, BertForTokenClassification

from pruning_course import FineTuneConfig, Masks, fine_tune_after_pruning, keep_globally, prunable_layers
from pruning_course.finetune.labels import compute_f1
from pruning_course.finetune.predictions import predict_rows
from pruning_course.scores import magnitude


def relabelled(labels, count=16, size=8):
    """Batches whose labels are a function of the numbers (batch, 8)."""
    return [batch | {"labels": labels(batch["x"])} for batch in batched(count, size)]


def fraction(x):
    return torch.full((len(x), 3), 0.3)


def distance(logits, labels):
    return (logits - labels.view(len(labels), -1)).square().mean()


def error(logits, labels):
    return {"error": float((logits - labels.view(len(labels), -1)).abs().mean())}


def with_one_wrong(wrong, dtype=torch.long):
    """Two batches of classes, all right but the last."""
    batches = relabelled(lambda x: torch.zeros(len(x), dtype=dtype))
    batches[1]["labels"][-1] = wrong
    return batches


REFUSED = [
    (lambda: relabelled(fraction), "there is the label 0.3; labels .batch, labels. must be 0 or 1"),
    (lambda: relabelled(lambda x: torch.full((len(x), 3), math.nan)), "there is the label nan; labels"),
    (lambda: relabelled(lambda x: 2 * torch.ones(len(x), 3, dtype=torch.long)), "there is the label 2; labels"),
    (lambda: with_one_wrong(-1), "there is the label -1; the model has 3 classes, numbered from 0"),
    (lambda: with_one_wrong(-100), "there is the label -100; the model has 3 classes"),
    (lambda: with_one_wrong(3), "there is the label 3; the model has 3 classes"),
    (lambda: relabelled(lambda x: torch.ones(len(x), 4)), r"the labels are \(8, 4\), and the model has 3 logits a row"),
    (lambda: relabelled(lambda x: torch.ones(len(x), 1)), r"the labels are \(8, 1\), and the model has 3"),
    (lambda: relabelled(lambda x: x[:, 0]), r"the labels are torch.float32 \(8,\); \(batch, labels\) of 0 and 1"),
    (lambda: relabelled(lambda x: x[:, 0] > 0), r"the labels are torch.bool \(8,\); \(batch"),
    (lambda: relabelled(lambda x: torch.ones(len(x), 3, 2)), r"the labels are torch.float32 \(8, 3, 2\); \(batch"),
]


def stream(batches):
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(batches)

    return DataLoader(Stream(), batch_size=None)


@pytest.mark.parametrize(("make_batches", "says"), REFUSED)
def test_labels_that_cannot_be_scored_are_refused_before_the_first_step(make_batches, says):
    for train, validation, where in (
        (make_batches(), batched(16), "train_loader"),
        (batched(16), make_batches(), "val_loader"),
        (DataLoader(make_batches(), batch_size=None), batched(16), "train_loader"),
        (stream(batched(16)), DataLoader(make_batches(), batch_size=None), "val_loader"),
    ):
        model = net().train()
        masks, before = half(model), state(model)
        with pytest.raises(ValueError, match=f"In {where}, {says}.* other labels need a .* of your own"):
            fine_tune_after_pruning(model, train, validation, masks, FAST)
        assert same(state(model), before) and model.training and model.inside.weight.grad is None


def test_labels_of_a_stream_are_refused_as_they_come():
    """It may be there only once."""
    for batches in (with_one_wrong(3), with_one_wrong(-1)):
        with pytest.raises(ValueError, match="In train_loader, there is the label"):
            fine_tune_after_pruning(net(), stream(batches), batched(16), None, FAST)
        with pytest.raises(ValueError, match="In val_loader, there is the label"):
            fine_tune_after_pruning(net(), batched(16), stream(batches), None, FAST)


def test_no_batches_of_validation_are_found_before_the_first_step():
    model = net()
    before = state(model)
    with pytest.raises(ValueError, match="no batches to score"):
        fine_tune_after_pruning(model, batched(16), [], None, FAST)
    assert same(state(model), before)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.bool, torch.float64])
def test_labels_of_any_dtype_are_read_right(dtype):
    expected, found = make("bert"), make("bert")
    for model, labels in ((expected, torch.float32), (found, dtype)):
        ids = torch.randint(3, 60, (6, 7), generator=torch.Generator().manual_seed(0))
        batch = {"input_ids": ids, "labels": (ids[:, :3] > 30).to(labels)}
        fine_tune_after_pruning(model, [batch], [batch], None, FAST)
    assert same(state(expected), state(found))
    if dtype in (torch.uint8, torch.int32):
        classes = relabelled(lambda x: x.abs().argmax(1).remainder(3).to(dtype))
        assert fine_tune_after_pruning(net(), classes, classes, None, FAST).micro_f1


def test_reading_ahead_leaves_the_order_of_the_loaders_alone():
    own = torch.Generator().manual_seed(5)
    loaders = [
        (DataLoader(samples(48), batch_size=8, shuffle=True), DataLoader(samples(16, 1), batch_size=8, shuffle=True)),
        (
            DataLoader(samples(48), batch_size=8, shuffle=True, generator=own),
            DataLoader(samples(16, 1), batch_size=8, shuffle=True, generator=own),
        ),
    ]
    for train, validation in loaders:
        own.manual_seed(5)
        ahead, apart = net(dropout=0.3), net(dropout=0.3)
        fine_tune_after_pruning(ahead, train, validation, half(ahead), FAST)

        class Apart:
            """The same batches; what else its iteration does nobody knows."""

            def __init__(self, loader):
                self.loader, self.generator = loader, loader.generator

            def __len__(self):
                return len(self.loader)

            def __iter__(self):
                return iter(self.loader)

        own.manual_seed(5)
        fine_tune_after_pruning(apart, Apart(train), Apart(validation), half(apart), FAST)
        assert same(state(ahead), state(apart))


def test_soft_labels_need_a_loss_and_are_then_trained_on():
    soft = relabelled(lambda x: torch.sigmoid(x[:, :3]))
    model = net()
    history = fine_tune_after_pruning(
        model, soft, batched(16), half(model), FAST, loss=nn.functional.binary_cross_entropy_with_logits
    )
    assert history.train_loss[1] < history.train_loss[0] and history.micro_f1 and history.metrics == []


def test_the_loss_takes_the_place_of_the_models_own():
    model, seen = make("bert"), []
    ids = torch.randint(3, 60, (6, 7), generator=torch.Generator().manual_seed(0))
    batch = {"input_ids": ids, "labels": (ids[:, :3] > 30).float()}

    def zero(logits, labels):
        seen.append((tuple(logits.shape), tuple(labels.shape)))
        return logits.sum() * 0

    before = state(model)
    config = replace(FAST, weight_decay=0.0)
    assert fine_tune_after_pruning(model, [batch], [batch], None, config, loss=zero).train_loss == [0, 0]
    assert same(state(model), before) and set(seen) == {((6, 3), (6, 3))}


def test_a_loss_is_that_of_the_whole_batch_however_it_is_cut():
    losses = []
    for micro in (None, 20):
        config = replace(FAST, micro_tokens=micro, optimizer="sgd")
        weighted = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1.0, 2, 3]))
        history = fine_tune_after_pruning(net(), batched(60, 15), batched(16), None, config, loss=weighted)
        losses.append(history.train_loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_labels_without_an_f1_get_a_metric_and_the_last_epoch_stays():
    targets = relabelled(lambda x: x[:, :3] * 2, 32)
    model, last = net(), {}

    def measured(logits, labels):
        last.update(state(model))
        return error(logits, labels) | {"rows": len(logits)}

    history = fine_tune_after_pruning(
        model, targets, targets, half(model), replace(FAST, fine_tune_epochs=4), loss=distance, metric=measured
    )
    assert history.micro_f1 == history.macro_f1 == [] and history.best_epoch == 3
    assert [list(found) for found in history.metrics] == [["error", "rows"]] * 4
    assert history.metrics[3]["error"] < history.metrics[0]["error"] and history.metrics[0]["rows"] == 32
    assert same(state(model), last)
    with torch.no_grad():
        x, labels = (torch.cat([batch[name] for batch in targets]) for name in ("x", "labels"))
        assert history.metrics[3]["error"] == pytest.approx(error(model(x)["logits"], labels)["error"])


def test_a_metric_of_labels_that_f1_can_score_comes_with_the_f1():
    def right(logits, labels):
        return {"right": ((logits > 0) == labels.bool()).float().mean()}  # a tensor of one number will do

    config = FineTuneConfig(fine_tune_epochs=6, lr=3.0, seed=1)
    plain, measured = net(), net()
    parts, select = (batched(64), batched(64, seed=2)), batched(64, seed=1)
    expected = fine_tune_after_pruning(plain, *parts, half(plain), config, select_loader=select)
    history = fine_tune_after_pruning(measured, *parts, half(measured), config, select_loader=select, metric=right)
    assert history.micro_f1 == expected.micro_f1 and history.macro_f1 == expected.macro_f1
    assert len(history.metrics) == 6 and all(0 <= found["right"] <= 1 for found in history.metrics)
    assert history.best_epoch != 5 and same(state(plain), state(measured))  # chosen by F1, as without it


def test_a_metric_sees_the_rows_in_their_order():
    seen = []
    config = FineTuneConfig(1, lr=0.1, micro_tokens=16)
    batches = batched(19, 7)
    fine_tune_after_pruning(net(), batches, batches, None, config, metric=lambda p, y: seen.append((p, y)) or {"a": 1})
    [(logits, labels)] = seen
    assert torch.equal(labels, torch.cat([batch["labels"] for batch in batches])) and logits.shape == (19, 3)
    assert not logits.is_inference() and logits.device.type == "cpu"


@pytest.mark.parametrize("ahead", [True, False])
def test_the_loss_sees_training_labels_only_and_those_in_a_dtype_that_it_takes(ahead):
    whole = relabelled(lambda x: (x[:, :3] > 0).long())  # integers, which this loss does not take
    binary = nn.functional.binary_cross_entropy_with_logits
    classes = relabelled(lambda x: x.abs().argmax(1) % 3)  # nor these
    history = fine_tune_after_pruning(net(), whole if ahead else stream(whole), classes, None, FAST, loss=binary)
    assert history.micro_f1 and len(history.train_loss) == 2


def test_labels_of_every_token():
    torch.manual_seed(0)
    model = BertForTokenClassification(BertConfig(**SMALL, num_labels=3))
    ids = torch.randint(3, 60, (8, 6), generator=torch.Generator().manual_seed(0))
    labels = (ids % 3).masked_fill(ids < 10, -100)
    batches = [{"input_ids": i, "labels": y} for i, y in zip(ids.split(4), labels.split(4), strict=True)]

    def right(logits, labels):
        known = labels != -100
        return {"right": float((logits.argmax(-1) == labels)[known].float().mean())}

    with pytest.raises(ValueError, match=r"In train_loader, the logits are \(4, 6, 3\)|the labels|there is the label"):
        fine_tune_after_pruning(model, batches, batches, None, FAST)
    history = fine_tune_after_pruning(model, batches, batches, None, replace(FAST, fine_tune_epochs=3), metric=right)
    assert len(history.metrics) == 3 and history.micro_f1 == []
    ragged = [batches[0], {name: tensor[:, :5] for name, tensor in batches[1].items()}]
    with pytest.raises(ValueError, match=r"The labels of a row are \(5,\) or \(6,\); all rows need the same shape"):
        fine_tune_after_pruning(model, batches, ragged, None, FAST, metric=right)


def test_a_models_own_loss_may_take_what_f1_cannot():
    """Regression in transformers; a model without a loss of its own needs one."""
    torch.manual_seed(0)
    model = BertForSequenceClassification(BertConfig(**SMALL, num_labels=1))
    ids = torch.randint(3, 60, (8, 6), generator=torch.Generator().manual_seed(0))
    batches = [{"input_ids": ids, "labels": ids[:, 0] / 60}]
    with pytest.raises(ValueError, match=r"torch.float32 \(8,\); .* need a loss of your own"):
        fine_tune_after_pruning(model, batches, batches, None, FAST)
    history = fine_tune_after_pruning(
        model, batches, batches, None, replace(FAST, fine_tune_epochs=5), metric=lambda p, y: error(p, y)
    )
    assert history.train_loss[-1] < history.train_loss[0] and history.micro_f1 == []
    targets = relabelled(lambda x: x[:, :3] * 2)
    with pytest.raises(ValueError, match=r"In train_loader, there is the label .* need a loss of your own"):
        fine_tune_after_pruning(net(), targets, targets, None, FAST, metric=error)
    with pytest.raises(ValueError, match=r"In val_loader, there is the label .* need a metric of your own"):
        fine_tune_after_pruning(net(), targets, targets, None, FAST, loss=distance)
    wide = [{"input_ids": ids, "labels": torch.rand(8, 3)}]
    with pytest.raises(ValueError, match=r"In train_loader, the labels are \(8, 3\).* own loss takes no other labels"):
        single = BertForSequenceClassification(
            BertConfig(**SMALL, num_labels=2, problem_type="single_label_classification")
        )
        fine_tune_after_pruning(single, wide, wide, None, FAST, metric=error)


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.RMSprop, torch.optim.Adagrad, torch.optim.NAdam])
def test_an_optimizer_of_ones_own_keeps_its_rate_and_holds_the_masks(optimizer):
    model, rates = net(), []
    masks, before = half(model), state(model)
    own = optimizer(
        [{"params": model.inside.parameters(), "lr": 0.05}, {"params": model.head.parameters(), "lr": 0.01}]
    )
    own.register_step_post_hook(lambda stepped, *_: rates.append([group["lr"] for group in stepped.param_groups]))
    history = fine_tune_after_pruning(model, batched(64), batched(16), masks, FAST, optimizer=own)
    assert rates == [[0.05, 0.01]] * 16 and history.train_loss[1] < history.train_loss[0]
    for name, keep in masks.items():
        weight = model.get_submodule(name).weight
        assert (weight[~keep] == 0).all() and (weight[keep] != before[f"{name}.weight"][keep]).any()


def test_it_does_what_the_same_one_from_the_settings_does():
    by_settings, by_hand = net(dropout=0.3), net(dropout=0.3)
    config = replace(FAST, optimizer="adamw", weight_decay=0.1)
    expected = fine_tune_after_pruning(by_settings, batched(64), batched(16), half(by_settings), config)
    masks = half(by_hand)
    own = torch.optim.AdamW(by_hand.parameters(), lr=0.1 * 0.1, weight_decay=0.1)
    found = fine_tune_after_pruning(by_hand, batched(64), batched(16), masks, FAST, optimizer=own)
    assert found == expected and same(state(by_hand), state(by_settings))


def test_only_what_it_holds_is_trained():
    model = net()
    masks, before = half(model), state(model)
    own = torch.optim.SGD(model.head.parameters(), lr=0.5, momentum=0.9)
    fine_tune_after_pruning(model, batched(32), batched(16), masks, FAST, optimizer=own)
    changed = {name for name, tensor in state(model).items() if not torch.equal(tensor, before[name])}
    assert changed == {"head.weight", "head.bias"} and model.inside.weight.grad is None
    assert (model.head.weight[~masks["head"]] == 0).all()
    biases = torch.optim.SGD([model.inside.bias], lr=0.5)  # no masked weight can move
    fine_tune_after_pruning(model, batched(32), batched(16), masks, FAST, optimizer=biases)
    assert (model.inside.weight[~masks["inside"]] == 0).all()


def test_one_that_accelerate_has_wrapped_is_taken_too():
    model = net()
    masks = half(model)
    own = Accelerator().prepare_optimizer(torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9))
    fine_tune_after_pruning(model, batched(32), batched(16), masks, FAST, optimizer=own)
    assert all((model.get_submodule(name).weight[~keep] == 0).all() for name, keep in masks.items())


@pytest.mark.parametrize(
    ("make_optimizer", "config", "error", "message"),
    [
        (
            lambda model: torch.optim.SGD,
            FAST,
            TypeError,
            "optimizer is SGD; it must be an instance for the param",
        ),
        (lambda model: "adamw", FAST, TypeError, "optimizer is str; it must be an instance"),
        (lambda model: torch.optim.SGD(net().parameters(), lr=0.1), FAST, ValueError, "SGD holds no parameter of Net"),
        (
            lambda model: torch.optim.SGD([model.head.requires_grad_(False).weight], lr=0.1),
            FAST,
            ValueError,
            "SGD holds no parameter of Net that requires a gradient",
        ),
        (lambda model: torch.optim.LBFGS(model.parameters()), FAST, ValueError, "The step of LBFGS needs a closure"),
        (
            lambda model: torch.optim.SGD(model.parameters(), lr=0.1),
            replace(FAST, rewind_lr=True, original_epochs=4),
            ValueError,
            "rewind_lr and decay set the learning rate, but SGD has its own",
        ),
    ],
)
def test_an_optimizer_that_cannot_train_the_model_is_refused(make_optimizer, config, error, message):
    model = net()
    before = state(model)
    with pytest.raises(error, match=message):
        fine_tune_after_pruning(model, batched(16), batched(16), None, config, optimizer=make_optimizer(model))
    assert same(state(model), before)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"loss": "mse"}, TypeError, "loss is str; it must be a function of logits and labels"),
        ({"metric": 3}, TypeError, "metric is int; it must be"),
        (
            {"loss": lambda p, y: (p - y).square()},
            TypeError,
            r"loss returns a tensor \(8, 3\); it must return a tensor of",
        ),
        ({"loss": lambda p, y: 1.0}, TypeError, "loss returns float"),
        ({"metric": lambda p, y: 0.5}, TypeError, "metric returns 0.5; it must return a dict of names and numbers"),
        ({"metric": lambda p, y: {"a": "b"}}, TypeError, "metric returns {'a': 'b'}"),
        ({"teacher": nn.Linear(8, 2)}, ValueError, "The teacher's logits are|teacher"),
    ],
)
def test_a_loss_or_a_metric_of_another_kind_is_refused(options, error, message):
    class Teacher(Net):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(16, 2)

    if "teacher" in options:
        options = {"teacher": Teacher()}
    with pytest.raises(error, match=message):
        fine_tune_after_pruning(net(), batched(16), batched(16), None, FAST, **options)


def test_a_teacher_needs_labels_that_f1_can_score():
    targets = relabelled(fraction)
    with pytest.raises(ValueError, match=r"there is the label 0.3; .* with a teacher, other labels are not possible"):
        fine_tune_after_pruning(net(), targets, targets, None, FAST, loss=distance, metric=error, teacher=net())


class Stepper(torch.optim.Optimizer):
    """Signed steps whose size halves with its own count, which is no tensor."""

    def __init__(self, parameters, lr):
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                state["count"] = state.get("count", 0) + 1
                state["note"] = None
                parameter -= group["lr"] / state["count"] * parameter.grad.sign()
            group["lr"] *= 0.95  # as a scheduler would


def momentum(parameters):
    return torch.optim.SGD(parameters, lr=0.05, momentum=0.9, nesterov=True)


@pytest.mark.parametrize("optimizer", [momentum, lambda parameters: Stepper(parameters, 0.05)])
def test_a_killed_run_with_all_of_ones_own_goes_on_as_if_nothing_had_happened(tmp_path, optimizer):
    config, targets = FineTuneConfig(4), relabelled(lambda x: x[:, :3] * 2, 32)
    calls = []

    def measured(logits, labels):
        calls.append(None)
        if len(calls) == 7:
            raise Killed
        return error(logits, labels)

    def train(model, **options):
        masks, own = half(model), optimizer(model.parameters())
        return fine_tune_after_pruning(
            model, targets, targets, masks, config, optimizer=own, loss=distance, metric=measured, **options
        )

    whole, stopped, again, third = (net(dropout=0.3) for _ in range(4))
    expected = train(whole)
    with pytest.raises(Killed):
        train(stopped, checkpoint=tmp_path / "run")
    assert train(again, checkpoint=tmp_path / "run") == expected and len(expected.metrics) == 4
    assert same(state(again), state(whole)) and not same(state(stopped), state(whole))
    assert train(third, checkpoint=tmp_path / "run") == expected and same(state(third), state(whole))


def test_a_checkpoint_with_another_optimizer_loss_or_metric_is_refused(tmp_path):
    def train(path, rate=0.1, kind=torch.optim.SGD, **options):
        model = net()
        own = kind(model.parameters(), lr=rate) if kind else None
        fine_tune_after_pruning(
            model, batched(16), batched(16), half(model), FAST, optimizer=own, checkpoint=tmp_path / path, **options
        )

    train("own")
    for options, message in [
        ({"rate": 0.2}, r"optimizer is .*'lr': 0.1.* there and .*'lr': 0.2.* here"),
        ({"kind": torch.optim.Adam}, "optimizer is .*'SGD'.* there and .*'Adam'"),
        ({"kind": None}, "optimizer is .*'SGD'.* there and 'adamw' here"),
        ({"loss": distance}, "loss is None there and 'distance' here"),
        ({"metric": error}, "metric is None there and 'error' here"),
    ]:
        with pytest.raises(ValueError, match=message):
            train("own", **options)

    class Odd(Stepper):
        def step(self, closure=None):
            super().step()
            for entries in self.state.values():
                entries["odd"] = object()

    with pytest.raises(TypeError, match="The optimizer's 'odd' is object; a checkpoint can store tensors and numbers"):
        train("odd", kind=Odd)
    assert not (tmp_path / "odd").exists()


@pytest.mark.parametrize(
    ("logits", "labels", "micro", "macro"),
    [
        # Classes 0 and 1 of four: 2 of 3 right; class 2 is predicted once, 3 never there.
        ([[9, 0, 0, 0], [0, 9, 0, 0], [0, 0, 9, 0]], [0, 1, 1], 2 / 3, (1 + 2 / 3 + 0 + 0) / 4),
        ([[9, 0], [9, 0]], [0, 0], 1.0, 0.5),
        ([[1, -1, -1], [1, 1, -1]], [[1.0, 0, 0], [1, 0, 0]], 2 * 2 / (3 + 2), (1 + 0 + 0) / 3),
        ([[1], [1], [-1], [-1]], [[1.0], [0], [0], [1]], 0.5, 0.5),  # one label: its F1, not that of "no label" too
        ([[-1, -1]], [[0.0, 0]], 0.0, 0.0),
    ],
)
def test_f1_is_over_all_classes_of_the_model(logits, labels, micro, macro):
    logits, labels = torch.tensor(logits).float(), torch.tensor(labels)
    assert compute_f1(logits, labels) == pytest.approx({"micro_f1": micro, "macro_f1": macro})
    model = nn.Linear(logits.shape[1], logits.shape[1], bias=False)
    model.weight.data = torch.eye(logits.shape[1])
    batches = [{"input": logits[:1], "labels": labels[:1]}, {"input": logits[1:], "labels": labels[1:]}]
    batches = [batch for batch in batches if len(batch["labels"])]
    assert compute_f1(*predict_rows(model, batches, Accelerator())) == compute_f1(logits, labels)
    width = logits.shape[1]
    if width > 1:
        predicted = logits.argmax(1) if labels.dim() == 1 else (logits > 0).int()
        kinds = {"labels": list(range(width)), "average": "macro", "zero_division": 0}
        assert compute_f1(logits, labels)["macro_f1"] == pytest.approx(f1_score(labels, predicted, **kinds))


def test_f1_refuses_labels_that_it_cannot_score():
    with pytest.raises(ValueError, match="F1 cannot score these labels: there is the label 2; the model has 2 classes"):
        compute_f1(torch.zeros(2, 2), torch.tensor([0, 2]))


def test_masks_of_another_model_are_refused_with_ones_own_optimizer():
    model = net()
    masks = Masks.apply(net(), keep_globally(magnitude(prunable_layers(model)), 0.5))
    own = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="masks are those of another model than this Net"):
        fine_tune_after_pruning(model, batched(16), batched(16), masks, FAST, optimizer=own)
