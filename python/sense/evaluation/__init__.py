"""The parts of `sense.evaluate`, one concept a file: what to do (settings, targets, suite), what
came of it (outcomes, summary, curve, convergence), and what that is worth (diagnostics, compare)."""
