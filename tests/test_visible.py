"""Models whose weights are not there, or whose code calls no hooks: each works, or is refused before any work."""

import logging

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


def measurements(model):
    layers = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
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
