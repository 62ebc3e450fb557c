"""The report of an evaluation: one HTML file that needs nothing but itself."""

from __future__ import annotations

from anchor_hub.evaluation.report.writing import REPORT_NAME, check_logs, named_runs, own_runs, write_report

__all__ = ["REPORT_NAME", "check_logs", "named_runs", "own_runs", "write_report"]
