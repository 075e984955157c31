"""Runs batches of checks concurrently, each check with its own timeout, retries and result."""
