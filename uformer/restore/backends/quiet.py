"""OpenVINO without its telemetry: this package takes `ov` from here and nowhere else.

Of the openvino package only the model converter, openvino.tools.ovc, uses openvino_telemetry; but `import openvino` imports
the converter, which then makes an identifier in the home folder and sends an event to Google Analytics. So the converter
is left out of that import, which also takes half as long without it, and whoever imports it later finds no telemetry
package and uses the silent stub that it has for that case. The runtime itself opens no connection.
"""

import sys
from typing import Any

TELEMETRY = "openvino_telemetry"
CONVERTER = "openvino.tools.ovc"


def silence() -> None:
    """Make openvino's telemetry impossible to import in this process; of no use to telemetry that was imported before."""
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
