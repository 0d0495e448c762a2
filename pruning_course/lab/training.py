"""Train the dense model: first its classification head, by logistic regression, then all six blocks."""

import random
import time
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from safetensors.torch import load_file
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from torch import Tensor
from tqdm.auto import tqdm
from transformers import BertConfig

from pruning_course.lab.encoder import Batch, MeanPooledClassifier, evaluate, load_tokenizer, make_batches
from pruning_course.lab.phenotypes import Phenotypes, load_phenotypes
from pruning_course.lab.recipe import Facts, Recipe
from pruning_course.lab.wheels import minilm_folder

MICRO_TOKENS = 1024


def train_dense(recipe: Recipe) -> tuple[MeanPooledClassifier, Facts]:
    """Train the course's dense model; return it in eval mode, with its facts: F1s, seconds, texts and labels.

    The caller's random state does not change. Raises `WheelError` if a wheel is missing or damaged,
    `FloatingPointError` if the loss is not finite.
    """
    seconds, last = {}, time.perf_counter()

    def lap(step: str) -> None:
        nonlocal last
        seconds[step], last = round(time.perf_counter() - last, 1), time.perf_counter()

    data, tokenizer = load_phenotypes(), load_tokenizer()
    parts = {
        name: make_batches(*data.subset(name), tokenizer, recipe.batch_size, recipe.max_length)
        for name in ("train", "validation")
    }
    lap("reading")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = load_minilm(data.label_names, recipe.dropout)
        features, labels = pooled_features(model, parts["train"])
        lap("features")
        set_logistic_head(model, features, labels, recipe.inverse_penalty)
        lap("logistic")
        f1 = {"logistic": evaluate(model, parts["validation"])}
        lap("scoring logistic")
        fine_tune(model, parts["train"], recipe)
        lap("fine-tuning")
    f1["dense"] = evaluate(model, parts["validation"])
    lap("scoring dense")
    return model.eval(), {"f1": f1, "seconds": seconds, **_counts(data)}


def _counts(data: Phenotypes) -> Facts:
    texts = {name: len(rows) for name, rows in data.split.items()}
    return {"texts": texts, "labels": len(data.label_names), "release": data.release}


def load_minilm(label_names: Sequence[str], dropout: float) -> MeanPooledClassifier:
    """MiniLM from its wheel with a new classification head, in eval mode, with frozen embeddings.

    Raises `WheelError` if the wheel is missing or damaged.
    """
    folder = minilm_folder()
    config = BertConfig.from_pretrained(
        folder,
        id2label=dict(enumerate(label_names)),
        label2id={name: number for number, name in enumerate(label_names)},
        problem_type="multi_label_classification",
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    config.architectures = [MeanPooledClassifier.__name__]
    model = MeanPooledClassifier(config)
    weights = load_file(folder / "model.safetensors")
    wanted = set(model.bert.state_dict())  # the file also has the pooling layer and a buffer of positions
    model.bert.load_state_dict({name: value for name, value in weights.items() if name in wanted}, strict=True)
    model.bert.embeddings.requires_grad_(False)
    return model.eval()


def pooled_features(model: MeanPooledClassifier, batches: Sequence[Batch]) -> tuple[Tensor, Tensor]:
    """Mean-pooled features float32 (n, hidden) and labels float32 (n, k), with rows in the order of the batches."""
    with torch.inference_mode():
        features = [
            model.pooled(batch["input_ids"], batch["attention_mask"])
            for batch in tqdm(batches, desc="Features", unit="batch")
        ]
    return torch.cat(features), torch.cat([batch["labels"] for batch in batches])


def set_logistic_head(model: MeanPooledClassifier, features: Tensor, labels: Tensor, inverse_penalty: float) -> None:
    """Fit a logistic regression for each label on features (n, hidden), labels (n, k); copy them into the classifier.

    Raises `ValueError` if a label does not have both a 0 and a 1 among the rows.
    """
    both = (labels.amax(dim=0) > labels.amin(dim=0)).tolist()
    if not all(both):
        raise ValueError(f"The labels in columns {[i for i, ok in enumerate(both) if not ok]} never change.")
    one = LogisticRegression(C=inverse_penalty, max_iter=200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # we need a start, not the best fit
        fitted = OneVsRestClassifier(one).fit(features.numpy(), labels.numpy().astype(int)).estimators_
    with torch.no_grad():
        model.classifier.weight.copy_(torch.from_numpy(np.concatenate([label.coef_ for label in fitted])))
        model.classifier.bias.copy_(torch.from_numpy(np.concatenate([label.intercept_ for label in fitted])))


def rate_at(step: int, steps: int, warmup: float) -> float:
    """The share of the peak learning rate at `step`, from 0 to steps - 1: it rises linearly, then falls linearly."""
    rise = max(round(warmup * steps), 1)
    return min((step + 1) / rise, (steps - step) / max(steps - rise, 1))


def micro_batches(batch: Batch, tokens: int = MICRO_TOKENS) -> list[Batch]:
    """Cut a batch along its rows into parts of about `tokens` tokens, because mostly activations fill the memory."""
    rows, length = batch["input_ids"].shape
    size = max(tokens // length, 1)
    return [{name: value[start : start + size] for name, value in batch.items()} for start in range(0, rows, size)]


def fine_tune(model: MeanPooledClassifier, batches: Sequence[Batch], recipe: Recipe) -> None:
    """Train every parameter that requires a gradient, in place, with the batches in a new order each epoch.

    A batch always has the same texts, which are of similar length. The model stays in training mode.
    Raises `FloatingPointError` if the loss is not finite.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=recipe.lr, weight_decay=recipe.weight_decay)
    steps, order, shuffle = recipe.epochs * len(batches), list(range(len(batches))), random.Random(recipe.seed)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_at(step, steps, recipe.warmup))
    model.train()
    with tqdm(total=steps, desc="Fine-tuning", unit="batch") as bar:
        for _ in range(recipe.epochs):
            shuffle.shuffle(order)
            for number in order:
                for part in micro_batches(batches[number]):
                    share = len(part["labels"]) / len(batches[number]["labels"])  # so that they add up to the mean loss
                    loss = model(**part).loss * share
                    if not torch.isfinite(loss):
                        raise FloatingPointError(f"The loss is {loss.item()} at batch {number}.")
                    loss.backward()
                torch.nn.utils.clip_grad_norm_(trained, recipe.clip)
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()
                bar.update()
