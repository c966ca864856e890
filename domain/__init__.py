"""The rules, a room per subject. In each room the pure heart does no I/O, and operations and queries do it all."""
