"""What a scrape does: selects checks, runs them in one batch, records the results."""
