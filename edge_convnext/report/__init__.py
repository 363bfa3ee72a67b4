"""The report: its contract, the verdict, how it is written, and the gate that reads it."""
