"""The constants of an OpenVINO IR, read without OpenVINO: a graph in XML, and a file of numbers it points into.

optimum-intel keeps a checkpoint's parameter names for weight matrices and tables (`self.encoder.layer.0.….weight`,
quantised with `/scale` and `/zero_point` behind it), but not for biases and normalisations: those are found where the
graph uses them. Looked up in what optimum-intel 2.2.0 with NNCF 3.4.0 writes as fp32, fp16 and INT8.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
import math
import mmap
from pathlib import Path
from typing import Self
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray

from .encoder import ModelFilesError

type Array = NDArray[np.float32]

_DTYPES = {"f32": "<f4", "f16": "<f2", "i8": "i1", "u8": "u1", "i32": "<i4", "i64": "<i8"}
# What stands between a stored weight and the operation that uses it.
_DECOMPRESSION = ("Convert", "Subtract", "Multiply")
# The bias or the layer's input; the split into heads; the activation. Anything else would change the numbers.
_BEHIND_LINEAR = ("Add", "Reshape", "Gelu", "Transpose")
_SPLIT = 4  # texts, tokens, heads, a head's size
# A graph that leads back into itself must not be followed for ever.
_LONGEST_WALK = 16
_FP16_SUFFIX = "_compressed"


@dataclass(frozen=True, slots=True)
class Weight:
    """A matrix or table as it is stored: `values` (rows, columns) of f32, f16, i8 or u8, mapped from the file.

    It stands for `(values - zero_point) * scale`; both are float32 (rows, 1), and None where there is none.
    """

    values: NDArray[np.generic]
    scale: Array | None = None
    zero_point: Array | None = None
    offset: int = 0  # of `values` in the mapped file, in bytes

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.values.shape
        return rows, columns

    def rows(self, ids: NDArray[np.integer]) -> Array:
        """Gather rows by number, (…,), as float32 (…, columns). Only these are read. Raises IndexError."""
        found: Array = self.values[ids].astype(np.float32)
        if self.zero_point is not None:
            found -= self.zero_point[ids]
        if self.scale is not None:
            found *= self.scale[ids]
        return found

    def release(self) -> None:
        """Take `values` out of the process's memory. The next use takes them from the kernel's cache, or from disk."""
        if isinstance(self.values.base, mmap.mmap):
            start = self.offset - self.offset % mmap.PAGESIZE
            self.values.base.madvise(mmap.MADV_DONTNEED, start, self.offset + self.values.nbytes - start)


@dataclass(frozen=True, slots=True)
class Norm:
    """A layer normalisation: float32 `gain` and `bias`, (size,), and epsilon."""

    gain: Array
    bias: Array
    epsilon: float


@dataclass(slots=True)
class _Node:
    id: str
    type: str
    name: str
    data: dict[str, str]
    # By id, for the nodes to make no circles: so all go as soon as the graph does.
    inputs: list[str] = field(default_factory=list)
    users: list[_Node] = field(default_factory=list)


class IR:
    """A graph and its constants. Every method raises ModelFilesError `layout_unknown` for what it does not know."""

    def __init__(self, nodes: dict[str, _Node], data: mmap.mmap) -> None:
        """Take the graph's nodes by id and the numbers; `open` reads them."""
        self._data = data
        self._nodes = nodes
        self._named = {
            node.name.removesuffix(_FP16_SUFFIX): node for node in nodes.values() if node.type == "Const" and node.name
        }

    @classmethod
    def open(cls, graph: Path, weights: Path) -> Self:
        """Read a graph and map its weights. Blocking. Raises ModelFilesError `file_unreadable`."""
        try:
            # Entities cannot blow up here: expat, as Python ships it since 3.9, limits their amplification.
            root = ET.parse(graph).getroot()  # noqa: S314
            nodes = _nodes(root)
        except (ET.ParseError, OSError, KeyError, TypeError, ValueError) as err:
            raise ModelFilesError("file_unreadable", graph.name) from err
        try:
            with weights.open("rb") as stream:
                return cls(nodes, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
        except (OSError, ValueError) as err:
            raise ModelFilesError("file_unreadable", weights.name) from err

    def names(self) -> Iterator[str]:
        """List the constants' names; weights among them have those of the checkpoint."""
        return iter(self._named)

    def table(self, name: str) -> Weight:
        """Read a table that rows are looked up in."""
        weight, user = self._weight(name)
        if user.type != "Gather":
            raise _unknown(name, user.type)
        return weight

    def linear(self, name: str) -> tuple[Weight, Array | None]:
        """Read a linear layer by the name of its weight (out, in), and the bias (out,) that is added behind it."""
        weight, product = self._weight(name)
        if product.type != "MatMul" or product.data.get("transpose_b") != "true" or _is(product, "transpose_a"):
            raise _unknown(name, product.type)
        # What is not the bias may be the sum with the layer's input, or what comes next where there is no bias.
        if (user := _only(name, product.users)).type not in _BEHIND_LINEAR:
            raise _unknown(name, user.type)
        return weight, self._operand(product, "Add", weight.shape[0])

    def heads_behind(self, name: str) -> int | None:
        """Tell into how many heads the graph splits a projection; None where it computes that."""
        node = self._behind_linear(name)
        shape = self._constant(self._nodes[node.inputs[1]]) if node.type == "Reshape" else None
        return int(shape[2]) if shape is not None and shape.size == _SPLIT else None

    def norm_behind(self, name: str) -> Norm:
        """Read the layer normalisation that follows the table or linear layer of this name, behind sums alone."""
        weight, node = self._weight(name)
        size = weight.shape[1] if node.type == "Gather" else weight.shape[0]
        for _ in range(_LONGEST_WALK):
            if node.type == "MVN":
                break
            node = _only(name, [user for user in node.users if user.type in ("Add", "MVN")])
        else:
            raise _unknown(name, node.type)
        if node.data.get("eps_mode") != "INSIDE_SQRT" or not _is(node, "normalize_variance"):
            raise _unknown(name, "MVN")
        # What changes nothing is left out of a graph: a gain of 1, a bias of 0.
        gain = self._operand(node, "Multiply", size)
        scaled = node if gain is None else _only(name, _behind(node, "Multiply"))
        bias = self._operand(scaled, "Add", size)
        return Norm(
            np.ones(size, np.float32) if gain is None else gain,
            np.zeros(size, np.float32) if bias is None else bias,
            float(node.data["eps"]),
        )

    def activation_behind(self, name: str) -> str:
        """Name the function that follows a linear layer and its bias: the operation's type and its mode."""
        node = self._behind_linear(name)
        return f"{node.type} {node.data.get('approximation_mode', '')}".strip()

    def _behind_linear(self, name: str) -> _Node:
        _, node = self._weight(name)
        for _ in range(_LONGEST_WALK):
            if node.type not in ("MatMul", "Add"):
                return node
            node = _only(name, node.users)
        raise _unknown(name, node.type)

    def _weight(self, name: str) -> tuple[Weight, _Node]:
        """Read a stored weight, and find the operation that uses it."""
        stored = self._named.get(name)
        if stored is None:
            raise _unknown(name, "-")
        values = self._values(stored)
        if values.ndim != 2:  # noqa: PLR2004 - weights in groups have three dimensions
            raise _unknown(name, f"{stored.data.get('element_type')} {stored.data.get('shape')}")
        found: dict[str, Array] = {}
        node = stored
        for _ in range(_LONGEST_WALK):
            if (user := _only(name, node.users)).type not in _DECOMPRESSION:
                return Weight(values, found.get("Multiply"), found.get("Subtract"), int(stored.data["offset"])), user
            if user.type != "Convert":
                found[user.type] = self._per_row(name, user, node, len(values))
            node = user
        raise _unknown(name, node.type)

    def _per_row(self, name: str, user: _Node, node: _Node, rows: int) -> Array:
        """Read what is multiplied with a weight's rows, or subtracted from them, as (rows, 1)."""
        if len(user.inputs) != 2 or user.inputs[0] != node.id:  # noqa: PLR2004
            raise _unknown(name, user.type)
        constant = self._constant(self._nodes[user.inputs[1]])
        if constant is None or constant.size not in (1, rows) or constant.shape not in ((), (1, 1), (rows, 1)):
            raise _unknown(name, user.type)
        return np.ascontiguousarray(np.broadcast_to(constant.reshape(-1, 1), (rows, 1)))

    def _operand(self, node: _Node, operation: str, size: int) -> Array | None:
        """Read the constant (size,) that the only operation of this type behind a node takes, or None."""
        users = _behind(node, operation)
        if len(users) != 1:
            return None
        constants = [found for item in users[0].inputs if (found := self._constant(self._nodes[item])) is not None]
        if len(constants) != 1:
            return None
        if constants[0].size not in (1, size):
            raise _unknown(node.name, f"{operation} {constants[0].shape}")
        return np.ascontiguousarray(np.broadcast_to(constants[0].reshape(-1), (size,)))

    def _constant(self, node: _Node) -> Array | None:
        """Read a constant, converted or not, as float32; None for what is computed."""
        if node.type == "Convert" and len(node.inputs) == 1:
            node = self._nodes[node.inputs[0]]
        return self._values(node).astype(np.float32) if node.type == "Const" else None

    def _values(self, node: _Node) -> NDArray[np.generic]:
        try:
            shape = tuple(int(size) for size in node.data["shape"].split(",") if size.strip())
            offset, size = int(node.data["offset"]), int(node.data["size"])
            code = _DTYPES.get(node.data["element_type"])
        except (KeyError, ValueError) as err:
            raise _unknown(node.name, "Const") from err
        if code is None:
            raise _unknown(node.name, node.data["element_type"])
        dtype = np.dtype(code)
        if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size:
            raise _unknown(node.name, node.data["shape"])
        if offset < 0 or offset + size > len(self._data):
            raise ModelFilesError("file_unreadable", f"{node.name}: {offset} + {size} > {len(self._data)}")
        return np.ndarray(shape, dtype, self._data, offset)


def _nodes(root: ET.Element) -> dict[str, _Node]:
    nodes = {}
    for layer in root.iterfind("layers/layer"):
        data = layer.find("data")
        node = _Node(
            layer.attrib["id"], layer.attrib["type"], layer.attrib["name"], {} if data is None else data.attrib
        )
        nodes[node.id] = node
    edges = sorted(root.iterfind("edges/edge"), key=lambda edge: int(edge.attrib["to-port"]))
    for edge in edges:
        source, target = nodes[edge.attrib["from-layer"]], nodes[edge.attrib["to-layer"]]
        target.inputs.append(source.id)
        # That somebody asks for its shape is no use of a value.
        if target.type != "ShapeOf":
            source.users.append(target)
    return nodes


def _behind(node: _Node, operation: str) -> list[_Node]:
    return [user for user in node.users if user.type == operation]


def _only(name: str, nodes: list[_Node]) -> _Node:
    if len(nodes) != 1:
        raise _unknown(name, " / ".join(node.type for node in nodes) or "-")
    return nodes[0]


def _is(node: _Node, attribute: str) -> bool:
    return node.data.get(attribute) == "true"


def _unknown(name: str, what: str) -> ModelFilesError:
    return ModelFilesError("layout_unknown", f"{name}: {what}")
