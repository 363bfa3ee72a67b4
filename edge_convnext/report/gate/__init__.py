"""Gates: decide from a report whether a build passes, fails, or is inconclusive.

`decide.gate` is the entry; `testing.assert_gate` is the same for a test suite.
"""
