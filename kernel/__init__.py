"""The shared words: money, ids, time, states, errors, settings, logging. It knows nothing of ours."""
