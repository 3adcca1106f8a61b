"""What to do about a microphone, on Linux, macOS and Windows."""

from __future__ import annotations

import sys

_REINSTALL = "install it again: pip install --force-reinstall sounddevice"

# topic -> sys.platform -> advice; a platform that is not named gets the advice for Linux
_ADVICE = {
    "install": {
        "linux": "sudo apt install libportaudio2 (Debian, Ubuntu) or sudo dnf install portaudio (Fedora)",
        "darwin": f"brew install portaudio, or {_REINSTALL}",
        "win32": _REINSTALL,
    },
    "connect": {
        "linux": "plug one in, and look whether `arecord -l` and the sound settings show it",
        "darwin": "plug one in, and look whether System Settings > Sound > Input shows it",
        "win32": "plug one in, and look whether Settings > System > Sound > Input shows it",
    },
    "host error": {
        "linux": "close programs that hold it, plug it in again, or restart the sound service",
        "darwin": (
            "allow the terminal to use the microphone (System Settings > Privacy & Security > Microphone), "
            "then start it again"
        ),
        "win32": (
            "allow desktop apps to use the microphone (Settings > Privacy & security > Microphone), and "
            "close programs that hold it"
        ),
    },
    "permission": {
        "linux": (
            "unmute it (`pactl set-source-mute @DEFAULT_SOURCE@ 0`, alsamixer, or its own switch), choose "
            "the right input in the sound settings, and allow the microphone if this runs in a sandbox"
        ),
        "darwin": (
            "allow the terminal or editor that runs speechcmd to use the microphone (System Settings > "
            "Privacy & Security > Microphone), then start it again; look for a mute switch"
        ),
        "win32": (
            "switch on 'Let desktop apps access your microphone' (Settings > Privacy & security > "
            "Microphone); look for a mute switch"
        ),
    },
    "level": {
        "linux": (
            "speak while the check runs, come closer, or raise the input volume "
            "(`pactl set-source-volume @DEFAULT_SOURCE@ 100%`, or alsamixer, F4)"
        ),
        "darwin": (
            "speak while the check runs, come closer, or raise the input volume (System Settings > "
            "Sound > Input)"
        ),
        "win32": (
            "speak while the check runs, come closer, or raise the input volume (Settings > System > Sound > "
            "the microphone's properties)"
        ),
    },
    "telephone": {
        "linux": "use another microphone: a Bluetooth headset records in telephone quality only",
        "darwin": "use the computer's own microphone: a Bluetooth headset records in telephone quality only",
        "win32": "use another microphone: 'Hands-Free' devices record in telephone quality only",
    },
}


def advise(topic: str) -> str:
    """Advice on a topic for the platform this runs on."""
    texts = _ADVICE[topic]
    return texts.get(sys.platform, texts["linux"])
