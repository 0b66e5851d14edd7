"""Detectors behind one port: `port` says what a detector is, each other module is one engine."""
