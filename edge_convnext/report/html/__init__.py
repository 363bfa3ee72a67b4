"""The report as a page of HTML: a view model per section, pictures as numbers, and templates."""
