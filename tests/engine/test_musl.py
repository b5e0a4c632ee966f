"""What the NumPy path needs is there for musl (Home Assistant OS and Container), and it needs nothing else."""

import json
import os
from pathlib import Path
import re
import subprocess
import sys
import sysconfig

import numpy as np
import pytest

from custom_components.semantic_home.local_engine import REQUIREMENTS, Engine

from .common import MODELS, ROOT

_GOLDEN = json.loads((ROOT / "tests/engine/golden/tiny-xlmr.json").read_text("utf-8"))["texts"]
_INTEGRATION = ROOT / "custom_components/semantic_home"
_MANIFEST = json.loads((_INTEGRATION / "manifest.json").read_text("utf-8"))["requirements"]
_PLATFORMS = ("x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl")
# The C library, what CPython is linked with, and the compiler's own two; wheels for musl bring those along.
_SYSTEM = re.compile(
    r"(ld-(linux|musl)|lib(c|m|dl|rt|pthread|util|resolv|python3|z|zstd|expat|crypto|ssl|ffi|gcc_s|stdc\+\+))[-_.\d]"
)


def _compile(platform: str, requirements: list[str], constraints: Path) -> subprocess.CompletedProcess[str]:
    """Resolve to wheels alone, dependencies too, for CPython 3.14 on a platform. Skips without a network."""
    options = ["--quiet", "--no-header", "--no-annotate", "--python-version=3.14", "--only-binary=:all:"]
    finished = subprocess.run(
        [ROOT / "scripts/uv", "pip", "compile", "-", *options, f"--python-platform={platform}", "-c", constraints],
        input="\n".join(requirements),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if re.search(r"Failed to fetch|error sending request|network", finished.stderr, re.IGNORECASE) and (
        "CI" not in os.environ
    ):
        pytest.skip(f"No package registry: {finished.stderr[:200]}")
    return finished


@pytest.mark.parametrize("platform", _PLATFORMS)
def test_all_of_it_has_wheels_for_musl(platform: str) -> None:
    """With the versions that Home Assistant pins, NumPy's among them."""
    requirements = [*_MANIFEST, *REQUIREMENTS[Engine.NUMPY]]
    resolved = _compile(platform, requirements, ROOT / ".ci/pins/demo.txt")
    assert resolved.returncode == 0, resolved.stderr
    found = dict(line.split("==") for line in resolved.stdout.lower().split())
    assert {"numpy", "tokenizers", "alembic", "sqlalchemy", "markupsafe", "greenlet"} <= found.keys()
    pinned = re.search(r"^numpy==(\S+)", (ROOT / ".ci/pins/demo.txt").read_text("utf-8"), re.MULTILINE)
    assert pinned is not None
    assert found["numpy"] == pinned[1]


@pytest.mark.parametrize("platform", _PLATFORMS)
def test_openvino_has_none(platform: str) -> None:
    """The control: the question can be answered with no. The day it fails, OpenVINO can go where NumPy is now."""
    (openvino,) = set(REQUIREMENTS[Engine.OPENVINO]) - set(REQUIREMENTS[Engine.NUMPY])
    refused = _compile(platform, [openvino], Path(os.devnull))
    assert refused.returncode != 0
    assert "no wheels with a matching platform tag" in refused.stderr


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    if not Path("/proc/self/maps").exists():
        pytest.skip("needs Linux")
    finished = subprocess.run(
        [sys.executable, Path(__file__).with_name("alone.py"), _INTEGRATION, MODELS / "tiny-xlmr-int8"],
        input=json.dumps([row["text"] for row in _GOLDEN]),
        env={"HOME": str(tmp_path_factory.mktemp("home")), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return dict(json.loads(finished.stdout))


def test_encodes_where_openvino_cannot_be_imported(alone: dict[str, list[str]]) -> None:
    """Against FlagEmbedding's fp32; random weights do not forgive rounding (see test_numpy_encoder)."""
    ours, theirs = np.array(alone["dense"]), np.array([row["dense"] for row in _GOLDEN])
    assert np.median((ours * theirs).sum(axis=1)) >= 0.99


def test_maps_no_code_but_pythons_numpys_and_the_tokenizers(alone: dict[str, list[str]]) -> None:
    packages = Path(sysconfig.get_path("platlib"))
    extensions = Path(os.__file__).with_name("lib-dynload")
    owners, others = set(), []
    for path in map(Path, alone["objects"]):
        if path.is_relative_to(packages):
            owners.add(path.relative_to(packages).parts[0])
        elif not path.is_relative_to(extensions) and not _SYSTEM.match(path.name):
            others.append(path)
    assert {"numpy", "tokenizers"} <= owners <= {"numpy", "numpy.libs", "tokenizers"}
    assert others == []
