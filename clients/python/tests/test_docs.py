"""The program in docs/clients.md works as it stands."""

import re
import subprocess
import sys

from tests.conftest import ROOT, running_service

PAGE = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")


def test_the_client_by_itself() -> None:
    [program] = re.findall(r"```python\n(from rest_sessions_client import Client\n.*?)```", PAGE, re.DOTALL)
    with running_service() as service:
        ran = subprocess.run(
            [sys.executable, "-c", program.replace("http://127.0.0.1:3000", service.url)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ran.stderr == ""
    assert re.fullmatch(r"12\n[A-Za-z0-9]{22} 192\.0\.2\.7 0\n", ran.stdout)
