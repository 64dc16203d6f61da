"""Makes this checkout the installed MindBot of the running virtual environment, without building anything.

An editable install would do the same, but it needs a build backend, which the lock holds only for some systems.
"""

from __future__ import annotations

import shutil
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

SCRIPT = """\
#!{python}
import sys

from {module} import {function}

if __name__ == "__main__":
    sys.exit({function}())
"""


METADATA = """\
Metadata-Version: 2.4
Name: {name}
Version: {version}
Summary: {description}
"""


def describe(project: dict[str, Any], purelib: Path) -> None:
    """Write the metadata by which Python and pip know the name and the version."""
    for stale in purelib.glob(f"{project['name']}-*.dist-info"):
        shutil.rmtree(stale)
    folder = purelib / f"{project['name']}-{project['version']}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(METADATA.format_map(project), encoding="utf-8")
    (folder / "INSTALLER").write_text("make\n", encoding="utf-8")


def main() -> None:
    """Write `mindbot.pth`, the metadata, and one console script for each entry of `project.scripts`."""
    if sys.prefix == sys.base_prefix:
        raise SystemExit("run this with the python of a virtual environment")
    purelib = Path(sysconfig.get_path("purelib"))
    (purelib / "mindbot.pth").write_text(f"{ROOT}\n", encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    describe(project, purelib)
    for name, target in project["scripts"].items():
        module, _, function = target.partition(":")
        script = Path(sysconfig.get_path("scripts"), name)
        script.write_text(SCRIPT.format(python=sys.executable, module=module, function=function), encoding="utf-8")
        script.chmod(0o755)


if __name__ == "__main__":
    main()
