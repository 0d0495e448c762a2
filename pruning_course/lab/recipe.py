"""The recipe of the dense model: every setting that decides what its training produces."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from pruning_course.lab.wheels import HPO, MINILM

VERSION = 2  # raise it when a change to the training or to the split changes the trained model or its facts

Facts = dict[str, Any]  # what is known of a trained model, as JSON holds it; `cache.dense_facts` lists the keys


@dataclass(frozen=True)
class Recipe:
    """The settings of the training.

    epochs, batch_size (texts), lr (peak, of AdamW), weight_decay, warmup (share of the steps), clip (norm of the
    gradient), dropout (rate while training), inverse_penalty (C of the logistic regression), max_length (tokens), seed.
    """

    epochs: int = 2
    batch_size: int = 32
    lr: float = 2e-4
    weight_decay: float = 0.01
    warmup: float = 0.1
    clip: float = 1.0
    dropout: float = 0.0
    inverse_penalty: float = 1.0  # the best of 0.1 .. 100 on validation
    max_length: int = 96
    seed: int = 0

    def key(self) -> str:
        """12 hexadecimal digits that change with the settings, the data, the first weights or the recipe's version."""
        made_of = [VERSION, asdict(self), MINILM.sha256, HPO.sha256]
        return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:12]
