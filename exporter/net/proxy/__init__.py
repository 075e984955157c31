"""Connections through HTTP and SOCKS proxies."""
