"""The contract: what a report says, how it is decided and written, and the gate that reads it."""
