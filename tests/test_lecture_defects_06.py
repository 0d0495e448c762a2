"""The lecture's claims about structured pruning that are wrong; see test_lecture_defects.py."""

import copy
import logging

import pytest
import torch
from helpers.models import batch, lively, logits, make, units
from safetensors.torch import save_file
from torch import nn
from transformers import BertConfig, BertModel

from pruning_course import MagnitudePruner, Removal, StructuredPruner, keep_n_of_m, keep_per_row, shrink
from pruning_course.lab.storage import count_bytes, csr

logging.getLogger("transformers").setLevel(logging.ERROR)
MATRIX = torch.tensor([[0.5, 0.3, 0.8, 0.2], [0.1, 0.7, 0.4, 0.9], [0.6, 0.2, 0.5, 0.3], [0.8, 0.4, 0.1, 0.7]])


def the_lectures_way(model, block: int, head: int) -> None:
    """Query, key and value weights of a head set to 0, and nothing else."""
    attention = model.bert.encoder.layer[block].attention.self
    for layer in (attention.query, attention.key, attention.value):
        layer.weight.data[4 * head : 4 * head + 4] = 0


def test_S11_a_head_without_weights_still_gives_its_biases():
    dense = lively("bert")
    lecture, ours = copy.deepcopy(dense), copy.deepcopy(dense)
    the_lectures_way(lecture, 0, 1)
    assert lecture.num_parameters() == dense.num_parameters()  # "actually smaller"
    shrink(ours, Removal(heads={0: [1]}))
    assert (logits(lecture) - logits(ours)).abs().max() > 1e-3
    pruner = StructuredPruner(dense, 0.25, structure="head")
    masks = pruner.prune()
    assert not masks["bert.encoder.layer.0.attention.self.value.bias"].all()
    masked = logits(dense)
    assert (logits(pruner.shrink()) - masked).abs().max() <= 1e-5
    # What the lecture's head still gives can be had from a smaller model too.
    wanted = logits(lecture)
    assert (logits(shrink(lecture, Removal(heads={0: [1]}), fold=True)) - wanted).abs().max() <= 1e-5


def test_S11_a_weak_query_is_not_a_weak_head():
    model = lively("bert")
    for block in model.bert.encoder.layer:
        block.attention.self.query.weight.data[:4] /= 10  # head 0: the smallest query,
        block.attention.self.value.weight.data[:4] *= 10  # and the largest value
        norms = block.attention.self.query.weight.view(4, -1).norm(dim=1)
        assert norms.argmin() == 0
    pruner = StructuredPruner(model, 0.25, structure="head")
    pruner.prune()
    assert all(0 not in heads for heads in pruner.removal.heads.values())


def test_S11_a_share_is_rounded_and_not_cut():
    assert int(12 * 0.3) == 3 and round(12 * 0.3) == 4
    model = BertModel(BertConfig(hidden_size=24, num_attention_heads=12, num_hidden_layers=1, intermediate_size=8))
    pruner = StructuredPruner(model, 0.3, structure="head")
    pruner.prune()
    assert len(pruner.removal.heads[0]) == 4


def test_S11_neurons_and_layers_can_go_as_well():
    for structure, parameters in (("neuron", 2 * 12 * 33), ("layer", 4 * 16 * 17 + 2 * 16 * 24 + 24 + 16 + 4 * 16)):
        model = make("bert")
        before = model.num_parameters()
        pruner = StructuredPruner(model, 0.5, structure=structure)
        pruner.prune()
        assert before - pruner.shrink().num_parameters() == parameters
        model(**batch())


def test_S16_what_is_cut_saves_bytes_but_not_half_of_bert(tmp_path):
    model = make("bert")
    pruner = StructuredPruner(model, 0.5)
    save_file(model.state_dict(), tmp_path / "dense")
    pruner.prune()
    save_file(model.state_dict(), tmp_path / "masked")
    save_file(pruner.shrink().state_dict(), tmp_path / "shrunk")
    dense, masked, shrunk = ((tmp_path / name).stat().st_size for name in ("dense", "masked", "shrunk"))
    assert masked == dense and dense - shrunk >= 4 * 2 * 12 * 33

    with torch.device("meta"):
        base = BertModel(BertConfig())
    assert base.num_parameters() == 109_482_240
    half = {block: range(1536) for block in range(12)}
    heads = {block: range(6) for block in range(12)}
    shrink(base, Removal(neurons=half, heads=heads))  # half of every block ...
    assert base.num_parameters() == pytest.approx(67_000_000, rel=0.01)  # ... is not "110M -> 55M"


def test_S20_two_of_four_has_a_shape_and_half_the_weights_have_not():
    scores = {"": torch.rand(8, 16)}
    two_of_four = keep_n_of_m(scores)[""]
    assert (two_of_four.view(8, 4, 4).sum(-1) == 2).all()  # so hardware can store it as (8, 8) and 2 bits for each
    assert scores[""][two_of_four].view(8, 8).shape == (8, 8)
    half = keep_per_row(scores, 0.5)[""]
    assert half.sum() == two_of_four.sum() and not (half.view(8, 4, 4).sum(-1) == 2).all()


def test_S20_csr_is_smaller_from_half_or_from_two_thirds_of_zeros_on():
    def share(sparsity: float, index: torch.dtype) -> float:
        layer = nn.Linear(300, 600, bias=False)
        MagnitudePruner(layer, sparsity).prune()
        return count_bytes(csr(layer.weight.detach(), index)) / layer.weight.nbytes

    for index, even in ((torch.int32, 1 / 2), (torch.int64, 2 / 3)):  # 8 and 12 bytes a non-zero, 4 a dense weight
        assert share(even - 0.02, index) > 1 > share(even + 0.02, index)


def test_S24_the_picture_drops_the_largest_column():
    squares = MATRIX.square().sum(0)
    assert squares.tolist() == pytest.approx([1.26, 0.78, 1.06, 1.43])
    assert squares.argsort()[:2].tolist() == [1, 2]  # the picture drops 1 and 3


def test_S24_a_neuron_is_a_row_of_one_matrix_and_a_column_of_the_next():
    """The matrix leads into four neurons: taking columns away changes what it reads, not how many neurons there are."""
    first, second = nn.Linear(4, 4, bias=False), nn.Linear(4, 2, bias=False)
    first.weight.data = MATRIX.clone()
    assert nn.functional.linear(torch.rand(1, 2), first.weight[:, [0, 2]]).shape == (1, 4)
    inputs, kept = torch.rand(3, 4), [0, 2]
    with torch.no_grad():
        hidden = first(inputs).relu()
        hidden[:, [1, 3]] = 0
        smaller = nn.functional.linear(inputs, first.weight[kept]).relu()
        assert torch.allclose(nn.functional.linear(smaller, second.weight[:, kept]), second(hidden))
    group = units(make("bert"), "neuron")[0]
    assert [*group.rows] == ["bert.encoder.layer.0.intermediate.dense"]
    assert [*group.columns] == ["bert.encoder.layer.0.output.dense"]
