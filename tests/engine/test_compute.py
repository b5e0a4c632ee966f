"""How much of the machine an encoder takes, and on what it runs."""

from collections.abc import Iterator, Sequence
import logging
from pathlib import Path
import shutil
import sys
from typing import Any

import numpy as np
import openvino
import pytest
import threadpoolctl

from custom_components.semantic_home.engine import (
    ModelFilesError,
    NumPyEncoder,
    OpenVINOEncoder,
    Role,
    openvino_encoder,
    threads,
)
from custom_components.semantic_home.engine.compute import ComputeOptions, default_threads
from custom_components.semantic_home.engine.encoder import RuntimeMissingError
from custom_components.semantic_home.engine.heads import Heads
from custom_components.semantic_home.engine.openvino_encoder import available_devices

from .common import MODELS, tiny_spec

_FOLDER = MODELS / "tiny-xlmr-int8"
_SPEC = tiny_spec("tiny-xlmr-int8")
_TEXTS = ["turn off the lamp next to the couch", "lamp"]


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (3, 1), (4, 2), (8, 4), (64, 32)])
def test_half_of_the_cores(cores: int, threads: int) -> None:
    assert default_threads(cores) == threads


def test_default_is_for_the_cores_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.process_cpu_count", lambda: 6)
    assert ComputeOptions().thread_count == default_threads() == 3
    assert ComputeOptions(threads=5).thread_count == 5
    monkeypatch.setattr("os.process_cpu_count", lambda: None)
    assert default_threads() == 1


@pytest.mark.parametrize("threads", [0, -1])
def test_no_threads_are_none(threads: int) -> None:
    with pytest.raises(ValueError, match="threads"):
        ComputeOptions(threads=threads)


@pytest.mark.parametrize("threads", [1, 2, None])
def test_openvino_takes_as_many_threads_as_it_is_given(threads: int | None) -> None:
    encoder = OpenVINOEncoder(_FOLDER, _SPEC, ComputeOptions(threads=threads))
    assert encoder._model.get_property("INFERENCE_NUM_THREADS") == (threads or default_threads())
    assert encoder._model.get_property("ENABLE_CPU_PINNING") is False
    assert encoder._model.get_property("PERFORMANCE_HINT") == "LATENCY"


@pytest.mark.parametrize("exact", [True, False])
def test_exactness_reaches_openvino(monkeypatch: pytest.MonkeyPatch, *, exact: bool) -> None:
    given: list[dict[str, Any]] = []
    compile_model = openvino.Core.compile_model

    def note(core: openvino.Core, model: Any, device: str, properties: dict[str, Any]) -> Any:
        given.append(properties)
        return compile_model(core, model, device, properties)

    monkeypatch.setattr(openvino.Core, "compile_model", note)
    encoder = OpenVINOEncoder(_FOLDER, _SPEC, ComputeOptions(exact=exact))
    assert ("INFERENCE_PRECISION_HINT" in given[0]) == ("DYNAMIC_QUANTIZATION_GROUP_SIZE" in given[0]) == exact
    if exact:
        assert encoder._model.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.f32
        assert encoder._model.get_property("DYNAMIC_QUANTIZATION_GROUP_SIZE") == 0


def test_auto_runs_and_is_given_no_property_that_it_does_not_know() -> None:
    expected = OpenVINOEncoder(_FOLDER, _SPEC, ComputeOptions(exact=True)).encode(_TEXTS, Role.QUERY).dense
    auto = OpenVINOEncoder(_FOLDER, _SPEC, ComputeOptions(device="AUTO", threads=1, exact=True))
    np.testing.assert_allclose(auto.encode(_TEXTS, Role.QUERY).dense, expected, atol=1e-5)


def test_device_that_is_not_there() -> None:
    with pytest.raises(ModelFilesError) as caught:
        OpenVINOEncoder(_FOLDER, _SPEC, ComputeOptions(device="TPU"))
    assert caught.value.problem == "device_missing"
    assert caught.value.detail.startswith("TPU (") and "CPU" in caught.value.detail


class _Core:
    """OpenVINO on a machine with more devices than this one; they know few properties, and fail where told."""

    devices = ("CPU", "GPU.0", "GPU.1", "NPU")
    fails = False

    def __init__(self) -> None:
        self._core = _REAL_CORE()
        self.available_devices = list(self.devices)

    def read_model(self, graph: Path) -> Any:
        return self._core.read_model(graph)

    def get_property(self, device: str, name: str) -> Sequence[str]:
        known: Sequence[str] = self._core.get_property("CPU", name)
        return known if device == "CPU" else ["PERFORMANCE_HINT", "INFERENCE_PRECISION_HINT"]

    def compile_model(self, model: Any, device: str, properties: dict[str, Any]) -> Any:
        _given[device] = properties
        if self.fails:
            raise RuntimeError("to_shape was called on a dynamic shape.")
        return self._core.compile_model(model, "CPU", {})


_REAL_CORE = openvino.Core
_given: dict[str, dict[str, Any]] = {}


@pytest.fixture
def other_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Core]]:
    monkeypatch.setattr(openvino, "Core", _Core)
    monkeypatch.setattr(_Core, "fails", False)
    _given.clear()
    return _Core


@pytest.mark.parametrize("device", ["GPU", "GPU.0", "GPU.1", "NPU", "NPU.0"])
def test_other_devices_are_given_what_they_know(other_machine: type[_Core], device: str) -> None:
    encoder = OpenVINOEncoder(_FOLDER, _SPEC, ComputeOptions(device=device, threads=1, exact=True))
    assert encoder.encode(_TEXTS, Role.QUERY).dense.shape == (2, 64)
    assert _given == {device: {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}}


@pytest.mark.parametrize("device", ["GPU.2", "XPU", "", "CPU.1", "NPU.0.0"])
def test_devices_that_nobody_has(other_machine: type[_Core], device: str) -> None:
    with pytest.raises(ModelFilesError) as caught:
        OpenVINOEncoder(_FOLDER, _SPEC, ComputeOptions(device=device))
    assert caught.value.problem == "device_missing"


def _problem(folder: Path, device: str) -> tuple[str, str]:
    with pytest.raises(ModelFilesError) as caught:
        OpenVINOEncoder(folder, _SPEC, ComputeOptions(device=device))
    return caught.value.problem, caught.value.detail


def test_whose_fault_it_is(other_machine: type[_Core], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other_machine.fails = True
    assert _problem(_FOLDER, "NPU") == ("device_failed", "NPU")
    assert _problem(_FOLDER, "CPU") == ("file_unreadable", "openvino_model.xml")
    other_machine.fails = False
    # What cannot be read is the file's fault anywhere.
    folder = Path(shutil.copytree(_FOLDER, tmp_path / "model"))
    (folder / "openvino_model.xml").write_text("<net")
    assert _problem(folder, "GPU") == ("file_unreadable", "openvino_model.xml")

    def fail(*arguments: object) -> None:
        raise openvino_encoder.EncoderError("out of resources")

    # It may compile and yet not run.
    for place in (OpenVINOEncoder, "_run"), (Heads, "__call__"):
        with monkeypatch.context() as patch:
            patch.setattr(*place, fail)
            assert _problem(_FOLDER, "GPU") == ("device_failed", "GPU")
            assert _problem(_FOLDER, "CPU") == ("file_unreadable", "openvino_model.xml")


def test_devices_of_this_machine() -> None:
    assert available_devices()[0] == "CPU"
    assert ("AUTO" in available_devices()) == (len(available_devices()) > 1)


def test_auto_is_offered_where_there_is_a_choice(other_machine: type[_Core]) -> None:
    assert available_devices() == ("CPU", "GPU.0", "GPU.1", "NPU", "AUTO")


def test_devices_without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(RuntimeMissingError, match="openvino"):
        available_devices()


def _blas_threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[set[int]]:
    """Note with how many threads BLAS computes when the heads are."""
    noted: list[set[int]] = []
    call = Heads.__call__

    def note(self: Heads, *arguments: Any) -> Any:
        noted.append(_blas_threads())
        return call(self, *arguments)

    monkeypatch.setattr(Heads, "__call__", note)
    return noted


@pytest.mark.parametrize("before", [1, 2])
@pytest.mark.parametrize("threads", [1, 2, None])
def test_numpy_takes_as_many_threads_as_it_is_given_and_no_longer(
    seen: list[set[int]], before: int, threads: int | None
) -> None:
    assert _blas_threads(), "NumPy's BLAS is one that can be asked"
    with threadpoolctl.threadpool_limits(before, user_api="blas"):
        encoder = NumPyEncoder(_FOLDER, _SPEC, ComputeOptions(threads=threads))
        encoder.encode(_TEXTS, Role.QUERY)
        assert _blas_threads() == {before}
    assert seen == [{threads or default_threads()}] * 2


def test_numpy_gives_threads_back_after_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = NumPyEncoder(_FOLDER, _SPEC, ComputeOptions(threads=1))

    def fail(*arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Heads, "__call__", fail)
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        with pytest.raises(MemoryError):
            encoder.encode(_TEXTS, Role.QUERY)
        assert _blas_threads() == {2}


def test_numpy_where_its_threads_cannot_be_limited(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    expected = NumPyEncoder(_FOLDER, _SPEC, ComputeOptions(threads=1)).encode(_TEXTS, Role.QUERY).dense
    monkeypatch.setattr(threads, "_MAPS", tmp_path / "no such file")
    with caplog.at_level(logging.DEBUG, threads.__name__):
        encoder = NumPyEncoder(_FOLDER, _SPEC, ComputeOptions(threads=1))
    np.testing.assert_allclose(encoder.encode(_TEXTS, Role.QUERY).dense, expected, atol=1e-6)
    assert "cannot be limited" in caplog.text
