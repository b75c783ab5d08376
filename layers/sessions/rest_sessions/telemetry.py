"""Structured logs and metrics. Neither ever gets a token, a key, session data, a raw path or a whole event."""

import json
import os
import time
import traceback
from typing import Any

from aws_lambda_powertools.logging import Logger

_NAMESPACE = "RestSessions"

# Powertools' own setting POWERTOOLS_SERVICE_NAME names the service, which tells the stacks of one account apart.
logger = Logger()


def count(metric: str, value: int = 1) -> None:
    """Adds `value` to a CloudWatch metric, by a line of embedded metric format in the log.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    Powertools' Metrics does the same in ten times the time, and is slow to import.
    """
    if os.environ.get("POWERTOOLS_METRICS_DISABLED") == "true":
        return
    print(  # noqa: T201 - CloudWatch reads metrics from the log
        f'{{"_aws":{{"Timestamp":{int(time.time() * 1000)},"CloudWatchMetrics":[{{"Namespace":"{_NAMESPACE}",'
        f'"Dimensions":[["service"]],"Metrics":[{{"Name":"{metric}","Unit":"Count"}}]}}]}},'
        f'"service":{json.dumps(logger.service)},"{metric}":{value}}}',
        flush=True,
    )


def error_fields(error: Exception) -> dict[str, Any]:
    """The log fields of an error: its type, and file, line and function of each frame.

    Its message stays out: it may quote a client's data.
    """
    frames = traceback.extract_tb(error.__traceback__)
    return {
        "error": type(error).__name__,
        "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }
