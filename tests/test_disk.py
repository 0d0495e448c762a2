"""A checkpoint is pruned on disk, tensor by tensor."""

import json
import shutil

import pytest
import torch
from helpers.models import make
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from pruning_course import MagnitudePruner, keep_per_row, prune_file, sparsity_report


@pytest.fixture
def folder(tmp_path):
    """A LLaMA in three files with an index, a tokenizer's file, and the same weights in another format."""
    model = make("llama")
    model.save_pretrained(tmp_path / "dense", max_shard_size="6KB")
    (tmp_path / "dense" / "tokenizer.json").write_text("{}")
    (tmp_path / "dense" / "pytorch_model.bin").write_bytes(b"dense")
    assert len(list((tmp_path / "dense").glob("*.safetensors"))) > 2
    return tmp_path / "dense"


@pytest.mark.parametrize("group", ["tensor", "model", "row"])
def test_a_folder_comes_out_as_the_model_pruned_in_memory(folder, tmp_path, group):
    report = prune_file(folder, tmp_path / "pruned", 0.4, group=group)
    assert {p.name for p in (tmp_path / "pruned").iterdir()} == {p.name for p in folder.iterdir()} - {
        "pytorch_model.bin"
    }
    index = "model.safetensors.index.json"
    assert (tmp_path / "pruned" / index).read_text() == (folder / index).read_text()
    pruned = AutoModelForCausalLM.from_pretrained(tmp_path / "pruned")
    model = AutoModelForCausalLM.from_pretrained(folder)
    pruner = MagnitudePruner(model, 0.4, exclude=["lm_head"], global_pruning=group == "model")
    if group == "row":
        pruner._select = keep_per_row
    masks = pruner.prune()
    for (name, expected), found in zip(model.named_parameters(), pruned.parameters(), strict=True):
        assert torch.equal(found, expected), name
    whole = sparsity_report(model, masks)
    assert report.per_layer == {f"{name}.weight": share for name, share in whole.per_layer.items()}
    for field in ("selected", "of_all", "pruned", "masked", "parameters", "bytes_dense", "bytes_csr", "bytes_shrunk"):
        assert getattr(report, field) == getattr(whole, field), field
    reasons = {name: reason for name, (_, reason) in report.left_out.items()}
    assert reasons == {"model.embed_tokens.weight": "embedding", "lm_head.weight": "output layer"}


def test_one_file_keeps_its_metadata_and_everything_that_is_not_pruned(tmp_path):
    torch.manual_seed(0)
    tensors = {
        "a.weight": torch.randn(6, 4).bfloat16(),
        "a.bias": torch.randn(6),
        "b.weight": torch.randn(3, 2, 3, 3).half(),
        "c.weight": torch.randn(4, 4).to(torch.float8_e4m3fn),
        "ids": torch.arange(6).view(2, 3),
        "token_embedding.weight": torch.randn(8, 4),
    }
    save_file(tensors, tmp_path / "in.safetensors", {"format": "pt", "note": "mine"})
    report = prune_file(tmp_path / "in.safetensors", tmp_path / "out.safetensors", 0.5, exclude=["c.*"])
    found = load_file(tmp_path / "out.safetensors")
    assert list(report.per_layer) and report.per_layer == {"a.weight": 0.5, "b.weight": 0.5}
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype and found[name].shape == tensor.shape
        if name in report.per_layer:
            kept = found[name] != 0
            assert torch.equal(found[name][kept], tensor[kept]) and kept.sum() == tensor.numel() / 2
            assert tensor[kept].abs().min() >= tensor[~kept].abs().max()
        else:
            assert torch.equal(found[name].view(torch.uint8), tensor.view(torch.uint8))
    with safe_open(tmp_path / "out.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt", "note": "mine"}
    reasons = {name: reason for name, (_, reason) in report.left_out.items()}
    assert reasons == {
        "c.weight": "excluded",
        "ids": "not a layer that is known",
        "token_embedding.weight": "embedding",
    }
    prune_file(tmp_path / "in.safetensors", tmp_path / "c.safetensors", 0.5, prune_layers=["c.weight"])
    assert (load_file(tmp_path / "c.safetensors")["c.weight"].float() == 0).sum() >= 8
    assert {p.name for p in tmp_path.iterdir()} == {"in.safetensors", "out.safetensors", "c.safetensors"}


def damage(folder):
    file = sorted(folder.glob("*.safetensors"))[1]
    file.write_bytes(file.read_bytes()[:-5])


def spoil(folder):
    file = sorted(folder.glob("*.safetensors"))[0]
    tensors = load_file(file)
    name = next(name for name, tensor in tensors.items() if tensor.dim() == 2 and "embed" not in name)
    tensors[name][0, 0] = float("nan")
    save_file(tensors, file)


@pytest.mark.parametrize(
    ("options", "change", "message"),
    [
        ({"target_sparsity": 1.5}, None, r"target_sparsity is 1\.5; it must be between 0 and 1"),
        ({"group": "layer"}, None, "group is 'layer'; it can be 'tensor', 'row', 'model'"),
        ({"prune_layers": ["*.nothing"]}, None, r"The pattern '\*\.nothing' in prune_layers matches no tensor"),
        ({"exclude": ["x"]}, None, "The pattern 'x' in exclude matches no tensor"),
        ({"prune_layers": ["lm_head.weight"]}, None, "has no tensor to prune; its tensors: "),
        ({}, lambda folder: [file.unlink() for file in folder.glob("model*")], "has neither model.safetensors nor"),
        ({}, damage, "is not a valid safetensors file: it is truncated"),
        ({}, spoil, "NaN"),
    ],
)
def test_what_cannot_be_pruned_is_refused_and_leaves_nothing(folder, tmp_path, options, change, message):
    if change:
        change(folder)
    with pytest.raises(ValueError, match=message):
        prune_file(folder, tmp_path / "pruned", **{"target_sparsity": 0.5, **options})
    assert {path.name for path in tmp_path.iterdir()} == {"dense"}


def test_a_folder_is_never_overwritten_and_a_missing_one_is_named(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "there")
    before = json.loads((tmp_path / "there" / "config.json").read_text())
    with pytest.raises(FileExistsError, match="there exists already"):
        prune_file(folder, tmp_path / "there", 0.5)
    assert json.loads((tmp_path / "there" / "config.json").read_text()) == before
    with pytest.raises(OSError, match="nowhere"):
        prune_file(tmp_path / "nowhere", tmp_path / "pruned", 0.5)
