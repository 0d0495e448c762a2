"""A small network with its data, for everything that trains."""

import torch
from torch import nn
from torch.utils.data import DataLoader

from pruning_course import FineTuneConfig, Masks, keep_globally, prunable_layers
from pruning_course.scores import magnitude

FAST = FineTuneConfig(fine_tune_epochs=2, lr=0.1)


class Net(nn.Module):
    """Eight numbers, dropout, three labels."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.inside, self.dropout, self.head = nn.Linear(8, 16), nn.Dropout(dropout), nn.Linear(16, 3)
        nn.init.zeros_(self.head.bias)

    def forward(self, x):
        return {"logits": self.head(self.dropout(torch.relu(self.inside(x))))}


def net(dropout=0.0, seed=0):
    torch.manual_seed(seed)
    return Net(dropout).eval()


def samples(count, seed=0):
    x = torch.randn(count, 8, generator=torch.Generator().manual_seed(seed))
    return [{"x": row, "labels": label} for row, label in zip(x, (x[:, :3] + x[:, 3:6] > 0).float(), strict=True)]


def batched(count, size=8, seed=0):
    return list(DataLoader(samples(count, seed), batch_size=size))


def half(model):
    return Masks.apply(model, keep_globally(magnitude(prunable_layers(model)), 0.5))


def state(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class Killed(BaseException):
    pass
