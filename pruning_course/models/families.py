"""Everything that differs between families of transformers: the names of their parts and of the sizes of these."""

from dataclasses import dataclass

ROLES = ("all", "attention", "ffn", "encoder")


@dataclass(frozen=True)
class Family:
    """One family of transformers; names of layers are relative to a block."""

    model_types: tuple[str, ...]  # `config.model_type`, as transformers writes it
    blocks: str  # path of the list of blocks, inside the base model
    qkv: tuple[str, ...]  # projections into the attention heads; one name if the three are fused
    attention_output: str
    ffn_in: tuple[str, ...]  # the gate first, if there is one
    ffn_out: str
    activation: str  # applied to the output of the first of `ffn_in`
    # What changes with the size of a block: names of attributes of the attention, and of the config.
    heads: tuple[str, ...] = ()  # the number of attention heads (of queries)
    width: tuple[str, ...] = ()  # the number of outputs of all of them together
    ffn_width: str = "intermediate_size"
    has_head_dim: bool = False  # whether the config can state the size of a head, and so a smaller number of heads

    @property
    def attention(self) -> tuple[str, ...]:
        return (*self.qkv, self.attention_output)

    @property
    def ffn(self) -> tuple[str, ...]:
        return (*self.ffn_in, self.ffn_out)


BERT = Family(
    model_types=("bert", "roberta"),
    blocks="encoder.layer",
    qkv=("attention.self.query", "attention.self.key", "attention.self.value"),
    attention_output="attention.output.dense",
    ffn_in=("intermediate.dense",),
    ffn_out="output.dense",
    activation="intermediate.intermediate_act_fn",
    heads=("num_attention_heads",),
    width=("all_head_size",),
)
FAMILIES = (
    BERT,
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
        model_types=("llama", "qwen2", "mistral"),
        blocks="layers",
        qkv=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        attention_output="self_attn.o_proj",
        ffn_in=("mlp.gate_proj", "mlp.up_proj"),
        ffn_out="mlp.down_proj",
        activation="mlp.act_fn",
        has_head_dim=True,
    ),
)
KNOWN = ", ".join(model_type for family in FAMILIES for model_type in family.model_types)
