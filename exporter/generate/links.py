"""Links in alerts: to the page of a check, to a dashboard and to the instructions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.public_address import check_path

if TYPE_CHECKING:
    from exporter.model import Check

_CHOICES = "&".join(f"var-{name}={{{{ $labels.{name} | urlquery }}}}" for name in ("job", "instance", "check"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """The destinations of links in alerts; an empty one is looked up in the series `all:alert_links:info`.

    Attributes:
        exporter_url: URL of the exporter's pages; when the series has none, or is missing, the address that Prometheus
            scrapes, for which `{instance}` stands in the series.
        route_prefix: The path before them at the address that Prometheus scrapes, if that is where they are looked for.
        grafana_url: URL of Grafana with the dashboards.
        runbook_url: URL of the page that has a heading for each alert.
    """

    exporter_url: str = ""
    route_prefix: str = ""
    grafana_url: str = ""
    runbook_url: str = ""

    def to_check(self, check: Check) -> str:
        """Return a template of the address of the check's page."""
        path = check_path(check.name)
        if self.exporter_url:
            return literal(self.exporter_url.rstrip("/")) + path
        scraped = f'{{{{ $url := "http://{{instance}}{self.route_prefix}" }}}}'
        looked_up = _looked_up("{{ with .Labels.exporter_url }}{{ $url = . }}{{ end }}")
        return scraped + looked_up + '{{ reReplaceAll "{instance}" $labels.instance $url }}' + path

    def to_dashboard(self, name: str) -> str:
        """Return a template of the address of a dashboard."""
        path = f"/d/{name}?{_CHOICES}"
        if self.grafana_url:
            return literal(self.grafana_url.rstrip("/")) + path
        return _looked_up("{{ .Labels.grafana_url }}" + path)

    def to_runbook(self, alert_name: str) -> str:
        """Return a template of the address of the instructions for an alert."""
        fragment = f"#{alert_name.lower()}"
        return (
            literal(self.runbook_url) + fragment
            if self.runbook_url
            else _looked_up("{{ .Labels.runbook_url }}" + fragment)
        )


def _looked_up(template: str) -> str:
    """Return a template that is expanded with the labels of the series that `links.yml` records."""
    return f'{{{{ range query "all:alert_links:info" }}}}{template}{{{{ end }}}}'


def literal(text: str) -> str:
    """Escape a text so that Prometheus, which expands labels and annotations as templates, shows it unchanged."""
    return text.replace("{{", '{{ "{{" }}')
