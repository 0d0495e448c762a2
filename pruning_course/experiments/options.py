"""The options of the command line."""

from typing import Annotated, Any

import typer

FINE_TUNE_EPOCHS = 3  # what --fine-tune-after-prune stands for
HELP = {
    "prune_method": "The pruning method: magnitude, wanda, gradual or structured. (default: magnitude)",
    "prune_sparsity": "The fraction to remove, from 0 to 1. (default: 0.5)",
    "prune_layers": "The layers to prune: all, attention, ffn or encoder. (default: all)",
    "schedule": "How gradual pruning proceeds: linear, cubic, exponential or geometric. (default: cubic)",
    "structure": "The units of structured pruning: neuron, head, layer or head+neuron. (default: neuron)",
    "importance": "How structured pruning scores units: norm, gradient, influence or random. (default: norm)",
    "group": "Where weights are compared: row, or for wanda also tensor. (default: the method's)",
    "fine_tune_epochs": "The number of epochs of training after pruning. (default: 0)",
    "learning_rate": "The peak of its learning rate, which rises and falls. (default: 2e-5)",
    "train_texts": "The number of texts that are drawn for training. (default: 512)",
    "seed": "The seed of that draw and of the training. (default: 0)",
}


def option(help: str, *names: str) -> Any:
    """Return an option for `Annotated`; without `names`, it is named after its parameter."""
    return typer.Option(*names, help=help, show_default=False)


def repeatable(name: str) -> Any:
    """Return the option of a setting that can be given several times."""
    return option(f"{HELP[name]} Can be repeated.")


Global = Annotated[
    bool | None,
    option("Compare weights across all layers, or within each. (default: the method's)", "--global/--local"),
]
FineTune = Annotated[bool, option(f"The same as --fine-tune-epochs {FINE_TUNE_EPOCHS}.", "--fine-tune-after-prune")]
Model = Annotated[
    str | None, option("Your classifier: a folder or a name on the Hugging Face Hub. (default: the course's)")
]
Data = Annotated[
    str | None, option("A CSV file of texts for it; a fifth is kept for validation. (default: the course's)")
]
TextColumn = Annotated[str, option("The column of that file with the texts. (default: text)")]
LabelColumn = Annotated[str, option("The column of that file with the labels. (default: label)")]
Separator = Annotated[str | None, option("What separates labels, if a text can have several. (default: it has one)")]
