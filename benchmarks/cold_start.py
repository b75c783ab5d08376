"""Runs in the container: starts a function and prints its first answer. Imports no more than a Lambda runtime."""

import json
import os
import sys

with open(f"/events/{sys.argv[1]}.json", encoding="utf-8") as file:  # noqa: PTH123 - pathlib takes time to import
    event = json.load(file)
if "token" in event["pathParameters"]:
    event["pathParameters"]["token"] = os.environ["TOKEN"]


class Context:
    """The part of Lambda's context object that the functions use."""

    aws_request_id = "00000000-0000-4000-8000-000000000000"


import app  # noqa: E402 - a Lambda runtime also imports it after its own start

answer = app.handler(event, Context())
print(answer["body"])
