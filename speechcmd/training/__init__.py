"""From a store to a trained network, and from that to a model file; torch lives here and in `models` alone.

Each room imports only what stands before it: settings, augment, data, mining, loop, then series or export.
"""
