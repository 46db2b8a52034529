"""Allowed continuations as a tree: a node for each beginning, an edge for each next token."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

Int32 = npt.NDArray[np.int32]
OUTSIDE = -1
"""The node after an end mark, and after a token that the tree does not allow."""


class Tree:
    """The tree of sequences of tokens.  Node 0 is the empty beginning.

    The edges of node i have the places firsts[i] to firsts[i + 1]: tokens[place] rises, and
    nodes[place] is the next node.  The end marks are edges to no node, from each node that is a
    whole sequence.

    firsts  int32 [nodes + 1]
    tokens  int32 [edges]
    nodes   int32 [edges]
    """

    def __init__(self, sequences: Collection[Sequence[int]], ends: Collection[int]) -> None:
        edges: list[dict[int, int]] = [{}]
        for sequence in sequences:
            node = 0
            for token in sequence:
                if edges[node].get(token, OUTSIDE) == OUTSIDE:
                    edges[node][token] = len(edges)
                    edges.append({})
                node = edges[node][token]
            for end in ends:
                edges[node].setdefault(end, OUTSIDE)
        flat = [pair for own in edges for pair in sorted(own.items())]
        self.firsts: Int32 = np.cumsum([0, *map(len, edges)], dtype=np.int32)
        self.tokens: Int32 = np.array([token for token, _ in flat], np.int32)
        self.nodes: Int32 = np.array([node for _, node in flat], np.int32)

    def allowed(self, chosen: Sequence[int]) -> Int32:
        """The tokens that may follow the chosen tokens, rising; none after tokens outside."""
        node = 0
        for token in chosen:
            own = slice(self.firsts[node], self.firsts[node + 1])
            at = np.flatnonzero(self.tokens[own] == token)
            node = int(self.nodes[own][at[0]]) if len(at) else OUTSIDE
            if node == OUTSIDE:
                return self.tokens[:0]
        return self.tokens[self.firsts[node] : self.firsts[node + 1]]
