import json

import pytest
import torch
from helpers.models import make
from safetensors.torch import save_file
from torch import nn

from pruning_course import MagnitudePruner, Masks, StructuredPruner, sparsity_report
from pruning_course.report import multiply_adds


def test_two_shares_and_what_was_left_out():
    model = make("bert")
    pruner = MagnitudePruner(model, 0.5, prune_layers="ffn")
    report = sparsity_report(model, pruner.prune())
    weights = 2 * 2 * 16 * 24
    parameters = sum(p.numel() for p in model.parameters())
    assert (report.masked, report.pruned, report.parameters) == (weights, weights // 2, parameters)
    assert report.selected == 0.5
    assert report.of_all == weights / 2 / parameters
    assert report.left_out["classifier"][1] == "excluded"
    assert len(report.left_out) == 10 + 3  # and three embeddings
    json.dumps(report.to_dict())
    assert "50.0% of the 1,536 masked weights" in str(report)


def test_a_tied_layer_is_left_out_with_its_reason():
    model = make("gpt2")
    report = sparsity_report(model, MagnitudePruner(model, 0.5).prune())
    reasons = {name: reason for name, (_, reason) in report.left_out.items()}
    assert reasons == {
        "transformer.wte": "embedding",
        "transformer.wpe": "embedding",
        "lm_head": "tied to transformer.wte.weight",
    }
    assert report.left_out["transformer.wte"][0] == 64 * 16 / report.parameters


def test_bytes_are_those_of_a_real_file(tmp_path):
    model = nn.Sequential(nn.Linear(64, 32), nn.Linear(32, 8)).bfloat16()
    masks = MagnitudePruner(model, 0.9).prune()
    report = sparsity_report(model, masks)
    save_file(model.state_dict(), tmp_path / "dense")
    header = int.from_bytes((tmp_path / "dense").read_bytes()[:8], "little") + 8
    assert report.bytes_dense == (tmp_path / "dense").stat().st_size - header
    csr = 0
    for module in model:
        matrix = module.weight.detach().float().to_sparse_csr()
        csr += matrix.values().numel() * (2 + 4) + matrix.crow_indices().numel() * 4 + module.bias.nbytes
    assert report.bytes_csr == csr
    assert report.bytes_shrunk <= report.bytes_dense


def test_shrunk_bytes_count_whole_rows_and_columns():
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    gone = torch.tensor([True, False, True, True, False, True])
    keep = {"0": gone[:, None].expand(6, 4).clone(), "0.bias": gone.clone(), "2": gone.expand(2, 6).clone()}
    report = sparsity_report(model, Masks.apply(model, keep))
    assert report.bytes_shrunk == 4 * (4 * 4 + 4 + 2 * 4 + 2)
    del keep["0.bias"]  # a row that still gives out its bias cannot be cut
    report = sparsity_report(model, keep)
    assert report.bytes_shrunk == 4 * (6 * 4 + 6 + 2 * 4 + 2)


def test_masks_of_another_model_are_refused():
    model = make("plain")
    with pytest.raises(ValueError, match="no parameter to mask"):
        sparsity_report(model, {"7": torch.ones(2, 2, dtype=torch.bool)})
    with pytest.raises(ValueError, match=r"is \(2, 2\), its weight is \(6, 8\)"):
        sparsity_report(model, {"0": torch.ones(2, 2, dtype=torch.bool)})


def test_multiply_adds_are_the_products_of_the_shapes():
    assert multiply_adds(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)), torch.rand(5, 4)) == 5 * 36
    model = make("bert").train()
    batch = {"input_ids": torch.ones(3, 7, dtype=torch.long), "attention_mask": torch.ones(3, 7, dtype=torch.long)}
    attention = 4 * 16 * 16 + 2 * 7 * 16  # a token: four projections, and the scores and means over 7 tokens
    rest = 16 * 16 + 16 * 3  # a text: pooler and classifier
    dense = 3 * (7 * 2 * (attention + 2 * 16 * 24) + rest)
    assert multiply_adds(model, batch) == dense
    assert model.training and all(parameter.grad is None for parameter in model.parameters())
    pruner = StructuredPruner(model, 0.5)
    pruner.prune()
    assert multiply_adds(model, batch) == dense  # zeros are multiplied
    assert multiply_adds(pruner.shrink(), batch) == dense - 3 * 7 * 2 * 2 * 16 * 12
