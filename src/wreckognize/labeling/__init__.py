"""Which boxes a system is trained on, and which photos it never sees."""
