"""What is held: gradients, weights and momentum, under any optimizer, or a sentence that says why not."""

import gc
import weakref

import pytest
import torch
from accelerate import Accelerator
from torch import nn
from torch.utils.data import Dataset
from transformers import Trainer, TrainingArguments

from pruning_course import GradualPruner, Masks, trainer_callback

KEEP = {"": torch.tensor([[True, False, True, False]])}
X, Y = torch.randn(64, 4, generator=torch.Generator().manual_seed(0)), torch.ones(64, 1)


def layer() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(4, 1, bias=False)


def loss_of(model):
    return (model(X) - Y).square().mean()


def test_gradients_are_those_of_the_survivors():
    model = layer()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    Masks.apply(model, KEEP).hold(optimizer)
    for _ in range(2):  # accumulated over two batches
        loss_of(model).backward()
    assert (model.weight.grad[~KEEP[""]] == 0).all() and (model.weight.grad[KEEP[""]] != 0).all()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
    before = model.weight.detach().clone()
    optimizer.step()
    assert (model.weight - before).norm().item() == pytest.approx(1e-4, rel=1e-3)


@pytest.mark.parametrize(
    "make_optimizer",
    [
        lambda p: torch.optim.LBFGS(p, max_iter=20, line_search_fn="strong_wolfe"),
        lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.0),
        lambda p: torch.optim.Adafactor(p, lr=0.05, weight_decay=0.0),
        lambda p: torch.optim.Rprop(p, lr=0.01),
    ],
    ids=["LBFGS", "AdamW", "Adafactor", "Rprop"],
)
def test_every_optimizer_finds_the_best_survivors(make_optimizer):
    model = layer()
    optimizer = make_optimizer(model.parameters())
    masks = Masks.apply(model, KEEP).hold(optimizer)

    def closure():
        optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        return loss

    for _ in range(600):
        optimizer.step(closure)
    kept = X[:, KEEP[""][0]]
    best = (kept @ torch.linalg.lstsq(kept, Y).solution - Y).square().mean().item()
    assert loss_of(model).item() == pytest.approx(best, abs=2e-3) and masks.check()


def test_an_optimizer_of_accelerate_is_unwrapped():
    model = layer()
    accelerator = Accelerator(cpu=True)
    masks = Masks.apply(model, KEEP)
    optimizer = accelerator.prepare_optimizer(torch.optim.AdamW(model.parameters(), lr=0.1))
    masks.hold(optimizer)
    accelerator.backward(loss_of(model))
    optimizer.step()
    assert masks.check() and masks.release() == [optimizer.optimizer]


class Lookahead:
    """Moves the weights of another optimizer, as wrappers do."""

    def __init__(self, inner):
        self.inner, self.param_groups = inner, inner.param_groups

    def step(self):
        self.inner.step()
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.data.add_(0.1)


def test_what_cannot_be_held_is_refused_or_noticed():
    model = layer()
    masks = Masks.apply(model, KEEP)
    inner = torch.optim.SGD(model.parameters(), lr=0.1)
    wrapper = Lookahead(inner)
    with pytest.raises(TypeError, match=r"Lookahead cannot be held: it must be a torch\.optim\.Optimizer"):
        masks.hold(wrapper)
    masks.hold(inner)
    loss_of(model).backward()
    wrapper.step()
    with pytest.warns(UserWarning, match="were not 0 before a step: something other than the optimizer") as caught:
        wrapper.step()
        wrapper.step()
    assert len([w for w in caught if "before a step" in str(w.message)]) == 1


def test_momentum_is_forgotten_when_more_is_pruned_and_integers_are_left_alone():
    class WithCode(torch.optim.SGD):
        """Keeps a quantised moment, whose code 0 does not mean 0."""

        def step(self, closure=None):
            super().step(closure)
            for group in self.param_groups:
                for parameter in group["params"]:
                    self.state[parameter].setdefault("code", torch.full(parameter.shape, 7, dtype=torch.uint8))

    model = layer()
    optimizer = WithCode(model.parameters(), lr=0.1, momentum=0.9)
    masks = Masks.apply(model, {"": torch.tensor([[True, True, True, False]])}).hold(optimizer)
    loss_of(model).backward()
    optimizer.step()
    state = optimizer.state[model.weight]
    assert state["momentum_buffer"][0, 1] != 0
    masks.restrict(KEEP)
    assert (state["momentum_buffer"][~KEEP[""]] == 0).all() and (model.weight.grad[~KEEP[""]] == 0).all()
    optimizer.step()
    assert (state["code"] == 7).all() and masks.check()


def test_an_optimizer_is_held_once_and_not_kept_alive():
    model = layer()
    masks = Masks.apply(model, KEEP)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    assert masks.hold(optimizer).hold(optimizer).release() == [optimizer]
    assert not optimizer._optimizer_step_post_hooks and not model.weight._post_accumulate_grad_hooks
    masks.hold(optimizer)
    gone = weakref.ref(optimizer)
    del optimizer
    gc.collect()
    assert gone() is None and masks.release() == []


def test_frozen_weights_need_no_hold():
    model = nn.Sequential(layer().requires_grad_(False), nn.Linear(1, 1))
    masks = Masks.apply(model, {"0": KEEP[""]})
    masks.hold(torch.optim.SGD(model[1].parameters(), lr=0.1))
    assert masks.check()


class Rows(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, place):
        return {"x": X[place], "labels": Y[place]}


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.inside = layer()

    def forward(self, x, labels):
        logits = self.inside(x)
        return {"loss": (logits - labels).square().mean(), "logits": logits}


def test_callbacks_hold_the_optimizer_of_a_trainer(tmp_path):
    arguments = TrainingArguments(
        str(tmp_path), max_steps=4, per_device_train_batch_size=4, report_to=[], use_cpu=True, disable_tqdm=True
    )
    model = Model()
    masks = Masks.apply(model, {"inside": KEEP[""]})
    trainer = Trainer(model, arguments, train_dataset=Rows(), callbacks=[masks.callback()])
    trainer.train()
    assert masks.check() and (model.inside.weight.grad is None or not model.inside.weight.grad[~KEEP[""]].any())
    assert len(masks.release()) == 1
    model = Model()
    pruner = GradualPruner(model, 0.5, end_epoch=2, steps_per_epoch=2, prune_frequency=1)
    trainer = Trainer(model, arguments, train_dataset=Rows(), callbacks=[trainer_callback(pruner)])
    trainer.train()
    assert pruner.masks.check() and pruner.masks.sparsity == 0.5 and len(pruner.masks.release()) == 1
