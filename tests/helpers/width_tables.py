"""The intermediates of each operation: see `tests.helpers.widths`."""

from __future__ import annotations

from tests.helpers.widths import Range, Widths, both, unsigned

PROVED = "2^31 - 1 - 2^(shift - 1)"
T2 = "2 * (isqrt(n) + 1) * 2^10"

def _norm(n: str, first: list[Range], function: str, c: str, t: str) -> tuple[Range, ...]:
    """The intermediates of a norm after its deviation."""
    rounded = "rounding_shift_right(centred * r, k - FRACTION_BITS)"
    low, high = (f"-{c} * 2^30", f"{c} * 2^30") if "65535" in c else (
        f"-{n} * 2^45", f"{n} * (2^15 - 1) * 2^30"
    )  # fmt: skip
    return (
        *first,
        unsigned("inv", "2^30", "divide_and_scale", "r"),
        Range("c[i] * inv", low, high, "divide_and_scale", "centred * r"),
        both("t[i]", t, "divide_and_scale", rounded),
        both("t[i] * gain[i]", PROVED, "divide_and_scale", f"{rounded} * gain"),
        both("y[i]", PROVED, "divide_and_scale", "y"),
    )


SUM = Range(
    "sum(x)", "-n * 2^15", "n * (2^15 - 1)", "centre", "wide.sum(axis=1)"
)  # of a row of int16
SQUARES = unsigned("sum(x^2)", "n * 2^30", "sum_of_squares", "total")
CENTRED = both("c[i]", "(n - 1) * 65535", "centre", "centred")
NORMS = (
    ("n = 512", {"n": 512, "epsilon": 1 << 30, "shift": 1}),
    ("n = 1,024", {"n": 1024, "epsilon": 1 << 30, "shift": 1}),
    ("any", {"n": 8192, "epsilon": 1 << 60, "shift": 1}),
)
NORM_BITS = "The columns of bits are for epsilon up to 2^30 in the first two, and for any instruction in the last."
RAISED = "A * (2^15 - 1) * 2^E"
BIAS = "Z * 2^bias_shift"

LINEAR = "min(2^14 * inputs + B, 2^31 - 1)"
PARTS = (
    both("y[r, n]", PROVED, "embed", "total"),
    unsigned("p * frequencies[i]", "(2^20 - 1) * (2^31 - 1)", "sinusoids", "phase"),
)

KEYS = (
    unsigned("S", "2^14 * keys", "attend", "weight.sum(axis=1)"),
    unsigned("inv", "2^30", "attend", "inverse"),
    unsigned(
        "inv * context_multiplier[h]", "2^30 * (2^31 - 1)", "attend",
        "inverse * context_multiplier[h]",
    ),
    unsigned("m", "2^31 - 1", "attend", "multiplier"),
    Range("acc[i]", "-2^21 * keys", "127 * 2^14 * keys", "attend", "weight @ v[keys][:, seen]"),
    Range(
        "acc[i] * m", "-2^21 * keys * (2^31 - 1)", "127 * 2^14 * keys * (2^31 - 1)",
        "attend", "(weight @ v[keys][:, seen]) * multiplier",
    ),
)  # fmt: skip
ATTENTION = (
    ("d = 64, keys = 256", {"d": 64, "keys": 256, "a": 0, "R": 0, "b": 1 << 20, "score_shift": 1}),
    (
        "any",
        {"d": 512, "keys": 1024, "a": 2**31 - 1 - 2**23, "R": 2**31 - 1 - 2**24,
         "b": 2**31 - 1 - 2**23 - 2**15, "score_shift": 1},
    ),
)  # fmt: skip
SCORE = "-127 * 2^7 * d", "2^14 * d"

WIDTHS: dict[str, Widths] = {
    "embed": Widths(PARTS, (("any", {"shift": 1}),)),
    "linear": Widths(
        (
            Range("x * weight", "-127 * 2^7", "2^14", "linear", "x[:, :1] * weight[:, 0].astype('q')"),
            both("acc[r, n]", LINEAR, "linear", "acc"),
            both(
                "acc * multiplier", f"{LINEAR} * (2^15 - 1)", "linear",
                "acc * (1 if multiplier is None else multiplier)",
            ),
        ),
        (
            ("inputs = 512, B = 2^20", {"inputs": 512, "B": 1 << 20}),
            ("inputs = 2,048, B = 2^20", {"inputs": 2048, "B": 1 << 20}),
            ("any", {"inputs": 1 << 20, "B": 1 << 40}),
        ),
        "B is max |bias| * 2^bias_shift.",
    ),
    "requantize": Widths(
        (
            Range(
                "x * multiplier", "-2^31 * (2^15 - 1)", "(2^31 - 1) * (2^15 - 1)",
                "requantize", "x.astype('q') * multiplier",
            ),
        )
    ),
    "narrow": Widths(
        (
            Range(
                "x * multiplier", "-2^15 * (2^15 - 1)", "(2^15 - 1)^2",
                "narrow", "x.astype('q') * multiplier",
            ),
        )
    ),
    "rescale": Widths(
        (
            Range("y[r, n]", "-2^15", "2^15 - 1", "rescale", "y"),
            unsigned("max(abs(y))", "2^15", "rescale", "np.abs(y).max(axis=1)"),
            unsigned("exponent[r]", "9", "rescale", "exponent"),
        )
    ),
    "match_add": Widths(
        (
            Range(
                "a * a_multiplier", "-A * (2^15 - 1)", "(A - 1) * (2^15 - 1)",
                "match_add", "a.astype('q') * a_multiplier",
            ),
            Range(
                "a * a_multiplier * 2^exponent", f"-{RAISED}", "(A - 1) * (2^15 - 1) * 2^E",
                "match_add", "products",
            ),
            Range(
                "b * b_multiplier * 2^b_shift", "-C * (2^15 - 1) * 2^b_shift",
                "(C - 1) * (2^15 - 1) * 2^b_shift",
                "match_add", "(b.astype('q') * b_multiplier) << b_shift",
            ),
            Range(
                "total", f"-{RAISED} - C * (2^15 - 1) * 2^b_shift - {BIAS}",
                f"(A - 1) * (2^15 - 1) * 2^E + (C - 1) * (2^15 - 1) * 2^b_shift + {BIAS}",
                "match_add", "total",
            ),
        ),
        (
            ("int16 and int16, b_shift = 0", {"A": 1 << 15, "C": 1 << 15, "E": 0, "Z": 0,
                                              "b_shift": 0, "bias_shift": 0}),
            ("int32 and int16, b_shift = 4", {"A": 1 << 31, "C": 1 << 15, "E": 0, "Z": 0,
                                              "b_shift": 4, "bias_shift": 0}),
            ("any", {"A": 1 << 31, "C": 1 << 15, "E": 9, "Z": 1 << 15, "b_shift": 30,
                     "bias_shift": 40}),
        ),
        "A is 2^15 for `a` of int16 and 2^31 for int32; C is 2^7 for `b` of int8 and 2^15 for int16."
        " E is 9 with an `exponent`, else 0. Z is max |bias|, or 0 without a bias.",
    ),
    "multiply": Widths(
        (
            Range("a * b", "-2^15 * 127", "2^22", "multiply", "product"),
            Range(
                "a * b * multiplier", "-2^15 * 127 * (2^15 - 1)", "2^22 * (2^15 - 1)",
                "multiply", "product * multiplier",
            ),
        )
    ),
    "interpolate": Widths(
        (
            unsigned("i", "511", "interpolate", "place"),
            unsigned("f", "127", "interpolate", "distance"),
            both("table[i + 1] - table[i]", "2^16 - 1", "interpolate", "high - low"),
            both(
                "(table[i + 1] - table[i]) * f", "(2^16 - 1) * 127",
                "interpolate", "(high - low) * distance",
            ),
            Range("sum", "-2^22", "(2^15 - 1) * 2^7", "interpolate", "total"),
        )
    ),
    "ssru": Widths(
        (
            unsigned("f", "2^15 - 1", "ssru", "f"),
            Range("f * state", "-(2^15 - 1) * 2^15", "(2^15 - 1)^2", "ssru", "f * state"),
            Range("(2^15 - f) * x", "-2^30", "2^15 * (2^15 - 1)", "ssru", "(2**15 - f) * x"),
            Range("sum", "-2^30", "2^15 * (2^15 - 1)", "ssru", "mixed"),
        )
    ),
    "layer_norm_l2": Widths(
        _norm("n", [
            SUM, CENTRED, SQUARES,
            unsigned("n * sum(x^2)", "n^2 * 2^30", "layer_norm_l2", "x.shape[1] * sum_of_squares(x)"),
            unsigned("v", "n^2 * 65535^2 / 4 + epsilon", "layer_norm_l2", "variance"),
            Range("s", "1", "isqrt(n^2 * 65535^2 / 4 + epsilon)", "layer_norm_l2", "deviation"),
        ], "layer_norm_l2", "(n - 1) * 65535", T2),
        NORMS, NORM_BITS,
    ),
    "layer_norm_l1": Widths(
        _norm("n", [
            SUM, CENTRED,
            unsigned("sum(abs(c))", "n^2 * 65535 / 2", "layer_norm_l1", "total"),
            Range("s", "1", "n * 65535 / 2 + 1 + epsilon", "layer_norm_l1", "deviation"),
        ], "layer_norm_l1", "(n - 1) * 65535", "n * 2^9"),
        tuple((name, p | {"epsilon": 1 << 30}) for name, p in NORMS), NORM_BITS,
    ),
    "rms_norm": Widths(
        _norm("n", [
            Range("c[i]", "-n * 2^15", "n * (2^15 - 1)", "rms_norm", "scaled"), SQUARES,
            unsigned("v", "n^2 * 2^30 + epsilon", "rms_norm", "x.shape[1] * sum_of_squares(x) + epsilon"),
            Range("s", "1", "isqrt(n^2 * 2^30 + epsilon)", "rms_norm", "root"),
        ], "rms_norm", "n", T2),
        NORMS, NORM_BITS,
    ),
    "rms_norm_heads": Widths(
        (
            SQUARES,
            unsigned("v", "n^2 * 2^30 + epsilon", "rms_norm_heads", "head_width * sum_of_squares(part) + epsilon"),
            Range("max(isqrt(v), 1)", "1", "isqrt(n^2 * 2^30 + epsilon)", "rms_norm_heads", "root"),
            unsigned("inv", "2^30", "rms_norm_heads", "inverse"),
            Range("d * x", "-n * 2^15", "n * (2^15 - 1)", "rms_norm_heads", "scaled"),
            Range("d * x * inv", "-n * 2^45", "n * (2^15 - 1) * 2^30", "rms_norm_heads", "scaled * inverse"),
            both("t[i]", T2, "rms_norm_heads", "t"),
            both("y[i]", PROVED, "rms_norm_heads", "y"),
        ),
        (("n = 64", {"n": 64, "epsilon": 1 << 30, "shift": 1}), NORMS[-1]),
        "n is the width d of a head. The column n = 64 is for epsilon up to 2^30.",
    ),
    "rms_norm_branch": Widths(
        (
            Range(
                "y[i]", f"-2^31 * (2^15 - 1) * 2^E - {BIAS}",
                f"(2^31 - 1) * (2^15 - 1) * 2^E + {BIAS}", "rms_norm_branch", "y",
            ),
            unsigned("e", f"bit_length(2^31 * (2^15 - 1) * 2^E + {BIAS}) - 15", "rms_norm_branch", "e"),
            both("u[i]", "2^15 - 1", "rms_norm_branch", "u"),
            unsigned("sum(u^2)", "n * (2^15 - 1)^2", "rms_norm_branch", "(u * u).sum(axis=1)"),
            unsigned("floor(epsilon * 2^min(d, 30))", "epsilon * 2^30", "rms_norm_branch", "raised"),
            unsigned(
                "v", "n^2 * (2^15 - 1)^2 + epsilon * 2^30",
                "rms_norm_branch", "n * (u * u).sum(axis=1, keepdims=True) + raised",
            ),
            Range("max(isqrt(v), 1)", "1", "isqrt(n^2 * (2^15 - 1)^2 + epsilon * 2^30)", "rms_norm_branch", "root"),
            unsigned("inv", "2^30", "rms_norm_branch", "inverse"),
            both("n * u * inv", "n * (2^15 - 1) * 2^30", "rms_norm_branch", "n * u * inverse"),
            both("t[i]", T2, "rms_norm_branch", "t"),
            both("t[i] * gain[i]", PROVED, "rms_norm_branch", "t * gain"),
        ),
        (
            ("n = 512, without an exponent", {"n": 512, "epsilon": 0, "shift": 1, "E": 0, "Z": 0, "bias_shift": 0}),
            ("any", {"n": 8192, "epsilon": 1 << 30, "shift": 1, "E": 9, "Z": 1 << 15, "bias_shift": 40}),
        ),
        "E is 9 with an `exponent`, else 0. Z is max |bias|, or 0 without a bias. The first column of bits is for an epsilon of 0.",
    ),
    "normalize": Widths(
        (
            SQUARES,
            unsigned("2^16 * sum(x^2)", "n * 2^46", "normalize", "sum_of_squares(x) << 16"),
            Range("s", "1", "isqrt(n * 2^46)", "normalize", "np.maximum(root, 1)"),
            unsigned("inv", "2^30", "normalize", "inverse"),
            Range("x * length", "-2^15 * length", "(2^15 - 1) * length", "normalize", "x.astype('q') * wanted"),
            Range(
                "x * length * inv", "-2^45 * length", "(2^15 - 1) * length * 2^30",
                "normalize", "x.astype('q') * wanted * inverse",
            ),
        ),
        (
            ("n = 384, length = 512", {"n": 384, "length": 512}),
            ("any", {"n": 8192, "length": 32767}),
        ),
        "n is the width.",
    ),
    "attention_softmax": Widths(
        (
            Range("score[j]", *SCORE, "weigh", "q @ k.T"),
            both("score[j] + addend", "2^14 * d + a", "weigh", "score"),
            unsigned(
                "max(score') - score'", "2 * 2^14 * d + R", "attention_weights",
                "score.max(axis=1, keepdims=True) - score",
            ),
            unsigned(
                "distance[j] * score_multiplier[h]", "2^31 - 1 - 2^(score_shift - 1)",
                "attention_weights", "distance * np.int64(multiplier)",
            ),
            unsigned("z[j]", "2^14", "exp2_negative", "wide"),
            unsigned("w[j]", "2^14", "attend", "weight"),
            *KEYS,
        ),
        ATTENTION,
        "d is head_width, and keys is the number of keys that a row sees. a is max |addend| and R is"
        " max(addend) - min(addend), both 0 without an addend. With a soft cap, score' is in"
        " [-2^20, 2^20] and max(score') - score' is at most 2^21.",
    ),
    "attention_polynomial": Widths(
        (
            Range("score[j]", *SCORE, "polynomial_weights", "query @ key.T"),
            both("score[j] + score_bias[h]", "2^14 * d + b", "polynomial_weights", "query @ key.T + bias"),
            unsigned("x[j]", "2^14 * d + b", "polynomial_weights", "x"),
            unsigned("e", "16", "polynomial_weights", "e"),
            unsigned("u[j]", "2^15", "polynomial_weights", "rounding_shift_right(x, e)"),
            unsigned("p[j]", "2^30", "power", "power(u, degree)"),
            unsigned("D", "2^29", "polynomial_weights", "delta"),
            unsigned("t[j]", "2^30 + 2^29", "polynomial_weights", "t"),
            Range("G", "-13", "17", "polynomial_weights", "g"),
            unsigned("w[j]", "2^14", "attend", "weight"),
            *KEYS,
        ),
        ATTENTION,
        "d is head_width, keys is the number of keys that a row sees, and b is max |score_bias|.",
    ),
    "rotary": Widths(
        (
            both("x * cosine, x * sine", "2^29", "rotary", "a * c"),
            both("acc[n]", "2^30", "rotary", "acc"),
            both("acc[n] * multiplier", "2^30 * (2^15 - 1)", "rotary", "acc * multiplier"),
        )
    ),
    "pool": Widths(
        (
            Range("s[c]", "-n * X", "n * (X - 1)", "pool", "sums"),
            Range("s[c] * multiplier", "-n * X * (2^15 - 1)", "n * (X - 1) * (2^15 - 1)", "pool", "sums * multiplier"),
            Range(
                "2 * s * multiplier + n * 2^shift", "-2 * n * X * (2^15 - 1) + n * 2^shift",
                "2 * n * (X - 1) * (2^15 - 1) + n * 2^shift", "pool", "2 * sums * multiplier + whole",
            ),
            unsigned("n * 2^(shift + 1)", "n * 2^(shift + 1)", "pool", "2 * whole"),
        ),
        (
            ("int16, n = 128, shift = 15", {"n": 128, "X": 1 << 15, "shift": 15}),
            ("any", {"n": 1024, "X": 1 << 15, "shift": 40}),
        ),
        "n is the number of pooled rows. X is 2^7 for `x` of int8 and 2^15 for int16.",
    ),
    "log_softmax": Widths(
        (
            unsigned("max(x') - x'", "2^32 - 1", "log_softmax", "distance"),
            unsigned("(max(x') - x') * multiplier", "(2^32 - 1) * (2^30 - 1)", "log_softmax", "distance * m"),
            unsigned("z[n]", "2^30", "log_softmax", "z"),
            unsigned("A5(z[n])", "2^32", "log_softmax", "exp2_precise(z)"),
            Range("total", "2^32", "columns * 2^32", "log_softmax", "total"),
            unsigned("norm", "bit_length(columns - 1) * 2^20", "log_softmax", "norm"),
            Range("-z - norm", "-2^30 - bit_length(columns - 1) * 2^20", "0", "log_softmax", "-z - norm"),
        ),
        (("columns = 32,000", {"columns": 32000}), ("any", {"columns": 1 << 20})),
        "columns is the number of logits of a row. With a soft cap, max(x') - x' is at most 2^31.",
    ),
}  # fmt: skip
