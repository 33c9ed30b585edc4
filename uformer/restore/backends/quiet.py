"""Imports OpenVINO without its telemetry. All code of this package takes `ov` from here.

`import openvino` also imports its model converter, openvino.tools.ovc. The converter, and no other part, uses
openvino_telemetry: it creates an identifier in the home folder and sends an event to Google Analytics. This
module therefore keeps the converter out of that import, which also halves the import time. If the converter
is imported later, it finds no telemetry package and uses its own silent stub. The OpenVINO runtime opens no
connection.
"""

import sys
from typing import Any

TELEMETRY = "openvino_telemetry"
CONVERTER = "openvino.tools.ovc"


def silence() -> None:
    """Make openvino_telemetry impossible to import in this process. Has no effect once it is imported."""
    modules: dict[str, Any] = sys.modules
    modules.setdefault(TELEMETRY, None)


def _import_openvino() -> Any:
    modules: dict[str, Any] = sys.modules
    silence()
    left_out = CONVERTER not in modules
    modules.setdefault(CONVERTER, None)
    try:
        import openvino  # noqa: PLC0415 - only after the lines above
    finally:
        if left_out:
            del modules[CONVERTER]
    return openvino


ov = _import_openvino()
