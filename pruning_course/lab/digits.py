"""Handwritten digits of 8 x 8 pixels and a small network for them: a training takes a second or less."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import torch
from sklearn import datasets
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

SIZES = {"test": 500, "validation": 297, "train": 1000}  # images; scikit-learn has 1,797
SEED = 0
HIDDEN = (300, 100)  # as in LeNet-300-100, the network of the lottery-ticket paper's first experiment


@dataclass(frozen=True)
class Digits:
    """Three parts, each of images float32 (n, 64), from 0 (white) to 1 (black), and labels int64 (n,), 0 to 9.

    Pixel p of an image is in row p // 8, column p % 8.
    """

    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]


@lru_cache(maxsize=1)
def load_digits() -> Digits:
    """scikit-learn's digits (Alpaydin and Kaynak 1998, UCI) in three fixed parts of 1,000, 297 and 500 images.

    Every part has the ten digits in the same proportions. All calls share the tensors. The network is not needed.
    """
    images, labels = datasets.load_digits(return_X_y=True)
    rows, parts = range(len(labels)), {}
    for name in ("test", "validation"):
        rows, parts[name] = train_test_split(
            rows, test_size=SIZES[name], random_state=SEED, stratify=[labels[row] for row in rows]
        )
    parts["train"] = rows
    pixels = torch.from_numpy(images).float() / 16
    return Digits(**{name: (pixels[chosen], torch.from_numpy(labels)[chosen]) for name, chosen in parts.items()})


def make_mlp(seed: int, hidden: tuple[int, ...] = HIDDEN) -> nn.Sequential:
    """A network of Linear and ReLU from 64 pixels to 10 digits; the same seed always makes the same weights.

    Its layers are called "0", "2", "4", as nn.Sequential counts. The caller's random state does not change.
    """
    widths = (64, *hidden, 10)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def digit_batches(seed: int, size: int = 60) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches of the training part, in a new order each epoch; the same seed makes the same sequence."""
    images, labels = load_digits().train
    generator = torch.Generator().manual_seed(seed)
    while True:
        for chosen in torch.split(torch.randperm(len(labels), generator=generator), size):
            yield images[chosen], labels[chosen]


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share, from 0 to 1, of `images` (n, 64) for which the highest output of `model` is the label."""
    return float((model(images).argmax(dim=1) == labels).float().mean())
