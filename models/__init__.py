"""Tables, constraints and indexes; no rules."""

import models.sourceless  # isort: skip -- before any model is made, and so is the next.
import models.filtering  # noqa: F401
