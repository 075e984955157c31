"""The variables at the top of a dashboard, and the links and annotations that use them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models.common import DataSourceRef
from grafana_foundation_sdk.models.dashboard import VariableOption, VariableRefresh, VariableSort

if TYPE_CHECKING:
    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.models.dashboard import VariableModel

DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")

ANY = ".*"
_OBJECTIVES = ("99.9", "90", "95", "99", "99.5", "99.95", "99.99")

TAG = "nyxmon"

SCOPE = "${datasource:queryparam}&${job:queryparam}&${instance:queryparam}&${scheme:queryparam}"
"""Query string that passes the selection on to other dashboards."""

_SAME_TIME = f"{SCOPE}&${{__url_time_range}}"
CHECK_DASHBOARD = f"/d/nyxmon-check?var-check=${{__data.fields.check:percentencode}}&{_SAME_TIME}"
"""Address of the check dashboard for the check in a table's row."""

CHECK_DASHBOARD_OF_SERIES = f"/d/nyxmon-check?var-check=${{__field.labels.check:percentencode}}&{_SAME_TIME}"
"""Address of the check dashboard for the check of a series, by its label `check`."""

EXPORTER_PAGE = "${scheme}://${exporter}/checks/${__data.fields.check:percentencode}"
"""Address of the exporter's page for the check in a table's row, with the log of its latest runs."""

EXPORTER_PAGE_OF_CHECK = "${scheme}://${exporter}/checks/${check:percentencode}"
"""Address of the exporter's page for the check that the dashboard shows."""

EXPORTER_PAGE_OF_ROW = "${scheme}://${__data.fields.instance}/checks/${check:percentencode}"
"""Address of the page for that check on the exporter in a table's row."""


OF_NYXMON = ('alertname=~"Nyxmon.*"', 'job=~"$job|"', 'instance=~"$instance|"')
"""Matchers for the alerts of these rules about the selected exporters; some alerts have neither job nor instance."""


def datasource() -> Builder[VariableModel]:
    """Return the variable that selects the Prometheus."""
    return builders.DatasourceVariable("datasource").label("Data source").type("prometheus")


def query(name: str, label: str, text: str) -> builders.QueryVariable:
    """Return a variable with values from a Prometheus query, of which one is selected."""
    return (
        builders.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query({"query": text, "refId": f"variable-{name}"})
        .definition(text)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.NATURAL_ASC)
    )


def several(name: str, label: str, text: str, *, all_value: str | None = ANY) -> builders.QueryVariable:
    """Return a variable of which several values can be selected, all by default.

    Args:
        name: Name of the variable.
        label: Its label on the dashboard.
        text: The query for its values.
        all_value: Regular expression for all values; None for an alternation of the existing ones.
    """
    variable = query(name, label, text).multi(multi=True).include_all(include_all=True)
    variable.current(VariableOption(selected=True, text=["All"], value=["$__all"]))
    return variable if all_value is None else variable.all_value(all_value)


def of_exporters(metric: str) -> list[Builder[VariableModel]]:
    """Return the variables that select exporters, from those with series of the metric."""
    return [
        datasource(),
        several("job", "Job", f"label_values({metric}, job)"),
        several("instance", "Instance", f'label_values({metric}{{job=~"$job"}}, instance)'),
        *pages(metric),
    ]


def of_checks(metric: str, *, single: bool = False) -> list[Builder[VariableModel]]:
    """Return the variables that select checks: by type, by any label, and by name.

    The configured labels of a check are on `nyxmon_check_info` in a scrape of `/metrics`, and on all series of a
    discovered target. The variables offer both; the label `check` is always among them.

    Args:
        metric: Only checks with series of this metric are offered.
        single: Whether the dashboard shows a single check.
    """
    scope = 'job=~"$job",instance=~"$instance"'
    variables = of_exporters("probe_status")
    variables.append(several("check_type", "Type", f"label_values({metric}{{{scope}}}, check_type)"))
    names = f'{metric}{{{scope},check_type=~"$check_type"}}'
    if single:
        return [*variables, query("check", "Check", f"label_values({names}, check)")]
    labelled = f'{{__name__=~"nyxmon_check_info|{metric}",{scope},check_type=~"$check_type",$label=~"$value"}}'
    label = query("label", "By label", f"label_names(nyxmon_check_info|{metric})")
    return [
        *variables,
        label.regex("/^(?!(?:__name__|instance|job)$).+$/").current(_chosen("check")),
        several("value", "is", f'label_values({{__name__=~"nyxmon_check_info|{metric}",{scope}}}, $label)'),
        several("check", "Check", f"label_values({labelled}, check)", all_value=None),
    ]


def objective() -> Builder[VariableModel]:
    """Return the variable that selects the objective: an availability in percent."""
    options = [
        VariableOption(selected=value == _OBJECTIVES[0], text=f"{value} %", value=value) for value in _OBJECTIVES
    ]
    return (
        builders.CustomVariable("objective")
        .label("Objective")
        .description("The availability aimed at, in percent; the rest is the error budget")
        .values(", ".join(f"{value} % : {value}" for value in _OBJECTIVES))
        .options(options)
        .current(options[0])
    )


def pages(metric: str) -> list[Builder[VariableModel]]:
    """Return the variables that say where the exporter's pages are: those of the first selected exporter.

    Args:
        metric: Only exporters with series of this metric are offered.
    """
    selected = f'{metric}{{job=~"$job",instance=~"$instance"}}'
    exporter = query("exporter", "Pages of", f"label_values({selected}, instance)")
    scheme = builders.CustomVariable("scheme").label("by").values("http, https").current(_chosen("http"))
    scheme.options([_chosen("http"), VariableOption(selected=False, text="https", value="https")])
    return [exporter.description("The exporter whose pages links lead to"), scheme]


def _chosen(value: str) -> VariableOption:
    return VariableOption(selected=True, text=value, value=value)


def alerts(*matchers: str) -> builders.AnnotationQuery:
    """Return annotations that mark when alerts were firing.

    Args:
        matchers: Matchers that select the alerts, such as `check=~"$check"`.
    """
    firing = ",".join(('alertstate="firing"', *matchers))
    marks = _marks("Alerts", "red", f"ALERTS{{{firing}}}")
    return (
        marks.title_format("{{alertname}} {{check}}{{group}}").text_format("{{target}}").tag_keys("severity,check_type")
    )


def maintenance() -> builders.AnnotationQuery:
    """Return annotations that mark when the selected checks were in maintenance."""
    expected = 'max by (check) (probe_maintenance{job=~"$job",instance=~"$instance",check=~"$check"}) == 1'
    return _marks("Maintenance", "blue", expected).title_format("{{check}} in maintenance")


def changes() -> list[builders.AnnotationQuery]:
    """Return annotations that mark reloads of the configuration and changes of the exporter's version."""
    of = '{job=~"$job",instance=~"$instance"}'
    loaded = f"changes(nyxmon_exporter_config_last_reload_success_timestamp_seconds{of}[1m])"
    version = f"group by (instance, version) (nyxmon_exporter_build_info{of}"
    before = f"{version} offset 1m)"
    changed = f"({version}) unless {before}) and on (instance) {before}"
    return [
        _marks("Reloads", "purple", f"max by (instance) ({loaded}) > 0").title_format("{{instance}} reloaded"),
        _marks("Versions", "yellow", changed).title_format("{{instance}} is now version {{version}}"),
    ]


def _marks(name: str, colour: str, expression: str) -> builders.AnnotationQuery:
    marks = builders.AnnotationQuery().name(name).datasource(DATASOURCE).enable(enable=True).icon_color(colour)
    return marks.expr(expression).step("30s")
