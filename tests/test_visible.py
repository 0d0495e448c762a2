"""Models whose weights are not there, or whose code calls no hooks: each works, or is refused before any work."""

import logging
from types import SimpleNamespace

import pytest
import torch
from accelerate import cpu_offload
from helpers.calibration import brute_force, close, texts
from helpers.models import make
from torch import distributed, nn
from torch.distributed.fsdp import fully_shard

from pruning_course import StructuredPruner, WandaPruner, input_norms
from pruning_course.models import check_visible

logging.getLogger("transformers").setLevel(logging.ERROR)
BATCHES = [texts([7, 3, 5])]


def linears(model):
    return {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}


def measurements(model):
    layers = linears(model)
    wanda = WandaPruner(make("llama"), sequential=True)
    wanda.model, wanda.layers = model, layers
    yield lambda: input_norms(model, layers, BATCHES, 3)
    yield lambda: wanda.calibrate(BATCHES, 3).prune()
    for options in ({"structure": "head", "importance": "gradient"}, {"structure": "layer", "importance": "influence"}):
        pruner = StructuredPruner(make("llama"), 0.5, **options)
        pruner.model = model
        yield lambda pruner=pruner: pruner.calibrate(BATCHES, 3)


def refused(model, message):
    before = [(dict(module._forward_pre_hooks), dict(module._forward_hooks)) for module in model.modules()]
    for measure in measurements(model):
        with pytest.raises(ValueError, match=message):
            measure()
    assert [(module._forward_pre_hooks, module._forward_hooks) for module in model.modules()] == before


def test_weights_on_the_meta_device():
    message = "model.embed_tokens.weight is on the meta device, so it has no values here"
    refused(make("llama").to("meta"), message)
    refused(cpu_offload(make("llama"), torch.device("cpu")), message)


def test_sharded_weights():
    distributed.init_process_group("gloo", rank=0, world_size=1, store=distributed.HashStore())
    try:
        mesh = distributed.init_device_mesh("cpu", (1,))
        refused(fully_shard(make("llama"), mesh=mesh), "model.embed_tokens.weight is sharded over several processes")
    finally:
        distributed.destroy_process_group()


def test_lazy_weights():
    with pytest.raises(ValueError, match="weight belongs to a lazy layer without values"):
        check_visible(nn.Sequential(nn.LazyLinear(3)))
    check_visible(make("bert"))


def whole(model):
    return torch.compile(model, backend="eager", fullgraph=True)


def in_place(model):
    model.compile(backend="eager")
    return model


def one_block(model):
    model.bert.encoder.layer[1] = torch.compile(model.bert.encoder.layer[1], backend="eager")
    return model


@pytest.mark.parametrize("compiled", [whole, in_place, one_block])
@pytest.mark.parametrize("sequential", [False, True])
def test_a_compiled_model_runs_as_it_was_written(compiled, sequential):
    model = compiled(make("bert"))
    model(**BATCHES[0])
    batch = {"idx": torch.arange(3), **BATCHES[0]}
    plain = WandaPruner(make("bert"), sequential=sequential).calibrate(BATCHES, 3)
    pruner = WandaPruner(model, sequential=sequential).calibrate([batch], 3)
    if not sequential:
        norms = {name.replace("_orig_mod.", ""): norm for name, norm in pruner.norms.items()}
        close(norms, brute_force(plain.model, plain.layers, BATCHES))
    for name, mask in pruner.prune().items():
        assert torch.equal(mask, (plain.masks or plain.prune())[name.replace("_orig_mod.", "")])
    pruner.undo()
    torch.testing.assert_close(model(**BATCHES[0]).logits, make("bert")(**BATCHES[0]).logits)


class Hidden(nn.Module):
    """A body without a family."""

    def forward(self, input_ids, attention_mask):
        return SimpleNamespace(last_hidden_state=nn.functional.one_hot(input_ids % 16, 16).float())


class WithAdapters(nn.Module):
    """Has a list of its own that is called as the list of blocks of a LLaMA."""

    def __init__(self, family):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(16, 16) for _ in range(2)])
        self.inner = make(family).base_model

    def forward(self, input_ids, attention_mask):
        hidden = self.inner(input_ids, attention_mask=attention_mask).last_hidden_state
        return self.layers[1](self.layers[0](hidden))


def test_a_list_of_the_same_name_is_not_taken_for_the_blocks():
    model = WithAdapters("llama")
    pruner = WandaPruner(model, sequential=True, batch_tokens=10).calibrate(BATCHES, 3)
    assert pruner.prune() and pruner.get_sparsity()["overall"] == 0.5
    pruner = StructuredPruner(WithAdapters("llama"), 0.5, structure="layer", importance="influence")
    pruner.calibrate(BATCHES, 3).prune()
    assert len(pruner.shrink().layers) == len(model.layers) and len(pruner.removal.layers) == 1
    model = WithAdapters("llama")
    close(input_norms(model, linears(model), BATCHES, 3), brute_force(model, linears(model), BATCHES))
    # The blocks of a BERT have another name, so there the list is a part of the model as any other.
    pruner = WandaPruner(WithAdapters("bert"), sequential=True, batch_tokens=10).calibrate(BATCHES, 3)
    assert pruner.prune() and pruner.get_sparsity()["overall"] == 0.5
    plain = WithAdapters("bert")
    plain.inner = Hidden()
    with pytest.raises(ValueError, match="has no blocks of a known family"):
        WandaPruner(plain, sequential=True, batch_tokens=1).calibrate(BATCHES, 3).prune()
