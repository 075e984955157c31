"""Columns, looks and links that tables and panels about checks share."""

from __future__ import annotations

from grafana import scales
from grafana.panels import Look
from grafana.tables import Column
from grafana.variables import CHECK_DASHBOARD, CHECK_DASHBOARD_OF_SERIES, EXPORTER_PAGE

TO_CHECK = (("About this check", CHECK_DASHBOARD_OF_SERIES),)
LOG = (("Log of its latest runs", EXPORTER_PAGE),)

SECONDS = Look(unit=scales.SECONDS)
AVAILABLE = Look(unit=scales.SHARE, decimals=2)
DAYS_LEFT = Look(unit=scales.DAYS, decimals=0, steps=scales.DAYS_LEFT)

CHECK = Column(title="Check", label="check", look=Look(links=(("About this check", CHECK_DASHBOARD),)))


def status_column(expression: str) -> Column:
    """Return a column with the verdict as a coloured word that links to the log."""
    look = Look(words=scales.STATUS, links=LOG)
    return Column(title="Status", expression=expression, look=look, filled=True, width=90)


def reason_column(expression: str, *, width: int) -> Column:
    """Return a column with the reason why a check is failing, linked to the log."""
    return Column(title="Reason", label="reason", expression=expression, look=Look(links=LOG), width=width)


def since_column(expression: str) -> Column:
    """Return a column with the moment at which the present state began."""
    return Column(title="Since", expression=expression, look=Look(unit=scales.AGO), width=110)


def duration_column(title: str, expression: str, *, width: int = 95) -> Column:
    """Return a column with a duration."""
    return Column(title=title, expression=expression, look=SECONDS, width=width)


def availability_column(expression: str, *, title: str = "Availability", width: int = 100) -> Column:
    """Return a column with the share of runs that succeeded."""
    return Column(title=title, expression=expression, look=AVAILABLE, width=width)
