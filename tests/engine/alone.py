"""A process with nothing but the NumPy encoder: `python alone.py PACKAGE FOLDER`, texts as JSON on standard input.

Writes JSON: the texts' dense vectors, and the shared objects that are mapped by then.
"""

from dataclasses import replace
import json
from pathlib import Path
import sys

_SPEC = {"dimension": 64, "max_tokens": 128}  # of the small models


def main(package: str, folder: str) -> None:
    sys.modules["openvino"] = None  # type: ignore[assignment]
    # Not by way of the parent package, which imports Home Assistant.
    sys.path.insert(0, package)
    from engine import NumPyEncoder, Role, load_catalog  # noqa: PLC0415

    encoder = NumPyEncoder(Path(folder), replace(load_catalog()["bge-m3"], **_SPEC))
    dense = encoder.encode(json.load(sys.stdin), Role.QUERY).dense
    json.dump({"dense": dense.tolist(), "objects": mapped()}, sys.stdout)


def mapped() -> list[str]:
    """List the shared objects in this process, by path. Linux only."""
    paths = (line.split(maxsplit=5)[5:] for line in Path("/proc/self/maps").read_text("utf-8").splitlines())
    return sorted({path.strip() for (path,) in filter(None, paths) if ".so" in Path(path).name})


if __name__ == "__main__":
    main(*sys.argv[1:])
