"""Results as rows, tables, plots and a page."""
