"""Float arithmetic with the same bits on every machine.

The rule: IEEE 754 additions, multiplications, divisions and square roots, each rounded by itself,
in a stated order.  Nothing else computes with floats: no BLAS, no LAPACK, no exp, log or sine of a
library, no fused multiply-add, and no sum whose order NumPy chooses.

The following NumPy functions keep the rule, because each element of the result is exact or rounded
once: elementwise + - * / and sqrt, comparisons, abs, rint, floor, ldexp, frexp, casts, minimum and
maximum (also along an axis), sorting, sums of integers, and `cumsum`, which NumPy defines as a loop
in ascending order.  Sorting, minimum and maximum leave the sign of a zero open: no result may
depend on this sign.

`VERSION` names this arithmetic in the provenance of a model file.  It grows if the file of any
checkpoint changes.
"""

VERSION = 1
