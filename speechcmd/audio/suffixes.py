"""The one list of names that recordings go by.

What goes by another name is read too if it is named itself; in folders and corpora only these are looked for.
"""

from __future__ import annotations

READABLE = frozenset(
    {
        ".aif", ".aifc", ".aiff", ".au", ".avr", ".bwf", ".caf", ".flac", ".ircam", ".mp2", ".mp3", ".mpc2k",
        ".nist", ".oga", ".ogg", ".opus", ".paf", ".pvf", ".rf64", ".sd2", ".sds", ".snd", ".sph", ".svx",
        ".voc", ".w64", ".wav", ".wve", ".xi",
    }
)  # fmt: skip
"""Formats of libsndfile, but for names that other things have too (HTK features, MATLAB, raw)."""
NEEDS_FFMPEG = frozenset(
    {
        ".3gp", ".aac", ".ac3", ".amr", ".ape", ".avi", ".m4a", ".m4b", ".mka", ".mkv", ".mov", ".mp4",
        ".webm", ".wma", ".wv",
    }
)  # fmt: skip
"""Audio and video that libsndfile does not read: found, and reported with the line that converts it."""
ALL_SUFFIXES = READABLE | NEEDS_FFMPEG
