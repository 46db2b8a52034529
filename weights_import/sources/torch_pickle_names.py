"""The names that a pickle of PyTorch may use, and what stands for a call of each.

That is a tensor or plain data.  Every other name is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from weights_import.errors import CheckpointError
from weights_import.sources.safetensors_file import MAXIMUM_RANK
from weights_import.sources.torch_pickle import as_dictionary
from weights_import.sources.torch_pickle_machine import Attributes, Known

MAXIMUM_SIZE = 1 << 32
TENSOR = "torch._utils._rebuild_tensor_v2"
KINDS = {
    "torch.FloatStorage": "F32",
    "torch.DoubleStorage": "F64",
    "torch.HalfStorage": "F16",
    "torch.BFloat16Storage": "BF16",
    "torch.LongStorage": "I64",
    "torch.IntStorage": "I32",
    "torch.ShortStorage": "I16",
    "torch.CharStorage": "I8",
    "torch.ByteStorage": "U8",
    "torch.BoolStorage": "BOOL",
}
"""The types of storages, with the names that safetensors has for their numbers."""


@dataclass(frozen=True)
class Storage:
    """Numbers of a type that stand in the file under a key."""

    kind: str
    key: str
    count: int


@dataclass(frozen=True)
class Tensor:
    """A view of a storage: its first number, and for each dimension its size and its stride."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def count(self) -> int:
        return math.prod(self.shape)

    @property
    def span(self) -> int:
        """How many numbers of the storage lie from its first one to its last one."""
        steps = zip(self.shape, self.strides, strict=True)
        reach = 0
        for size, stride in steps:
            reach += (size - 1) * stride
        return 1 + reach if self.count else 0


def storage(told: object) -> Storage:
    """The storage that a pickle describes; raises CheckpointError for a description of none."""
    match told:
        case ("storage", Known(name), str(key), str(), int(count), *rest) if name in KINDS:
            if rest in ([], [None]) and count >= 0:
                return Storage(KINDS[name], key, int(count))
    raise CheckpointError("what stands outside the pickle is no storage of numbers of a known type")


def _tensor(arguments: tuple[Any, ...]) -> Tensor:
    match arguments:
        case (Storage() as found, int(offset), tuple(shape), tuple(strides), *rest):
            _check(shape, strides)
            tensor = Tensor(found, int(offset), _integers(shape), _integers(strides))
            if not 0 <= offset <= found.count - tensor.span:
                raise CheckpointError(
                    f"a tensor {list(shape)} at {offset} of a storage of {found.count} numbers"
                )
            if rest[2:] in ([], [None], [{}]):
                return tensor
    raise CheckpointError("a tensor of an unknown form")


def _integers(values: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


def _check(shape: tuple[object, ...], strides: tuple[object, ...]) -> None:
    """Raises CheckpointError for what is no shape with its strides."""
    numbers = [*shape, *strides]
    fits = all(isinstance(one, int) and 0 <= one <= MAXIMUM_SIZE for one in numbers)
    if not fits or len(shape) != len(strides) or len(shape) > MAXIMUM_RANK:
        raise CheckpointError(
            f"a tensor of {len(shape)} dimensions and {len(strides)} strides, which are no sizes or"
            f" more than {MAXIMUM_RANK}"
        )


def _parameter(arguments: tuple[Any, ...]) -> Tensor:
    match arguments:
        case (Tensor() as tensor, *_):
            return tensor
    raise CheckpointError("a parameter of an unknown form")


def _with_attributes(arguments: tuple[Any, ...]) -> Tensor:
    """A tensor that has attributes, which change no number of it."""
    match arguments:
        case (Known(name=name), Known(), tuple(inner), *_) if name == TENSOR:
            return _tensor(inner)
    raise CheckpointError("a tensor of an unknown class")


def _ordered(arguments: tuple[Any, ...]) -> dict[Any, object]:
    """A dictionary that is empty, or, by Python 2, has the pairs of a list."""
    match arguments:
        case ():
            return {}
        case (list(pairs),):
            values: list[object] = []
            for pair in pairs:
                if not isinstance(pair, list | tuple) or len(pair) != 2:
                    raise CheckpointError("a dictionary of what are no pairs")
                values += pair
            return as_dictionary(values)
    raise CheckpointError("a dictionary of an unknown form")


def _bytes(arguments: tuple[Any, ...]) -> bytes:
    match arguments:
        case ():
            return b""
        case (str(text), "latin1" | "latin-1"):
            return text.encode("latin-1")
    raise CheckpointError("bytes of an unknown form")


def _itself(arguments: tuple[Any, ...]) -> object:
    """The first argument, which is plain data already."""
    return arguments[0] if arguments else ()


def _never(arguments: tuple[Any, ...]) -> object:
    raise CheckpointError("a call of a name that is no function")


def _empty(arguments: tuple[Any, ...]) -> object:
    return {}


def _attributes(arguments: tuple[Any, ...]) -> object:
    return Attributes()


def _number(arguments: tuple[Any, ...]) -> object:
    """A number of NumPy, whose bytes stay as they are."""
    return arguments


_TYPES = (
    "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool",
)  # fmt: skip
_BUILTINS = "int", "float", "bool", "str", "list", "dict", "tuple"
_TABLE: dict[Callable[[tuple[Any, ...]], object], tuple[str, ...]] = {
    _tensor: (TENSOR, "torch._utils._rebuild_tensor"),
    _parameter: (
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_parameter_with_state",
    ),
    _with_attributes: ("torch._tensor._rebuild_from_type_v2",),
    _ordered: ("collections.OrderedDict",),
    _empty: ("collections.defaultdict",),
    _attributes: (
        "argparse.Namespace",
        "functools.partial",
        "onmt.inputters.text_dataset.TextMultiField",
        "torchtext.data.field.Field",
        "torchtext.data.field.RawField",
        "torchtext.vocab.Vocab",
    ),
    _itself: (
        "collections.Counter",
        "torch.Size",
        "torch.device",
        *(f"{module}.{name}" for module in ("builtins", "__builtin__")
          for name in ("set", "frozenset")),
    ),
    _bytes: ("_codecs.encode", "__builtin__.bytes", "builtins.bytes"),
    _number: (
        "numpy.dtype",
        "numpy.core.multiarray.scalar",
        "numpy._core.multiarray.scalar",
    ),
    _never: (
        *KINDS,
        "torch.Tensor",
        "torch.nn.parameter.Parameter",
        "onmt.inputters.text_dataset._feature_tokenize",
        "onmt.inputters.text_dataset.text_sort_key",
        "torchtext.vocab._default_unk_index",
        *(f"torch.{name}" for name in _TYPES),
        *(f"{module}.{name}" for module in ("builtins", "__builtin__") for name in _BUILTINS),
    ),
}  # fmt: skip
NAMES = {name: Known(name, make) for make, names in _TABLE.items() for name in names}
