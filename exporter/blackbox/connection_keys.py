"""Reads the keys that several probers share: address family, source address and `tls_config`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.blackbox.inline_files import inline_file
from exporter.blackbox.recipe import settings_of
from exporter.net.tls.files import unusable_files
from exporter.settings import TlsConfig, parse_ip

if TYPE_CHECKING:
    from exporter.blackbox.recipe import ModuleFiles
    from exporter.config.block import Block
    from exporter.settings import IpProtocol

ADDRESS_KEYS = ("preferred_ip_protocol", "ip_protocol_fallback")
SOURCE_KEYS = ("source_ip_address",)
REVOCATION_KEYS = ("check_revoked",)

TLS_KEYS = (
    "ca", "ca_file", "ca_ref", "cert", "cert_file", "cert_ref", "key", "key_file", "key_ref", "server_name",
    "insecure_skip_verify", "min_version", "max_version",
)  # fmt: skip
_TLS_VERSIONS = ("TLS10", "TLS11", "TLS12", "TLS13")
_PROTOCOLS: dict[tuple[str, bool], IpProtocol] = {
    ("ip4", True): "prefer_ip4",
    ("ip4", False): "ip4",
    ("ip6", True): "prefer_ip6",
    ("ip6", False): "ip6",
}


def read_ip_protocol(block: Block) -> IpProtocol:
    """Return which addresses are used; IPv6 is preferred by default, with IPv4 to fall back on."""
    family = block.text("preferred_ip_protocol") or "ip6"
    falls_back = block.flag("ip_protocol_fallback", default=True)
    if family not in ("ip4", "ip6"):
        if family.lower() in ("ipv4", "ip4", "4", "inet", "v4"):
            block.warn("preferred_ip_protocol", f'"{family}" means IPv4; write ip4')
        else:
            block.refuse("preferred_ip_protocol", f'"{family}" is not an IP protocol; write ip4 or ip6')
        family = "ip4"
    return _PROTOCOLS[family, falls_back]


def read_source_ip(block: Block) -> str | None:
    """Return the address to connect from."""
    return block.parsed("source_ip_address", parse_ip, None) if block.text("source_ip_address") else None


def read_tls_config(parent: Block, module_files: ModuleFiles) -> TlsConfig:
    """Return the TLS options of a block; the defaults when they have a fault, which is then reported.

    Relative paths are relative to the working directory of the process.
    """
    block = parent.block("tls_config", TLS_KEYS)
    files: dict[str, str] = {}
    for item in ("ca", "cert", "key"):
        read = _read_pem(block, item, module_files)
        if read is not None:
            files[f"{item}_file"] = read
    _check_pair(block, files)
    values: dict[str, object] = dict(files)
    for bound in ("min_version", "max_version"):
        if version := block.text(bound):
            values[bound] = version
            if version not in _TLS_VERSIONS:
                block.refuse(bound, f'"{version}" is not a TLS version; write {", ".join(_TLS_VERSIONS)}')
                del values[bound]
    if name := block.text("server_name"):
        values["server_name"] = name
    values["insecure_skip_verify"] = block.flag("insecure_skip_verify", default=False)
    if "max_version" in values and "min_version" not in values and str(values["max_version"]) < "TLS12":
        values["min_version"] = values["max_version"]
    least, most = str(values.get("min_version", "")), str(values.get("max_version", "TLS13"))
    if least > most:
        block.refuse("max_version", f"{most} is below min_version {least}")
        del values["max_version"]
    return settings_of(TlsConfig, values, block) or TlsConfig()


def warn_of_revocation(block: Block) -> None:
    """Warn that a probe does not check whether certificates have been revoked, if the block asks for that."""
    if block.flag("check_revoked", default=False):
        block.warn("check_revoked", "has no effect here; write a check of type certificate into --config.file")


def _read_pem(block: Block, item: str, module_files: ModuleFiles) -> str | None:
    """Return the file of a certificate or key, which may be written in the configuration itself."""
    source = block.source(item)
    if not source:
        return None
    text = block.text(source)
    if source == item:
        return inline_file(text)
    return text if module_files.has(block.at(source), block.problems) else None


def _check_pair(block: Block, files: dict[str, str]) -> None:
    """Report a certificate without a key, and files that cannot be used; leave only what can."""
    for given, missing in (("cert", "key"), ("key", "cert")):
        written = given if given in block else f"{given}_file"
        if written in block and missing not in block and f"{missing}_file" not in block:
            block.refuse(written, f"needs {missing} or {missing}_file as well", on_key=True)
    if ("cert_file" in files) != ("key_file" in files):
        files.pop("cert_file" if "cert_file" in files else "key_file")
    for error in unusable_files(files.get("ca_file"), files.get("cert_file"), files.get("key_file")):
        item = next(key.removesuffix("_file") for key, file in files.items() if file == error.file)
        named = f'"{error.file}" ' if item not in block else ""
        block.refuse(item if item in block else f"{item}_file", f"{named}cannot be used: {error.why}")
