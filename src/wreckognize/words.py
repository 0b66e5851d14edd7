"""Words that tables and labels share; importing them costs nothing."""

from __future__ import annotations

DAMAGE_TYPES = ("Scratched", "Separated", "Breakage", "Crushed")
VEHICLE = "vehicle"
"""The kind of a box round a vehicle; every other kind is a damage type."""
