"""Two or more builds side by side: what is better or worse, and what changed. Decides nothing."""
