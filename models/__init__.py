"""Tables, constraints and indexes; no rules."""

import models.sourceless  # noqa: F401 -- before any model is made.
