"""Interval arithmetic in integers: ranges of values, one for all channels or one for each channel.

Every operation returns a range that holds every possible result (Moore 1966, chapter 2).  The ends
are int64.  A valid Program keeps every intermediate value within int64, and so do these ranges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from int8ref.spec.arithmetic import rounding_shift_right

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """The integers from `low` to `high`: arrays [], or [n] for n channels."""

    low: Int64
    high: Int64

    @classmethod
    def of(cls, low: npt.ArrayLike, high: npt.ArrayLike | None = None) -> Interval:
        """The range from `low` to `high`, or the range of one value."""
        least = np.asarray(low, np.int64)
        return cls(least, least if high is None else np.asarray(high, np.int64))

    @classmethod
    def around(cls, limit: int) -> Interval:
        """The range from -limit to limit."""
        return cls.of(-limit, limit)

    @property
    def ends(self) -> tuple[int, int]:
        """The least and the greatest value of all channels."""
        return int(self.low.min()), int(self.high.max())

    @property
    def magnitude(self) -> Interval:
        """The range of |x|."""
        low = np.maximum(np.maximum(self.low, -self.high), 0)
        return Interval(low, np.maximum(-self.low, self.high))

    @property
    def square(self) -> Interval:
        """The range of x^2."""
        size = self.magnitude
        return Interval(size.low * size.low, size.high * size.high)

    def __add__(self, other: Interval | Int64 | int) -> Interval:
        wide = _interval(other)
        return Interval(self.low + wide.low, self.high + wide.high)

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low)

    def __sub__(self, other: Interval | Int64 | int) -> Interval:
        return self + -_interval(other)

    def __mul__(self, other: Interval | Int64 | int) -> Interval:
        wide = _interval(other)
        ends = [a * b for a in (self.low, self.high) for b in (wide.low, wide.high)]
        return _around(ends)

    def __lshift__(self, bits: Interval | Int64 | int) -> Interval:
        wide = _interval(bits)
        ends = [a << b for a in (self.low, self.high) for b in (wide.low, wide.high)]
        return _around(ends)

    def shifted(self, bits: Interval | Int64 | int) -> Interval:
        """The range of rounding_shift_right(x, bits).  The shift is monotonic in x, and in bits for
        every x."""
        wide = _interval(bits)
        return _around(
            [
                rounding_shift_right(a, b)
                for a in (self.low, self.high)
                for b in (wide.low, wide.high)
            ]
        )

    def floor_shifted(self, bits: int) -> Interval:
        """The range of x >> bits, which rounds down."""
        return Interval(self.low >> bits, self.high >> bits)

    def clamped(self, low: int, high: int) -> Interval:
        """The range of min(max(x, low), high)."""
        return Interval(np.clip(self.low, low, high), np.clip(self.high, low, high))

    def hull(self, other: Interval) -> Interval:
        """The range that holds both."""
        return Interval(np.minimum(self.low, other.low), np.maximum(self.high, other.high))

    def columns(self, first: int, width: int, of: int) -> Interval:
        """The range of `width` channels from `first` on, of a value with `of` channels."""
        low, high = (np.broadcast_to(end, (of,)) for end in (self.low, self.high))
        return Interval(low[first : first + width], high[first : first + width])

    def within(self, other: Interval) -> bool:
        """Whether every value lies in the other range."""
        return bool((other.low <= self.low).all() and (self.high <= other.high).all())


def _interval(x: Interval | Int64 | int) -> Interval:
    return x if isinstance(x, Interval) else Interval.of(x)


def _around(ends: list[Int64]) -> Interval:
    """The range from the least to the greatest of some arrays."""
    low = high = ends[0]
    for end in ends[1:]:
        low, high = np.minimum(low, end), np.maximum(high, end)
    return Interval(low, high)


def bits(low: int, high: int) -> int:
    """Bits of a register for the integers from `low` to `high`: two's complement if `low` is
    negative, else without a sign."""
    if low >= 0:
        return max(high.bit_length(), 1)
    return max(high.bit_length() if high > 0 else 0, (-low - 1).bit_length()) + 1
