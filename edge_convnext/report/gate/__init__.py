"""Gates: decide from a report whether a build may pass, fails, or can't be told yet.

`decide.gate` is the entry; `testing.assert_gate` is the same for a test suite.
"""
