"""Decoders with norms of queries and keys, soft caps and windows as their papers define them.

They are in float64, and nothing is folded, as in `decoder_definitions`.
"""

from __future__ import annotations

import numpy as np
from decoder_definitions import Config, Decoder, Rows, activated, defined_by, rms, turned
from rope_definitions import angles_of

GEMMAS = "gemma2", "gemma3_text"


class Normed(Decoder):
    """Qwen3, OLMo 2, Gemma 2, and Gemma 3; windows of Mistral, Qwen2, SmolLM3 and Phi-3."""

    @property
    def kind(self) -> str:
        found: str = self.c["model_type"]
        return found

    def norm(self, x: Rows, name: str) -> Rows:
        return rms(x, self.w[f"{name}.weight"] + (self.kind in GEMMAS), self.c["rms_norm_eps"])

    def window(self, i: int) -> int | None:
        """Return the window of a layer; None if it sees all."""
        c = self.c
        if "layer_types" in c:
            slides = c["layer_types"][i] == "sliding_attention"
        elif self.kind == "gemma3_text":
            slides = (i + 1) % c["sliding_window_pattern"] > 0
        else:
            slides = {
                "gemma2": i % 2 == 0,
                "mistral": True,
                "qwen2": i >= c.get("max_window_layers", 28),
                "smollm3": not c.get("no_rope_layers", [1] * (i + 1))[i],
            }.get(self.kind, False)
        if self.kind.startswith(("qwen", "smollm")) and not c.get("use_sliding_window"):
            return None
        return c.get("sliding_window") if slides else None

    def angles(self, i: int) -> tuple[list[float], float]:
        if self.kind != "gemma3_text":
            return angles_of(self.c, self.size)
        local, told = self.window(i) is not None, self.c.get("rope_parameters")
        if told:
            told = told["sliding_attention" if local else "full_attention"]
        elif local:
            told = {"rope_theta": self.c["rope_local_base_freq"]}
        else:
            told = self.c["rope_scaling"] | {"rope_theta": self.c["rope_theta"]}
        return angles_of({"model_type": self.kind, "rope_parameters": told}, self.size)

    def attention(self, y: Rows, i: int) -> Rows:
        at = f"layers.{i}.self_attn"
        q, k, v = (self.product(y, f"{at}.{part}_proj") for part in "qkv")
        if self.kind == "olmo2":
            q, k = self.norm(q, f"{at}.q_norm"), self.norm(k, f"{at}.k_norm")
        q, k, v = (self.split(x) for x in (q, k, v))
        if self.kind in ("qwen3", "gemma3_text"):
            q, k = self.norm(q, f"{at}.q_norm"), self.norm(k, f"{at}.k_norm")
        if self.c.get("no_rope_layers", [1] * (i + 1))[i]:
            q, k = (turned(x, *self.angles(i)) for x in (q, k))
        return self.product(self.attended(q, k, v, self.window(i)), f"{at}.o_proj")

    def attended(self, q: Rows, k: Rows, v: Rows, window: int | None) -> Rows:
        """Row by row: the keys that a row sees are cut out of all keys."""
        divisor = self.c.get("query_pre_attn_scalar", self.size) ** 0.5
        cap, group = self.c.get("attn_logit_softcapping"), q.shape[1] // k.shape[1]
        out = np.empty_like(q)
        for row in range(len(q)):
            first = 0 if window is None else max(0, row + 1 - window)
            for h in range(q.shape[1]):
                scores = k[first : row + 1, h // group] @ q[row, h] / divisor
                if cap:
                    scores = cap * np.tanh(scores / cap)
                weights = np.exp(scores - scores.max())
                out[row, h] = weights @ v[first : row + 1, h // group] / weights.sum()
        return out.reshape(len(q), -1)

    def hidden(self, y: Rows, i: int) -> Rows:
        at, act = f"layers.{i}.mlp", "gelu_tanh" if self.kind in GEMMAS else "silu"
        gate, up = (self.product(y, f"{at}.{part}_proj") for part in ("gate", "up"))
        return self.product(activated(act, gate) * up, f"{at}.down_proj")

    def layer(self, x: Rows, i: int) -> Rows:
        at = f"layers.{i}"
        behind = f"{at}.post_attention_layernorm", f"{at}.post_feedforward_layernorm"
        if self.kind == "olmo2":
            x = x + self.norm(self.attention(x, i), behind[0])
            return x + self.norm(self.hidden(x, i), behind[1])
        y = self.attention(self.norm(x, f"{at}.input_layernorm"), i)
        if self.kind not in GEMMAS:
            x = x + y
            return x + self.hidden(self.norm(x, behind[0]), i)
        x = x + self.norm(y, behind[0])
        y = self.hidden(self.norm(x, f"{at}.pre_feedforward_layernorm"), i)
        return x + self.norm(y, behind[1])

    def logits(self, ids: list[int]) -> Rows:
        x = self.w["embed_tokens.weight"][ids]
        x = x * (self.c["hidden_size"] ** 0.5 if self.kind in GEMMAS else 1.0)
        for i in range(self.c["num_hidden_layers"]):
            x = self.layer(x, i)
        head = self.w.get("lm_head.weight", self.w["embed_tokens.weight"])
        found, cap = self.norm(x, "norm") @ head.T, self.c.get("final_logit_softcapping")
        return cap * np.tanh(found / cap) if cap else found


KINDS = ("mistral", "qwen2", "qwen3", "olmo2", "smollm3", *GEMMAS)


def defined(stored: dict[str, Rows], c: Config, ids: list[int]) -> Rows:
    """Return the logits [positions, vocabulary] of a text, for all kinds."""
    if c["model_type"] in KINDS:
        return Normed(stored, c, "model.").logits(ids)
    return defined_by(stored, c, ids)
