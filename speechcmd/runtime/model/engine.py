"""The one door to onnxruntime, imported by whoever computes with a network.

From version 1.32 on, onnxruntime reports its use to its maker unless it is told otherwise before its import.
`speechcmd/__init__.py` tells it, so an import that comes after an import of ours stays on this computer.
"""

import onnxruntime

__all__ = ["onnxruntime"]
