"""Registration data of domains: who is asked by RDAP or WHOIS, and what the answers say."""
