"""Everything that differs between families of transformers: the names of their parts and of the sizes of these."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

ROLES = ("all", "attention", "ffn", "encoder")
STRUCTURES = {"neuron": "neurons", "head": "attention heads", "layer": "layers"}  # what can be cut out, in messages


@dataclass(frozen=True)
class Family:
    """One family of transformers; names of layers are relative to a block."""

    model_types: tuple[str, ...]  # `config.model_type`, as transformers writes it
    blocks: str  # path of the list of blocks, inside the base model
    qkv: tuple[str, ...]  # projections into the attention heads; one name if the three are fused
    attention_output: str
    ffn_in: tuple[str, ...]  # the part with the activation first, if there are two; one name if the two are fused
    ffn_out: str
    activation: str  # applied to the output of the first of `ffn_in`
    positions: tuple[str, ...] = ()  # further projections into the attention heads, which only some models have
    # What changes with the size of a block: names of attributes of the attention, and of the config.
    heads: tuple[str, ...] = ()  # the number of attention heads (of queries)
    width: tuple[str, ...] = ()  # the number of outputs of all of them together
    ffn_width: str = "intermediate_size"
    has_head_dim: bool = False  # whether the config can state the size of a head, and so a smaller number of heads
    uncut: Mapping[str, str] = field(default_factory=dict)  # structure to the reason why it cannot be cut out

    @property
    def attention(self) -> tuple[str, ...]:
        return (*self.qkv, *self.positions, self.attention_output)

    @property
    def ffn(self) -> tuple[str, ...]:
        return (*self.ffn_in, self.ffn_out)


BERT = Family(
    model_types=("bert", "roberta", "xlm-roberta", "camembert", "electra"),
    blocks="encoder.layer",
    qkv=("attention.self.query", "attention.self.key", "attention.self.value"),
    attention_output="attention.output.dense",
    ffn_in=("intermediate.dense",),
    ffn_out="output.dense",
    activation="intermediate.intermediate_act_fn",
    heads=("num_attention_heads",),
    width=("all_head_size",),
)
LLAMA = Family(
    model_types=("llama", "mistral", "qwen2", "qwen3", "smollm3", "granite", "gemma2", "gemma3_text"),
    blocks="layers",
    qkv=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    attention_output="self_attn.o_proj",
    ffn_in=("mlp.gate_proj", "mlp.up_proj"),
    ffn_out="mlp.down_proj",
    activation="mlp.act_fn",
    has_head_dim=True,
)
FAMILIES = (
    BERT,
    replace(
        BERT,
        model_types=("mpnet",),
        qkv=("attention.attn.q", "attention.attn.k", "attention.attn.v"),
        attention_output="attention.attn.o",
        uncut={"head": "the attention heads of all layers share one table of position biases"},
    ),
    replace(
        BERT,
        model_types=("deberta-v2",),
        qkv=("attention.self.query_proj", "attention.self.key_proj", "attention.self.value_proj"),
        positions=("attention.self.pos_key_proj", "attention.self.pos_query_proj"),
    ),
    replace(  # in transformers 4
        BERT,
        model_types=("vit", "deit"),
        qkv=("attention.attention.query", "attention.attention.key", "attention.attention.value"),
    ),
    Family(
        model_types=("vit", "deit"),
        blocks="layers",
        qkv=("attention.q_proj", "attention.k_proj", "attention.v_proj"),
        attention_output="attention.o_proj",
        ffn_in=("mlp.fc1",),
        ffn_out="mlp.fc2",
        activation="mlp.activation_fn",
        heads=("num_attention_heads",),
    ),
    Family(
        model_types=("distilbert",),
        blocks="transformer.layer",
        qkv=("attention.q_lin", "attention.k_lin", "attention.v_lin"),
        attention_output="attention.out_lin",
        ffn_in=("ffn.lin1",),
        ffn_out="ffn.lin2",
        activation="ffn.activation",
        heads=("n_heads",),
        width=("dim",),
        ffn_width="hidden_dim",
    ),
    Family(
        model_types=("modernbert",),
        blocks="layers",
        qkv=("attn.Wqkv",),
        attention_output="attn.Wo",
        ffn_in=("mlp.Wi",),
        ffn_out="mlp.Wo",
        activation="mlp.act",
        heads=("num_heads",),
        width=("all_head_size",),
        uncut={"layer": "the first layer differs from the others, and each layer's attention depends on its number"},
    ),
    Family(
        model_types=("albert",),
        blocks="encoder.albert_layer_groups",
        qkv=tuple(f"albert_layers.0.attention.{name}" for name in ("query", "key", "value")),
        attention_output="albert_layers.0.attention.dense",
        ffn_in=("albert_layers.0.ffn",),
        ffn_out="albert_layers.0.ffn_output",
        activation="albert_layers.0.activation",
        uncut=dict.fromkeys(STRUCTURES, "all its layers share one set of weights"),
    ),
    Family(
        model_types=("gpt2",),
        blocks="h",
        qkv=("attn.c_attn",),
        attention_output="attn.c_proj",
        ffn_in=("mlp.c_fc",),
        ffn_out="mlp.c_proj",
        activation="mlp.act",
        heads=("num_heads",),
        width=("split_size",),
        ffn_width="n_inner",
    ),
    Family(
        model_types=("opt",),
        blocks="decoder.layers",
        qkv=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        attention_output="self_attn.out_proj",
        ffn_in=("fc1",),
        ffn_out="fc2",
        activation="activation_fn",
        heads=("num_heads",),
        width=("embed_dim",),
        ffn_width="ffn_dim",
    ),
    LLAMA,
    replace(
        LLAMA,
        model_types=("phi3",),
        qkv=("self_attn.qkv_proj",),
        ffn_in=("mlp.gate_up_proj",),
        activation="mlp.activation_fn",
        uncut={"head": "every layer reads its number of attention heads from the config, which has one for all layers"},
    ),
)
KNOWN = ", ".join(dict.fromkeys(model_type for family in FAMILIES for model_type in family.model_types))
