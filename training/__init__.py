"""A PyTorch recipe: trains on text files, and writes an averaged float checkpoint.

The recipe trains the standard Transformer (softmax attention, L2 layer norm) and the Integer
Transformer (polynomial attention, L1 layer norm).  The two differ only in these two parts.  No
other part of the project needs torch.
"""
