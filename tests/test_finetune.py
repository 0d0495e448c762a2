import gc
import os
import warnings
import weakref
from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from helpers.models import make
from helpers.processes import run_python
from helpers.training import FAST, Killed, Net, batched, half, net, same, samples, state
from safetensors.torch import load_file, save_file
from sklearn.metrics import f1_score
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.data import DataLoader, RandomSampler

from pruning_course import FineTuneConfig, Masks, fine_tune_after_pruning, keep_globally, prunable_layers
from pruning_course.finetune.batches import order_epoch, split_batch
from pruning_course.finetune.losses import compute_loss, distillation
from pruning_course.scores import magnitude


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_masks_are_held_and_everything_else_learns(optimizer):
    model = net()
    masks, before = half(model), state(model)
    history = fine_tune_after_pruning(
        model, batched(64), batched(32, seed=1), masks, replace(FAST, optimizer=optimizer)
    )
    for name, keep in masks.items():
        weight = model.get_submodule(name).weight
        assert (weight[~keep] == 0).all() and (weight[keep] != before[f"{name}.weight"][keep]).any()
    assert (model.head.bias != 0).all()  # it started at 0 and is not pruned
    assert history.train_loss[1] < history.train_loss[0]


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
def test_a_transformers_model_brings_its_own_loss(family):
    model = make(family)
    ids = torch.randint(3, 60, (6, 7), generator=torch.Generator().manual_seed(0))
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": (ids[:, :3] > 30).float()}
    logits, loss = compute_loss(model, batch)
    own = nn.functional.binary_cross_entropy_with_logits(logits, batch["labels"])
    assert loss == own and model.config.problem_type == "multi_label_classification"
    masks = Masks.apply(model, keep_globally(magnitude(prunable_layers(model, "encoder")), 0.5))
    history = fine_tune_after_pruning(model, [batch] * 4, [batch], masks, FAST)
    assert history.train_loss[-1] < loss
    assert masks.sparsity == pytest.approx(0.5, abs=1e-3)


JUMPY = FineTuneConfig(fine_tune_epochs=6, lr=3.0, seed=1)  # far too high: the F1 goes up and down


@pytest.mark.parametrize("select", [None, batched(64, seed=1)])
def test_the_epoch_is_chosen_on_one_part_and_reported_on_another(select):
    model, validation = net(), batched(96, seed=2)
    history = fine_tune_after_pruning(model, batched(64), validation, half(model), JUMPY, select_loader=select)
    assert len(history.train_loss) == len(history.micro_f1) == len(history.macro_f1) == 6
    if select is None:
        assert history.select_f1 == [] and history.best_epoch == 5
    else:
        assert len(history.select_f1) == 6 and history.select_f1[history.best_epoch] == max(history.select_f1)
        # The two parts disagree, so that what follows can tell them apart.
        assert history.best_epoch != 5 and history.micro_f1[history.best_epoch] < max(history.micro_f1)
    found = {"micro": history.micro_f1, "macro": history.macro_f1, "select": history.select_f1}
    for part, names in ((validation, ("micro", "macro")), (select, ("select",))):
        if part is not None:
            with torch.no_grad():
                logits = torch.cat([model(batch["x"])["logits"] for batch in part])
            truth = torch.cat([batch["labels"] for batch in part])
            for name in names:
                average = "macro" if name == "macro" else "micro"
                assert found[name][history.best_epoch] == f1_score(truth, logits > 0, average=average)


def test_what_cannot_choose_an_epoch_is_refused_before_training():
    batches, model = batched(16), net()
    before = state(model)
    targets = [batch | {"labels": batch["x"][:, :3] * 2} for batch in batched(8)]
    for select, message in [
        (batches, "select_loader is val_loader; choose the epoch on texts that are not those of the report"),
        (targets, "In select_loader, there is the label .*; an epoch is chosen by F1"),
        ([], "There are no batches to score"),
        (iter(batched(8)), "select_loader is a list_iterator, which can be read once"),
    ]:
        with pytest.raises(ValueError, match=message):
            fine_tune_after_pruning(model, batched(16), batches, None, FAST, select_loader=select)
        assert same(state(model), before)


def test_classes_are_learned_by_cross_entropy():
    batches = [batch | {"labels": batch["x"].abs().argmax(1) % 3} for batch in batched(64)]
    model = net()
    logits, loss = compute_loss(model, batches[0])
    assert loss == nn.functional.cross_entropy(logits, batches[0]["labels"])
    history = fine_tune_after_pruning(model, batches, batches, None, FineTuneConfig(5, lr=0.2))
    with torch.no_grad():
        right = torch.cat([model(batch["x"])["logits"].argmax(1) == batch["labels"] for batch in batches])
    assert max(history.micro_f1) == pytest.approx(right.float().mean().item()) and right.float().mean() > 0.6


@pytest.mark.parametrize(
    ("settings", "rates"),
    [
        ({}, [0.1, 0.1, 0.1, 0.1, 0.1]),
        ({"lr_factor": 0.5}, [0.5, 0.5, 0.5, 0.5, 0.5]),
        ({"decay": True, "warmup": 0.5}, [0, 0.05, 0.1, 0.05, 0]),
        ({"decay": True, "lr_factor": 1.0, "warmup": 0}, [1, 0.75, 0.5, 0.25, 0]),
        ({"rewind_lr": True, "warmup": 0.5, "original_epochs": 2}, [0, 0.5, 1, 0.5, 0]),
        ({"rewind_lr": True, "warmup": 0.5, "original_epochs": 4}, [1, 0.75, 0.5, 0.25, 0]),  # its last two epochs
        ({"rewind_lr": True, "warmup": 0.2, "original_epochs": 20}, [0.125, 0.09375, 0.0625, 0.03125, 0]),
    ],
)
def test_the_rate_along_the_way(settings, rates):
    config = FineTuneConfig(fine_tune_epochs=2, lr=1.0, **settings)
    assert [config.rate_at(done) for done in (0, 0.25, 0.5, 0.75, 1)] == pytest.approx(rates)


def test_there_is_no_rate_before_the_start_and_after_the_end():
    for done in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=f"done is {done}; it must be between 0 and 1"):
            FineTuneConfig().rate_at(done)


def test_the_default_seed_is_0():
    models = net(dropout=0.5), net(dropout=0.5)
    for model, config in zip(models, (FAST, replace(FAST, seed=0)), strict=True):
        fine_tune_after_pruning(model, batched(16), batched(8), None, config)
    assert same(state(models[0]), state(models[1])) and FineTuneConfig().seed == 0


def test_the_optimizer_gets_that_rate():
    used = []
    hook = register_optimizer_step_post_hook(lambda optimizer, *_: used.append(optimizer.param_groups[0]["lr"]))
    try:
        fine_tune_after_pruning(net(), batched(16), batched(8), None, FineTuneConfig(2, 1.0, 1.0, decay=True, warmup=0))
    finally:
        hook.remove()
    assert used == pytest.approx([0.875, 0.625, 0.375, 0.125])


def test_the_gradient_is_clipped_at_1_and_the_loss_is_that_of_the_rows():
    model, batches = net(), batched(12, 8)  # 8 rows and 4
    with torch.no_grad():
        mean = sum(compute_loss(model, batch)[1] * len(batch["labels"]) for batch in batches) / 12
    still = FineTuneConfig(1, lr=1e-12, optimizer="sgd")
    assert fine_tune_after_pruning(model, batches, batches, None, still).train_loss == pytest.approx([mean.item()])
    before, large = state(model), {"x": batches[0]["x"] * 1000, "labels": 1 - batches[0]["labels"]}
    config = FineTuneConfig(1, lr=0.5, lr_factor=1.0, weight_decay=0.0, optimizer="sgd")
    fine_tune_after_pruning(model, [large], batches, None, config)
    moved = sum((tensor - before[name]).square().sum() for name, tensor in state(model).items()) ** 0.5
    assert moved.item() == pytest.approx(0.5, rel=1e-3)


def loader_of(kind):
    generator = torch.Generator().manual_seed(5)
    return {
        "list": lambda: batched(48),
        "shuffled": lambda: DataLoader(samples(48), batch_size=8, shuffle=True),
        "own generator": lambda: DataLoader(samples(48), batch_size=8, shuffle=True, generator=generator),
        "own sampler": lambda: DataLoader(
            samples(48), batch_size=8, sampler=RandomSampler(range(48), generator=generator)
        ),
    }[kind]()


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("kind", ["list", "shuffled", "own generator", "own sampler"])
def test_a_run_that_was_killed_goes_on_as_if_nothing_had_happened(tmp_path, kind, optimizer):
    config = FineTuneConfig(4, lr=0.2, decay=True, optimizer=optimizer)
    whole = net(dropout=0.3)
    expected = fine_tune_after_pruning(whole, loader_of(kind), batched(32, seed=1), half(whole), config)

    validations = []

    class Validation(list):
        def __iter__(self):
            validations.append(None)
            if len(validations) == 3:
                raise Killed
            return super().__iter__()

    model, path = net(dropout=0.3), tmp_path / "run.safetensors"
    with pytest.raises(Killed):
        fine_tune_after_pruning(
            model, loader_of(kind), Validation(batched(32, seed=1)), half(model), config, checkpoint=path
        )
    again = net(dropout=0.3)
    masks = half(again)
    torch.manual_seed(99)
    history = fine_tune_after_pruning(again, loader_of(kind), batched(32, seed=1), masks, config, checkpoint=path)
    assert len(validations) == 3 and history == expected
    assert same(state(again), state(whole))
    assert [p.name for p in tmp_path.iterdir()] == ["run.safetensors"]

    third = net(dropout=0.3)  # all is done: nothing is trained any more
    assert fine_tune_after_pruning(third, loader_of(kind), [], half(third), config, checkpoint=path) == expected
    assert same(state(third), state(whole))


def test_a_weight_that_lies_transposed_in_memory_comes_back_too(tmp_path):
    def transposed():
        model = net()
        model.head.weight = nn.Parameter(model.head.weight.detach().t().contiguous().t())
        assert not model.head.weight.is_contiguous()
        return model

    config, whole, model = FineTuneConfig(2, lr=0.2, optimizer="adam"), transposed(), transposed()
    fine_tune_after_pruning(whole, batched(16), batched(8), None, config)
    for _ in range(2):  # the second time nothing is left to do but to read
        fine_tune_after_pruning(model, batched(16), batched(8), None, config, checkpoint=tmp_path / "run")
        assert same(state(model), state(whole))
    moments = load_file(tmp_path / "run")
    assert any(name.startswith("optimizer.") and tensor.shape == (3, 16) for name, tensor in moments.items())


def test_the_best_weights_survive_a_restart(tmp_path):
    for _ in range(2):
        model = net()
        select = batched(64, seed=1)
        history = fine_tune_after_pruning(
            model, batched(64), batched(8), half(model), JUMPY, select_loader=select, checkpoint=tmp_path / "run"
        )
        assert history.best_epoch < 5
    saved = load_file(tmp_path / "run")
    assert same({name: saved[f"best.{name}"] for name in state(model)}, state(model))
    assert not torch.equal(saved["now.inside.weight"], saved["best.inside.weight"])


def test_a_checkpoint_of_another_run_is_refused_and_changes_nothing(tmp_path):
    path, batches = tmp_path / "run", batched(16)
    model = net()
    fine_tune_after_pruning(model, batches, batches, half(model), FAST, checkpoint=path)
    model = net()
    masks, before = half(model), state(model)
    others = [
        ((batches, batches, masks, replace(FAST, lr=0.2)), {}, "lr is 0.1 there and 0.2 here"),
        ((batches * 2, batches, masks, FAST), {}, "batches is 2 there and 4 here"),
        ((batches, batches, masks, FAST), {"teacher": net()}, "teacher is False there and True here"),
    ]
    for arguments, options, message in others:
        with pytest.raises(ValueError, match=message):
            fine_tune_after_pruning(model, *arguments, checkpoint=path, **options)
    masks["head"].logical_not_()
    model.load_state_dict(before)
    with pytest.raises(ValueError, match="masks is '"):
        fine_tune_after_pruning(model, batches, batches, masks, FAST, checkpoint=path)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ValueError, match="not a valid checkpoint"):
        fine_tune_after_pruning(model, batches, batches, masks, FAST, checkpoint=path)
    assert same(state(model), before)


def test_parts_cover_all_rows_once_and_every_process_has_as_many():
    for rows, processes, micro in ((1, 1, None), (5, 1, 2), (17, 2, 4), (1, 3, None), (7, 4, 1), (32, 2, 1000)):
        batch = {"labels": torch.zeros(rows, 3), "x": torch.arange(rows * 2).reshape(rows, 2)}
        split = [split_batch(batch, micro, process, processes) for process in range(processes)]
        assert len({len(mine) for mine in split}) == 1
        assert sum(share for mine in split for _, share in mine) == pytest.approx(1)
        seen = torch.cat([part["x"] for mine in split for part, share in mine if share])
        assert torch.equal(seen, batch["x"])
        assert all(len(part["labels"]) for mine in split for part, _ in mine)
        assert micro is None or all(part["x"].numel() <= max(micro, 2) for mine in split for part, _ in mine)


@pytest.mark.parametrize("labels", [(8,), (8, 1), (8, 10)])
def test_labels_are_no_tokens(labels):
    batch = {"labels": torch.zeros(labels), "input_ids": torch.zeros(8, 2), "length": torch.zeros(8)}
    assert [len(part["labels"]) for part, _ in split_batch(batch, micro_tokens=4)] == [2, 2, 2, 2]


def test_small_parts_give_the_gradient_of_the_whole_batch():
    models = {None: net(), 20: net()}
    losses = [
        fine_tune_after_pruning(
            model, batched(60, 15), batched(16), half(model), replace(FAST, micro_tokens=micro, optimizer="sgd")
        ).train_loss
        for micro, model in models.items()
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for name, tensor in models[None].state_dict().items():
        torch.testing.assert_close(models[20].state_dict()[name], tensor, rtol=1e-5, atol=1e-6)


def test_the_order_of_an_epoch_depends_on_seed_and_epoch_alone():
    batches = batched(48)

    def order(seed, epoch, process=0):
        return [float(batch["x"][0, 0]) for batch in order_epoch(batches, seed, epoch, process)]

    assert order(0, 0) == order(0, 0) == order(0, 0, process=1) != order(0, 1)
    assert order(0, 1) != order(1, 1) and sorted(order(0, 1)) == sorted(order(1, 1))


def test_dropout_differs_between_batches_epochs_seeds_and_processes():
    def dice(seed, epoch, process=0):
        first, second = [], []
        for found in (first, second):
            torch.rand(len(found) + 3)  # the state of torch before plays no part
            found += [float(torch.rand(())) for _ in order_epoch(batched(24), seed, epoch, process)]
        assert first == second
        return first

    several = [dice(0, 0), dice(0, 1), dice(1, 0), dice(0, 0, process=1)]
    assert len({number for numbers in several for number in numbers}) == 12


class Bare(Net):
    """Gives its logits as a bare tensor."""

    def forward(self, x):
        return super().forward(x)["logits"]


class TakesAny(Net):
    """Takes whatever it is given by name."""

    def forward(self, scale=1.0, **inputs):
        assert set(inputs) == {"x", "row"}
        return {"logits": scale * super().forward(inputs["x"])["logits"]}


@pytest.mark.parametrize("kind", [Bare, TakesAny])
def test_whatever_a_forward_takes_and_gives(kind):
    torch.manual_seed(0)
    model = kind().eval()
    batch = batched(8)[0] | ({"row": torch.arange(8)} if kind is TakesAny else {})
    logits, loss = compute_loss(model, batch)
    expected = net()(batch["x"])["logits"]
    assert torch.equal(logits, expected)
    assert loss == nn.functional.binary_cross_entropy_with_logits(expected, batch["labels"])


def test_distillation_is_hintons():
    logits, taught = torch.tensor([[0.0, 2.0]]), torch.tensor([[4.0, -2.0]])
    hard = torch.tensor([[1.0, 0.0]])
    p, q = torch.sigmoid(taught / 2), torch.sigmoid(logits / 2)
    binary = 4 * -(p * q.log() + (1 - p) * (1 - q).log()).mean()
    assert distillation(logits, taught, hard, 2.0).item() == pytest.approx(binary.item())
    p, q = torch.softmax(taught / 2, 1), torch.softmax(logits / 2, 1)
    classes = 4 * -(p * q.log()).sum()
    assert distillation(logits, taught, torch.tensor([0]), 2.0).item() == pytest.approx(classes.item())


def test_a_student_comes_near_its_teacher_and_the_teacher_stays():
    teacher, student = net(dropout=0.5, seed=3).train(), net()
    before, x = state(teacher), batched(64)[0]["x"]
    wrong = [batch | {"labels": 1 - batch["labels"]} for batch in batched(64)]
    config = FineTuneConfig(20, lr=0.3, teacher_weight=1.0)
    distance = (student(x)["logits"] - teacher.eval()(x)["logits"]).square().mean()
    teacher.train()
    fine_tune_after_pruning(student, wrong, wrong, None, config, teacher=teacher)
    assert same(state(teacher), before) and teacher.training and teacher.dropout.training
    assert (student(x)["logits"] - teacher.eval()(x)["logits"]).square().mean() < distance / 4
    taught = net(), net()
    for one, mode in zip(taught, (True, False), strict=True):  # no dropout in its answers, whatever its mode is
        fine_tune_after_pruning(one, batched(16), batched(16), None, FAST, teacher=teacher.train(mode))
    assert same(state(taught[0]), state(taught[1]))
    alone, ignored = net(), net()
    fine_tune_after_pruning(alone, batched(16), batched(16), None, FAST)
    fine_tune_after_pruning(ignored, batched(16), batched(16), None, replace(FAST, teacher_weight=0.0), teacher=teacher)
    assert same(state(alone), state(ignored))


def test_frozen_stays_frozen_and_the_caller_keeps_mode_and_random_state():
    model = net(dropout=0.5)
    masks = half(model)
    model.inside.requires_grad_(False)
    model.train()
    model.dropout.eval()
    loader = DataLoader(samples(32), batch_size=8, shuffle=True)
    before, random_state = state(model), torch.get_rng_state()
    fine_tune_after_pruning(model, loader, loader, masks, FAST)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert model.training and not model.dropout.training and not model.inside.weight.requires_grad
    changed = {name for name, tensor in state(model).items() if not torch.equal(tensor, before[name])}
    assert changed == {"head.weight", "head.bias"}
    model.head.requires_grad_(False)
    with pytest.raises(ValueError, match="No parameter of Net requires a gradient"):
        fine_tune_after_pruning(model, batched(32), batched(16), masks, FAST)


def test_a_frozen_pruned_body_needs_no_hold():
    model = net()
    masks = Masks.apply(model, {"inside": torch.rand(16, 8) > 0.5})
    model.inside.requires_grad_(False)
    fine_tune_after_pruning(model, batched(16), batched(16), masks, FAST)
    assert (model.inside.weight[~masks["inside"]] == 0).all()


def test_zeros_without_masks_are_warned_of_once():
    model = net()
    half(model)
    with pytest.warns(UserWarning, match="50% of the linear weights are 0, and no masks were given") as caught:
        fine_tune_after_pruning(model, batched(16), batched(16), None, FAST)
    assert len(caught) == 1 and caught[0].filename == __file__
    assert (model.inside.weight != 0).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fine_tune_after_pruning(net(), batched(16), batched(16), None, FAST)


def test_a_loss_that_is_not_finite_stops_before_the_step():
    model, batches = net(), batched(16)
    batches[1]["x"][0, 0] = float("nan")
    model.eval()
    with pytest.raises(FloatingPointError, match="The loss is nan"):
        fine_tune_after_pruning(model, batches, batches, None, FAST)
    assert all(tensor.isfinite().all() for tensor in model.state_dict().values()) and not model.training


def test_a_loader_need_not_have_a_length_where_the_rate_is_constant():
    class Stream:
        def __iter__(self):
            return iter(batched(16))

    history = fine_tune_after_pruning(net(), Stream(), Stream(), None, FAST)
    assert len(history.micro_f1) == 2
    with pytest.raises(TypeError, match="train_loader has no length"):
        fine_tune_after_pruning(net(), Stream(), Stream(), None, replace(FAST, decay=True))


@pytest.mark.parametrize(
    ("train", "validation", "masks", "error", "message"),
    [
        ([{"x": torch.ones(2, 8)}], None, None, ValueError, "only x; it must be a dict of tensors.* and labels"),
        (None, [{"x": torch.ones(2, 8)}], None, ValueError, "only x; it must be a dict"),
        ([(torch.ones(2, 8), torch.ones(2, 3))], None, None, TypeError, "A batch is tuple; it must be a dict"),
        (
            [{"x": torch.ones(2, 8), "labels": torch.ones(2)}],
            None,
            None,
            ValueError,
            r"float32 \(2,\); \(batch, labels",
        ),
        (None, [{"x": torch.ones(0, 8), "labels": torch.ones(0, 3)}], None, ValueError, r"float32 \(0, 3\)"),
        ([], None, None, ValueError, "train_loader yields no batches in epoch 0"),
        (None, [], None, ValueError, "no batches to score"),
        (iter(batched(16)), None, None, ValueError, "train_loader is a list_iterator, which can be read once"),
        (None, None, {"head": torch.ones(3, 16)}, TypeError, "masks is dict; Masks.apply"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(train, validation, masks, error, message):
    train, validation = (batched(16) if given is None else given for given in (train, validation))
    with pytest.raises(error, match=message):
        fine_tune_after_pruning(net(), train, validation, masks, FAST)


def test_masks_of_another_model_are_refused():
    with pytest.raises(ValueError, match="masks are those of another model than this Net"):
        fine_tune_after_pruning(net(), batched(16), batched(16), half(net()), FAST)


def test_weights_that_are_split_over_processes_are_refused(monkeypatch):
    monkeypatch.setattr(Accelerator, "distributed_type", DistributedType.FSDP)
    with pytest.raises(ValueError, match="FSDP may split them"):
        fine_tune_after_pruning(net(), batched(16), batched(16), None, FAST)


def test_a_model_without_logits_is_refused():
    class Pair(Net):
        def forward(self, x):
            return x, x

    with pytest.raises(TypeError, match="The model returns tuple; it must return logits"):
        fine_tune_after_pruning(Pair(), batched(16), batched(16), None, FAST)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fine_tune_epochs": 0}, "fine_tune_epochs is 0; it must be a whole number of at least 1"),
        ({"fine_tune_epochs": 1.5}, "fine_tune_epochs is 1.5"),
        ({"lr": 0}, "lr is 0"),
        ({"lr_factor": 0}, "lr_factor is 0; it must be above 0"),
        ({"weight_decay": -0.1}, "weight_decay is -0.1"),
        ({"original_epochs": 2}, "original_epochs is 2; it must be None, or at least fine_tune_epochs, 3"),
        ({"rewind_lr": True}, "original_epochs is None; it must be given with rewind_lr"),
        ({"rewind_lr": True, "original_epochs": 9, "decay": True}, "decay is True; it must be False with rewind_lr"),
        ({"warmup": 1}, "warmup is 1"),
        ({"optimizer": "lion"}, "optimizer is 'lion'; it must be one of adamw, adam, sgd"),
        ({"micro_tokens": 0}, "micro_tokens is 0"),
        ({"teacher_weight": 1.1}, "teacher_weight is 1.1"),
        ({"temperature": 0}, "temperature is 0"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        FineTuneConfig(**settings)


SCRIPT = """
import os, sys
sys.path.insert(0, sys.argv[1])
import test_finetune
test_finetune.in_two_processes(sys.argv[2])
os._exit(0)  # without the end of Python, which the threads of torch now and then turn into an abort
"""


def in_two_processes(folder):
    """What SCRIPT runs in each of two processes."""
    process = Accelerator().process_index
    assert torch.distributed.get_world_size() == 2
    model, history = launched(f"{folder}/checkpoint")
    save_file(state(model), f"{folder}/weights-{process}")
    print(f"{history}\n", end="", flush=True)
    print(f"Own {launched_with_ones_own()}\n", end="", flush=True)  # in one piece: the other process prints too
    model = net()
    other = Masks.apply(model, {"head": torch.arange(48).reshape(3, 16) > process})
    with pytest.raises(ValueError, match="different models, masks or settings"):
        fine_tune_after_pruning(model, batched(8), batched(8), other, FAST)
    torch.distributed.destroy_process_group()


def launched(checkpoint=None):
    """A training that must come out alike on one process and on two: an odd number of rows, parts, a last row alone."""
    model = net()
    masks = half(model)
    config = FineTuneConfig(2, lr=0.1, micro_tokens=16, optimizer="sgd")
    parts = batched(25), batched(19, seed=1)
    select = batched(9, seed=2)
    history = fine_tune_after_pruning(model, *parts, masks, config, select_loader=select, checkpoint=checkpoint)
    assert masks.sparsity == pytest.approx(0.5, abs=0.01)
    assert all((model.get_submodule(name).weight[~keep] == 0).all() for name, keep in masks.items())
    return model, history


def launched_with_ones_own():
    """The same with the caller's optimizer, loss and metric; gives what is measured, which depends on all rows' order.

    Rounded, because processes add up in another order.
    """

    def measured(logits, labels):
        weight = torch.arange(len(labels), dtype=torch.float32)
        return {name: round(float(weight @ rows[:, 0]), 3) for name, rows in (("logits", logits), ("labels", labels))}

    model = net()
    model.unused = nn.Parameter(torch.ones(2))  # for which a process would otherwise wait
    masks, targets = half(model), [batch | {"labels": batch["x"][:, :3]} for batch in batched(25)]
    history = fine_tune_after_pruning(
        model,
        targets,
        targets,
        masks,
        FineTuneConfig(2, micro_tokens=16),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        loss=nn.functional.mse_loss,
        metric=measured,
    )
    assert all((model.get_submodule(name).weight[~keep] == 0).all() for name, keep in masks.items())
    return history.metrics


def launch(tmp_path):
    """Start SCRIPT on two processes. `--cpu` alone would start one: accelerate then leaves the starting to MPI."""
    (tmp_path / "script.py").write_text(SCRIPT)
    folder = os.path.dirname(__file__)
    command = "-m accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no"
    command = [*command.split(), "--dynamo_backend", "no", "--main_process_port", "0"]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    return run_python(*command, tmp_path / "script.py", folder, tmp_path, env=environment)


def test_two_processes_of_accelerate_come_out_as_one(tmp_path):
    done = launch(tmp_path)
    assert done.returncode == 0, done.stderr
    expected, history = launched()
    first, second = (load_file(tmp_path / f"weights-{process}") for process in range(2))
    assert same(first, second)
    for name, tensor in expected.state_dict().items():
        torch.testing.assert_close(first[name], tensor, rtol=1e-5, atol=1e-6)
    printed = {line for line in done.stdout.splitlines() if line.startswith("History")}
    assert len(printed) == 1 and f"micro_f1={history.micro_f1}, macro_f1={history.macro_f1}" in printed.pop()
    assert (tmp_path / "checkpoint").exists()
    assert done.stdout.count(f"Own {launched_with_ones_own()}") == 2


def test_nothing_of_a_training_stays_in_memory():
    model, optimizer = net(), None
    gc.collect()
    gc.disable()
    try:
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        gone = [weakref.ref(model), weakref.ref(optimizer)]
        fine_tune_after_pruning(model, batched(16), batched(8), half(model), FAST, optimizer=optimizer)
        del model, optimizer
        assert [reference() for reference in gone] == [None, None]
    finally:
        gc.enable()
