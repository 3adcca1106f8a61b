"""speechcmd hears spoken commands: offline, in one model file, with its mistakes counted."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from speechcmd.errors import SpeechcmdError

if TYPE_CHECKING:
    from speechcmd.runtime.recognition.decoder import Detection
    from speechcmd.runtime.recognition.recognizer import Recognizer

# set before its import, or onnxruntime reports its use over the network; our processes inherit it
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = "0.1.0"
__all__ = ["Detection", "Recognizer", "SpeechcmdError", "__version__"]

_LAZY = {
    "Recognizer": "speechcmd.runtime.recognition.recognizer",
    "Detection": "speechcmd.runtime.recognition.decoder",
}


def __getattr__(name: str) -> Any:
    """Import the runtime when it is first asked for: `import speechcmd` itself stays light."""
    if name not in _LAZY:
        raise AttributeError(f"module 'speechcmd' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
