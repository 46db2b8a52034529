"""PyTorch recipe: text files in, an averaged float checkpoint out.

It trains the standard Transformer (softmax attention, L2 layer norm) and the Integer Transformer
(polynomial attention, L1 layer norm); the two differ in exactly these two parts.  Nothing else in
the project needs torch.
"""
