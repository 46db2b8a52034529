"""The adjustments of the logits of each sentence (`search.logits`), and memory for one row."""

from __future__ import annotations

import numpy as np

ADJUSTMENT = np.dtype(
    [
        ("active", "i8"),  # 0: the search reads the logits of the decoder
        ("repetition", "i8"),  # in hundredths
        ("presence", "i8"),  # this and the next: in units of the logits
        ("frequency", "i8"),
        ("bias", "i8"),  # address of int32 [vocabulary], in units of the logits; 0: none
        ("suppressed", "i8"),  # address of int8 [vocabulary]: 1 for a suppressed token; 0: none
        ("min_length", "i8"),
        ("no_repeat", "i8"),
        ("firsts", "i8"),  # addresses of the arrays of a tree (`search.continuations`); 0: none
        ("tokens", "i8"),
        ("nodes", "i8"),
    ]
)
STAGE = np.dtype(
    [
        ("tokens", "i8"),  # address of int32 [vocabulary]: the tokens that may be chosen
        ("logits", "i8"),  # address of int32 [vocabulary]: their logits
        ("marks", "i8"),  # address of int32 [vocabulary]: 0 between two rows
        ("history", "i8"),  # address of int32 [steps]: the prefix, and the chosen tokens
        ("row_nodes", "i8"),  # address of int64 [rows]: the last node of the hypothesis of a row
    ]
)
TIMES, SEEN, REMOVED = (1 << 28) - 1, 1 << 28, 1 << 29
"""Parts of a mark: how often a token was chosen, whether it occurs in the history, whether it is
removed."""
