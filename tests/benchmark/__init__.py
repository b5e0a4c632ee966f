"""What scripts/benchmark.py does: a full-size model with random weights, and the measuring of encoders."""

import sys

# As in engine/openvino_encoder.py: to OpenVINO, which is imported here without it, its telemetry is absent.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
