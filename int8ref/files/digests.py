"""Digests of all values that a model with a name computes, equal on every machine.

`python -m int8ref.verify -m NAME` computes and compares them.
"""

from __future__ import annotations

DIGESTS: dict[str, str] = {
    "a4c5a34b16fd9c0cf5f28d9ac5b94d9f65a04642fc2c6d1cdcbd3521443815be": (
        "ceeb43b56a041c2ea4b9b783dcd409c0cbbc27374acf7f59b8cfe4b91c1cd8eb"  # en-de-tatoeba
    ),
    "db94c42a88ba4cf748426059771d1ccd2ddf39f76ce1716500f746d55abebf94": (
        "268ba04818d5153e21b9f7f86124b9dadb54dbb38c1a0531c2ecce039cc3270c"  # en-pt
    ),
    "ed1ec009f9b2ce4f5f05ed9677597bf1ab560da85863dc1033061e5b1c526b27": (
        "e009e528de82d9f4af9ef84f39027a1aaceec3ee58464537abd2706c3ce2f1fd"  # pt-en
    ),
}
"""SHA-256 of the model file -> digest on the sentences of `verification.sentences`."""
