"""Writes the stack parameter `Revision`, a digest of everything in a deployment. samconfig.toml passes it to SAM."""

import hashlib
import os
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REVISION = ROOT / ".aws-sam" / "revision.yaml"
PARTS = (".aws-sam/build", "functions", "template.yaml", "samconfig.toml")


def revision() -> str:
    """A digest that changes with the built template and layer, the functions, and the parameters in samconfig.toml."""
    digest = hashlib.sha256()
    for part in PARTS:
        path = ROOT / part
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                digest.update(f"{file.relative_to(ROOT)}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


if __name__ == "__main__":
    digest = revision()
    if os.environ.get("FORCE"):
        digest = hashlib.sha256(f"{digest}\0{time.time()}".encode()).hexdigest()
    REVISION.write_text(f"Revision: {digest}\n", encoding="utf-8")
