"""Runs in the container: starts the contenders in turn, and prints how many ms each start took."""

import json
import os
import subprocess
import sys
import time

orders = json.loads(sys.argv[1])


def start(contender):
    """Runs a contender once. Returns the ms it took, the last line it printed, and its standard error."""
    environment = {"PATH": os.environ["PATH"], **contender["environment"]}
    begin = time.perf_counter()
    result = subprocess.run(contender["command"], env=environment, capture_output=True, text=True, check=False)
    taken = (time.perf_counter() - begin) * 1000
    if result.returncode:
        sys.exit(result.stderr)
    return taken, result.stdout.splitlines()[-1], result.stderr


for contender in orders["contenders"]:
    if "token_from" in contender:
        _, answer, _ = start({**contender, "command": contender["token_from"]})
        contender["environment"]["TOKEN"] = json.loads(answer)["token"]
times = {contender["name"]: [] for contender in orders["contenders"]}
for turn in range(orders["rounds"] + 1):
    for contender in orders["contenders"]:
        taken, _, _ = start(contender)
        # The first round only loads the files into memory.
        if turn:
            times[contender["name"]].append(taken)
imports = ""
if "imports" in orders:
    imports = start(orders["imports"])[2]
print(json.dumps({"times": times, "imports": imports}))
