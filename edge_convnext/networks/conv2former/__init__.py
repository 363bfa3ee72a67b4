"""Conv2Former: shapes, modules and the family."""
