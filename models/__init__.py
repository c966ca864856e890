"""Tables, constraints and indexes; no rules."""
