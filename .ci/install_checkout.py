"""Makes this checkout the installed MindBot of the running virtual environment, without building anything.

An editable install would do the same, but it needs a build backend, which the lock holds only for some systems.
"""

from __future__ import annotations

import sys
import sysconfig
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

SCRIPT = """\
#!{python}
import sys

from {module} import {function}

if __name__ == "__main__":
    sys.exit({function}())
"""


def main() -> None:
    """Write `mindbot.pth` and one console script for each entry of `project.scripts`."""
    if sys.prefix == sys.base_prefix:
        raise SystemExit("run this with the python of a virtual environment")
    Path(sysconfig.get_path("purelib"), "mindbot.pth").write_text(f"{ROOT}\n", encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name, target in project["scripts"].items():
        module, _, function = target.partition(":")
        script = Path(sysconfig.get_path("scripts"), name)
        script.write_text(SCRIPT.format(python=sys.executable, module=module, function=function), encoding="utf-8")
        script.chmod(0o755)


if __name__ == "__main__":
    main()
