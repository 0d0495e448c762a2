"""Tiny models of every family, built from a config: no download, no training."""

import copy

import torch
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from pruning_course import Removal
from pruning_course.models import find_layout, find_units, measure_blocks, out_in

SMALL = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4}
GQA = SMALL | {"num_key_value_heads": 2, "tie_word_embeddings": False}


def bert():
    return BertForSequenceClassification(BertConfig(**SMALL, num_labels=3))


def roberta():
    return RobertaForSequenceClassification(RobertaConfig(**SMALL, num_labels=3))


def distilbert():
    return DistilBertForSequenceClassification(
        DistilBertConfig(vocab_size=64, dim=16, hidden_dim=24, n_layers=2, n_heads=4, num_labels=3)
    )


def gpt2():
    return GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=16, n_inner=24, n_layer=2, n_head=4, n_positions=32))


def llama():
    return LlamaForCausalLM(LlamaConfig(**GQA))


def qwen2():
    return Qwen2ForCausalLM(Qwen2Config(**GQA))


def mistral():
    return MistralForCausalLM(MistralConfig(**GQA))


def plain():
    return nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))


FAMILIES = {f.__name__: f for f in (bert, roberta, distilbert, gpt2, llama, qwen2, mistral)}
DECODERS = ("gpt2", "llama", "qwen2", "mistral")
HEADS = {"bert": 4, "roberta": 4, "distilbert": 4, "gpt2": 4, "llama": 2, "qwen2": 2, "mistral": 2}


def make(name: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return (FAMILIES | {"plain": plain})[name]().eval()


def units(model, structure):
    """The neurons or the attention heads of each block."""
    return find_units(find_layout(model), structure)


def sizes(model):
    """How many neurons and attention heads each block has."""
    return measure_blocks(find_layout(model))


def lively(family: str, seed: int = 0):
    """A tiny model in which no bias is 0 and no LayerNorm is neutral: what is cut wrongly shows."""
    return enliven(make(family, seed))


def enliven(model):
    """Give every bias and every norm random numbers, and make all weights but embeddings larger."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) / 2)
            elif "embed" not in name and "wte" not in name:
                parameter.mul_(10)
    return model


def masked(model, removal: Removal):
    """The model with the numbers of each removed neuron and head set to 0, one by one."""
    model = copy.deepcopy(model)
    for kind, gone in (("neuron", removal.neurons), ("head", removal.heads)):
        for group in units(model, kind) if gone else ():
            for unit in gone.get(group.block, ()):
                for name, rows in group.rows.items():
                    layer = model.get_submodule(name)
                    out_in(layer, layer.weight.data)[rows[unit]] = 0
                    if layer.bias is not None:
                        layer.bias.data[rows[unit]] = 0
                for name, columns in group.columns.items():
                    layer = model.get_submodule(name)
                    out_in(layer, layer.weight.data)[:, columns[unit]] = 0
    return model


def without_incoming_weights(model, removal: Removal):
    """What the lecture calls pruned: the weights that lead into a unit are 0, its biases and columns stay."""
    model = copy.deepcopy(model)
    for kind, gone in (("neuron", removal.neurons), ("head", removal.heads)):
        for group in units(model, kind) if gone else ():
            for name, rows in group.rows.items():
                layer = model.get_submodule(name)
                out_in(layer, layer.weight.data)[rows[list(gone.get(group.block, ()))].flatten()] = 0
    return model


def batch():
    torch.manual_seed(1)
    mask = torch.tensor([[1] * 7, [1] * 4 + [0] * 3])
    return {"input_ids": torch.randint(3, 64, (2, 7)), "attention_mask": mask}


@torch.no_grad()
def logits(model):
    real = batch()["attention_mask"].bool()
    given = model(**batch()).logits
    return given[real] if given.dim() == 3 else given


def all_heads(family: str, block: int = 0) -> Removal:
    return Removal(heads={block: range(HEADS[family])})
