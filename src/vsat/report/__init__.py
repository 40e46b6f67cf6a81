"""The report: versions compared on recordings, as one HTML file to look at and listen to."""

from vsat.report.choices import Choice, Choices, Preference, read_choices, wilson_interval
from vsat.report.contents import Comparison, Difference, Report, ReportFile, page_name
from vsat.report.measures import describe
from vsat.report.page import write_report

__all__ = [
    "Choice",
    "Choices",
    "Comparison",
    "Difference",
    "Preference",
    "Report",
    "ReportFile",
    "describe",
    "page_name",
    "read_choices",
    "wilson_interval",
    "write_report",
]
