"""Registration data of domains: which RDAP or WHOIS server to query, and how to read the answers."""
