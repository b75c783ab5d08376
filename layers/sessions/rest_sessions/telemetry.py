"""Structured logs and metrics. Neither ever gets a token, a key, session data, a raw path or a whole event."""

import json
import os
import time
import traceback
from types import TracebackType

from aws_lambda_powertools.logging import Logger

from .validation import is_app

_NAMESPACE = "RestSessions"

# The service, which tells stacks of one account apart, is Powertools' own setting: POWERTOOLS_SERVICE_NAME.
logger = Logger()


def count(metric: str, value: int = 1) -> None:
    """Adds `value` to a CloudWatch metric, by a line of embedded metric format in the log.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    Powertools' Metrics would do as much in ten times the time, and is slow to import.
    """
    if os.environ.get("POWERTOOLS_METRICS_DISABLED") == "true":
        return
    print(  # noqa: T201 - the log is where CloudWatch reads it
        f'{{"_aws":{{"Timestamp":{int(time.time() * 1000)},"CloudWatchMetrics":[{{"Namespace":"{_NAMESPACE}",'
        f'"Dimensions":[["service"]],"Metrics":[{{"Name":"{metric}","Unit":"Count"}}]}}]}},'
        f'"service":{json.dumps(logger.service)},"{metric}":{value}}}',
        flush=True,
    )


def log_access(outcome: str, *, key_name: str, operation: str, app: str, **ids: str) -> None:
    """One line of the trail: who did, or was refused, what in which app."""
    # A text that is no app's name could be anything, and stays out of the log.
    details = {"key_name": key_name, "operation": operation, "app": app if is_app(app) else "", "outcome": outcome}
    logger.info("Access", extra={**details, **ids})


def frames(trace: TracebackType | None) -> list[str]:
    """Where an error came from, without its message, which may quote a client's data."""
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)]
