import copy
import json
import logging

import pytest
import torch
from helpers.models import DECODERS, FAMILIES, GQA, HEADS, SMALL, all_heads, lively, logits, make, plain, sizes
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.utils import prune as torch_prune
from transformers import BertConfig, BertForSequenceClassification, LlamaConfig, LlamaForCausalLM

from pruning_course import MagnitudePruner, Masks, Removal, load_pruned, prunable_layers, save_pruned, shrink
from pruning_course.lab.encoder import MeanPooledClassifier

BLOCKS = "bert.encoder.layer"
logging.getLogger("transformers").setLevel(logging.ERROR)


def removal(family: str, case: str) -> Removal:
    return {
        "uneven": Removal(neurons={0: [0, 5, 23], 1: range(3, 20)}, heads={1: [0]}),
        "no heads": all_heads(family),
        "no neurons": Removal(neurons={1: range(24)}),
        "fewer layers": Removal(layers=[0], heads={1: [1]}),
        "nothing left": Removal(neurons={1: range(24)}, heads={1: range(HEADS[family])}, layers=[0]),
        "whole": Removal(),
    }[case]


def saved(folder, family="bert", case="uneven"):
    model = shrink(lively(family), removal(family, case))
    save_pruned(model, folder)
    return model


def rewrite(folder, change):
    tensors = load_file(folder / "model.safetensors")
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def redescribe(folder, **changes):
    path = folder / "pruning.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("case", ["uneven", "no heads", "no neurons", "fewer layers", "nothing left", "whole"])
def test_what_is_loaded_computes_exactly_what_was_saved(family, case, tmp_path):
    model = saved(tmp_path / "model", family, case)
    again = load_pruned(tmp_path / "model")
    assert type(again) is type(model) and sizes(again) == sizes(model)
    assert (logits(again) - logits(model)).abs().max() == 0.0
    assert again.config.to_dict() == model.config.to_dict()
    assert not any(module.training for module in again.modules())
    assert all(parameter.requires_grad for parameter in again.parameters())
    assert not any(tensor.is_meta for tensor in [*again.parameters(), *again.buffers()])


@pytest.mark.parametrize("case", ["uneven", "no heads", "fewer layers"])
@pytest.mark.parametrize("family", DECODERS)
def test_generation_goes_on_alike(family, case, tmp_path):
    model = shrink(lively(family), removal(family, case))
    model.generation_config.max_new_tokens = 6
    model.generation_config.pad_token_id = 3
    save_pruned(model, tmp_path / "model")
    again = load_pruned(tmp_path / "model")
    assert again.generation_config.max_new_tokens == 6
    ids = torch.tensor([[7, 3, 4, 11]])
    assert torch.equal(again.generate(ids, do_sample=False), model.generate(ids, do_sample=False))


def test_it_can_be_shrunk_trained_and_saved_again(tmp_path):
    saved(tmp_path / "once", "llama")
    model = shrink(load_pruned(tmp_path / "once"), Removal(neurons={0: [0]}, layers=[1]))
    model(input_ids=torch.arange(8).view(1, 8), labels=torch.arange(8).view(1, 8)).loss.backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    save_pruned(model, tmp_path / "twice")
    again = load_pruned(tmp_path / "twice")
    assert [(size.neurons, size.heads) for size in sizes(again)] == [(20, 2)]
    assert torch.equal(logits(again), logits(model))


def test_the_folder_says_what_it_holds(tmp_path):
    model = shrink(lively("gpt2"), removal("gpt2", "no heads"))
    layers = prunable_layers(model)
    weight = next(iter(layers.values())).weight.detach()
    weight.view(-1)[: weight.numel() // 2] = 0
    save_pruned(model, tmp_path / "model")
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "pruning.json",
    }
    about = json.loads((tmp_path / "model" / "pruning.json").read_text())
    assert about["format"] == 1
    assert about["class"] == "transformers.models.gpt2.modeling_gpt2.GPT2LMHeadModel"
    assert about["blocks"] == {"transformer.h": [{"neurons": 24, "heads": 0}, {"neurons": 24, "heads": 4}]}
    assert about["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    all_weights = sum(layer.weight.numel() for layer in layers.values()) + model.lm_head.weight.numel()
    assert about["zeros"] == weight.numel() // 2 / all_weights
    assert set(about["versions"]) == {"torch", "transformers"}


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_zeros_of_live_masks_are_saved_and_the_masks_go_on(family, tmp_path):
    model = lively(family)
    pruner = MagnitudePruner(model, 0.5, "encoder")
    masks = pruner.prune().hold(torch.optim.AdamW(model.parameters()))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    save_pruned(model, tmp_path / "model")
    masks.save(tmp_path / "masks.safetensors")
    again = load_pruned(tmp_path / "model")
    assert all(torch.equal(tensor, before[name]) for name, tensor in again.state_dict().items())
    assert torch.equal(logits(again), logits(model))
    assert Masks.load(tmp_path / "masks.safetensors", again).sparsity == masks.sparsity == pytest.approx(0.5, abs=0.01)


def test_S27_a_model_that_torch_still_masks_is_refused(tmp_path):
    """The other half: the lecture saves it, and from_pretrained re-initialises the masked weights without an error."""
    model = make("bert")
    torch_prune.l1_unstructured(model.classifier, "weight", amount=0.5)
    with pytest.raises(ValueError, match=r"still masks classifier\.weight, .* Masks\.from_torch\(model\) first"):
        save_pruned(model, tmp_path / "model")
    assert not list(tmp_path.iterdir())
    Masks.from_torch(model)
    save_pruned(model, tmp_path / "model")
    assert torch.equal(load_pruned(tmp_path / "model").classifier.weight, model.classifier.weight)


@pytest.mark.parametrize("family", FAMILIES)
def test_where_the_config_can_say_it_from_pretrained_loads_it_too(family, tmp_path):
    grouped = family in ("llama", "qwen2", "mistral")
    heads = {0: [1], 1: [0]} if grouped else {}
    model = shrink(lively(family), Removal(neurons={0: [0, 1], 1: [4, 5]}, heads=heads, layers=[0]))
    save_pruned(model, tmp_path / "model")
    for again in (type(model).from_pretrained(tmp_path / "model").eval(), load_pruned(tmp_path / "model")):
        assert sizes(again) == sizes(model)
        assert torch.equal(logits(again), logits(model))


def test_where_it_cannot_from_pretrained_refuses(tmp_path):
    model = saved(tmp_path / "model")
    with pytest.raises((RuntimeError, ValueError)):
        type(model).from_pretrained(tmp_path / "model")


@pytest.mark.parametrize("tied", ["gpt2", "llama"])
def test_tied_weights_are_tied_again_and_stored_once(tied, tmp_path):
    model = make("gpt2")
    if tied == "llama":
        torch.manual_seed(0)
        model = LlamaForCausalLM(LlamaConfig(**GQA | {"tie_word_embeddings": True})).eval()
    shrink(model, Removal(neurons={0: [1]}))
    save_pruned(model, tmp_path / "model")
    assert "lm_head.weight" not in load_file(tmp_path / "model" / "model.safetensors")
    again = load_pruned(tmp_path / "model")
    assert again.lm_head.weight is again.get_input_embeddings().weight
    assert torch.equal(logits(again), logits(model))


def test_what_was_untied_stays_untied(tmp_path):
    model = lively("gpt2")
    model.lm_head.weight = nn.Parameter(torch.randn(64, 16))
    save_pruned(model, tmp_path / "model")
    again = load_pruned(tmp_path / "model")
    assert torch.equal(again.lm_head.weight, model.lm_head.weight)
    assert torch.equal(again.transformer.wte.weight, model.transformer.wte.weight)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_cast_to_half_comes_back_as_it_was(family, tmp_path):
    model = shrink(lively(family), removal(family, "uneven")).to(torch.bfloat16)
    save_pruned(model, tmp_path / "model")
    again = load_pruned(tmp_path / "model")
    assert {parameter.dtype for parameter in again.parameters()} == {torch.bfloat16}
    for name, buffer in model.named_buffers():  # a cast rounds the frequencies of the positions as well
        assert torch.equal(again.get_buffer(name), buffer) and again.get_buffer(name).dtype == buffer.dtype
    assert torch.equal(logits(again), logits(model))


def test_mixed_dtypes_each_keep_their_own(tmp_path):
    model = lively("llama").to(torch.bfloat16)
    model.model.norm.float()
    model.lm_head.float()
    model.model.rotary_emb.inv_freq = copy.deepcopy(make("llama").model.rotary_emb.inv_freq)
    save_pruned(model, tmp_path / "model")
    again = load_pruned(tmp_path / "model")
    assert again.model.rotary_emb.inv_freq.dtype == torch.float32
    for name, parameter in model.named_parameters():
        assert again.get_parameter(name).dtype == parameter.dtype, name


def test_weights_are_copies_and_random_numbers_are_left_alone(tmp_path):
    model = saved(tmp_path / "model")
    state = torch.get_rng_state()
    again = load_pruned(tmp_path / "model")
    assert torch.equal(torch.get_rng_state(), state)
    file = tmp_path / "model" / "model.safetensors"
    file.write_bytes(bytes(file.stat().st_size))
    assert torch.equal(logits(again), logits(model))


def test_a_class_that_transformers_does_not_have_is_given(tmp_path):
    model = MeanPooledClassifier(BertConfig(**SMALL, num_labels=3)).eval()
    shrink(model, Removal(neurons={0: [0]}, heads={1: [1]}))
    save_pruned(model, tmp_path / "model")
    with pytest.raises(
        ValueError, match=r"holds a pruning_course\.lab\.encoder\.MeanPooledClassifier, which transformers does not"
    ):
        load_pruned(tmp_path / "model")
    again = load_pruned(tmp_path / "model", model_class=MeanPooledClassifier)
    assert torch.equal(logits(again), logits(model))
    with pytest.raises(ValueError, match=r"The file has a tensor|The file has no tensor"):
        load_pruned(tmp_path / "model", model_class=BertForSequenceClassification)
    for wrong in (nn.Linear, "MeanPooledClassifier"):
        with pytest.raises(TypeError, match="it must be a class of transformers models"):
            load_pruned(tmp_path / "model", model_class=wrong)


@pytest.mark.parametrize("name", ["transformers.pipeline", "transformers.Nothing", "os.system", "my.BertModel"])
def test_nothing_but_a_model_of_transformers_is_found_by_its_name(name, tmp_path):
    saved(tmp_path / "model")
    redescribe(tmp_path / "model", **{"class": name})
    with pytest.raises(ValueError, match=f"holds a {name}, which transformers does not have"):
        load_pruned(tmp_path / "model")


def test_a_folder_is_never_overwritten(tmp_path):
    model = saved(tmp_path / "model")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for name in ("model", "empty", "file"):
        with pytest.raises(FileExistsError, match=f"{name} exists already; a folder is never overwritten"):
            save_pruned(model, tmp_path / name)


def exchanged():
    model = make("bert")
    model.classifier = nn.Linear(16, 5)
    return model


def hidden():
    model = make("llama")
    model.model.extra = nn.Linear(2, 2)
    return model


def miscounted():
    model = make("bert")
    model.config.num_hidden_layers = 3
    return model


@pytest.mark.parametrize(
    ("make_model", "error", "message"),
    [
        (plain, TypeError, "takes a transformers model .* not Sequential"),
        (exchanged, ValueError, r"BertForSequence\w+ could not be loaded .*: The tensor classifier\.\w+ is \(5,.*\(3,"),
        (hidden, ValueError, r"The file has a tensor model\.extra\.(weight \(2, 2\)|bias \(2,\)), which the model"),
        (miscounted, ValueError, r"pruning\.json has 2 blocks and config\.json has 3"),
    ],
)
def test_what_could_not_be_loaded_is_not_saved(make_model, error, message, tmp_path):
    with pytest.raises(error, match=message):
        save_pruned(make_model(), tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_a_save_that_fails_leaves_nothing(tmp_path, monkeypatch):
    model = make("bert")

    def full(folder, **_):
        (folder / "config.json").touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model, "save_pretrained", full)
    with pytest.raises(OSError, match="No space left"):
        save_pruned(model, tmp_path / "model")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["pruning.json", "config.json", "model.safetensors"])
def test_missing_and_damaged_files_are_named(name, tmp_path):
    saved(tmp_path / "model")
    file = tmp_path / "model" / name
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ValueError, match=f"{name} is (damaged|not a valid file of weights)"):
        load_pruned(tmp_path / "model")
    file.unlink()
    with pytest.raises(ValueError, match=f"has no readable file {name}"):
        load_pruned(tmp_path / "model")


def test_a_damaged_generation_config_is_named(tmp_path):
    saved(tmp_path / "model", "gpt2")
    (tmp_path / "model" / "generation_config.json").write_text("{")
    with pytest.raises(ValueError, match=r"generation_config\.json is damaged"):
        load_pruned(tmp_path / "model")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "has format 2, which only a newer pruning_course can read"),
        ({"format": "new"}, "pruning.json is damaged"),
        ({"blocks": {BLOCKS: [{"neurons": -1, "heads": 1}]}}, "pruning.json is damaged"),
        ({"blocks": {BLOCKS: [{"neurons": 3}]}}, "pruning.json is damaged"),
        ({"dtype": "sum"}, "pruning.json is damaged"),
        ({"other_dtypes": {"classifier.bias": "sum"}}, "pruning.json is damaged"),
        ({"blocks": {BLOCKS: [{"neurons": 21, "heads": 4}, {"neurons": 7, "heads": -3}]}}, "pruning.json is damaged"),
        ({"blocks": {BLOCKS: [{"neurons": 24, "heads": 4}]}}, r"pruning\.json has 1 blocks and config\.json has 2"),
        (
            {"blocks": {BLOCKS: [{"neurons": 21, "heads": 4}, {"neurons": 8, "heads": 3}]}},
            r"The tensor bert\.encoder\.layer\.1\.intermediate\.dense\.\w+ is \(7,.* and \(8,",
        ),
    ],
)
def test_a_description_that_does_not_fit_is_refused(changes, message, tmp_path):
    saved(tmp_path / "model")
    redescribe(tmp_path / "model", **changes)
    with pytest.raises(ValueError, match=message):
        load_pruned(tmp_path / "model")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("classifier.bias"), r"The file has no tensor classifier\.bias, which in the model is \(3,\)"),
        (lambda t: t.update(more=torch.zeros(2)), r"The file has a tensor more \(2,\), which the model does not have"),
        (
            lambda t: t.update({"classifier.bias": torch.zeros(4)}),
            r"The tensor classifier\.bias is \(4,\) float32 in the file and \(3,\) float32 in the model",
        ),
        (
            lambda t: t.update({"classifier.bias": torch.zeros(3).half()}),
            r"The tensor classifier\.bias is \(3,\) float16 in the file and \(3,\) float32 in the model",
        ),
    ],
)
def test_every_tensor_must_fit(change, message, tmp_path):
    saved(tmp_path / "model")
    rewrite(tmp_path / "model", change)
    with pytest.raises(ValueError, match=message):
        load_pruned(tmp_path / "model")


def test_it_is_loaded_in_another_dtype_and_on_another_device(tmp_path):
    model = saved(tmp_path / "model", "llama")
    again = load_pruned(tmp_path / "model", device="cpu", dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in again.parameters()} == {torch.bfloat16}
    assert again.model.rotary_emb.inv_freq.dtype == torch.float32  # as after from_pretrained(dtype=...)
    for name, parameter in model.named_parameters():
        assert torch.equal(again.get_parameter(name), parameter.bfloat16())
    assert {p.device.type for p in load_pruned(tmp_path / "model", device="meta").parameters()} == {"meta"}
    with pytest.raises(TypeError, match=r"dtype is torch\.int8; it must be a floating-point dtype"):
        load_pruned(tmp_path / "model", dtype=torch.int8)
