"""What holds for every test."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# a busy machine draws examples slowly, which is no fault of what is tested
settings.register_profile("busy machine", suppress_health_check=[HealthCheck.too_slow], deadline=None)
settings.load_profile("busy machine")
