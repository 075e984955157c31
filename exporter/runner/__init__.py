"""The batch: checks run side by side, each with its own timeout, retries and result."""
