"""The Procfile, compose file, units and manifests agree with each other and with what each format allows."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from honcho import environ
from kubernetes import client as kubernetes_client

import celeryconfig

ROOT = Path(__file__).resolve().parents[2]
WORKERS = ["worker_fast", "worker_generate", "worker_agent", "worker_ingest", "worker_alerts"]
ROLES = ["release", "web", *WORKERS, "beat", "bridges", "watchdog", "local_model", "chroma", "flower"]
OURS = [role for role in ROLES if role != "release"]
STOP_GRACE_S = 60


def procfile() -> dict[str, str]:
    return dict(environ.parse_procfile((ROOT / "Procfile").read_text()).processes)


def compose() -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert isinstance(loaded, dict)
    return loaded


def queues_in(command: str) -> list[str]:
    found = re.search(r"-Q (\S+)", command)
    return found[1].split(",") if found else []


# -- Procfile ----------------------------------------------------------------------------------------------------------


def test_the_procfile_has_exactly_the_promised_roles() -> None:
    assert list(procfile()) == ROLES


def test_every_queue_is_served_by_exactly_one_role() -> None:
    served = [queue for command in procfile().values() for queue in queues_in(command)]
    assert sorted(served) == sorted(celeryconfig.QUEUES)


@pytest.mark.parametrize("role", OURS)
def test_a_line_of_the_procfile_is_a_program_with_arguments(role: str) -> None:
    words = shlex.split(procfile()[role].rpartition("exec ")[2])
    assert words[0] in {"gunicorn", "celery", "mindbot"}


def test_a_line_works_with_and_without_its_variable() -> None:
    line = procfile()["worker_generate"].replace("celery", "echo", 1)
    run = ["/bin/sh", "-c", line]
    plain = subprocess.run(run, capture_output=True, text=True, check=True, env={})
    tuned = subprocess.run(run, capture_output=True, text=True, check=True, env={"GENERATE_CONCURRENCY": "7"})
    assert "-c 50 " in plain.stdout
    assert "-c 7 " in tuned.stdout


# -- compose -----------------------------------------------------------------------------------------------------------

# The keys of the Compose specification that this file uses, and the type of each.
SERVICE_KEYS: dict[str, type | tuple[type, ...]] = {
    "build": (str, dict),
    "cap_drop": list,
    "command": (str, list),
    "depends_on": dict,
    "env_file": list,
    "environment": dict,
    "healthcheck": dict,
    "image": str,
    "init": bool,
    "mem_limit": str,
    "cpu_shares": int,
    "ports": list,
    "profiles": list,
    "read_only": bool,
    "restart": str,
    "security_opt": list,
    "shm_size": str,
    "stop_grace_period": str,
    "stop_signal": str,
    "tmpfs": (str, list),
    "volumes": list,
}
HEALTHCHECK_KEYS = {"test", "interval", "timeout", "retries", "start_period", "disable"}


def services() -> Iterator[tuple[str, dict[str, Any]]]:
    yield from compose()["services"].items()


def test_compose_uses_known_keys_with_values_of_the_right_type() -> None:
    assert {key for key in compose() if not key.startswith("x-")} <= {"services", "volumes"}
    for name, service in services():
        for key, value in service.items():
            assert key in SERVICE_KEYS, f"{name}.{key}"
            assert isinstance(value, SERVICE_KEYS[key]), f"{name}.{key}"
        assert set(service["healthcheck"]) <= HEALTHCHECK_KEYS, name
        assert all(isinstance(value, str) for value in service.get("environment", {}).values()), name


def test_every_role_of_the_procfile_is_a_service() -> None:
    assert set(ROLES) <= set(compose()["services"])


@pytest.mark.parametrize("role", WORKERS)
def test_a_worker_is_the_same_in_compose_as_in_the_procfile(role: str) -> None:
    service = compose()["services"][role]
    assert service["command"][2].replace("$$", "$") == "exec " + procfile()[role]
    asked = [word for word in service["healthcheck"]["test"] if word in celeryconfig.QUEUES]
    assert sorted(asked) == sorted(queues_in(procfile()[role]))


def test_profiles_hold_what_they_promise_and_what_that_needs() -> None:
    members: dict[str, set[str]] = {"core": set(), "full": set(), "demo": set(), "local": set()}
    for name, service in services():
        for profile in service["profiles"]:
            members[profile].add(name)
    core = {"web", "worker_fast", "worker_generate", "worker_alerts", "beat", "watchdog", "redis", "db", "release"}
    assert members["core"] == core
    more = {"flower", "worker_agent", "worker_ingest", "chroma", "bridges", "prometheus", "grafana"}
    assert members["full"] == core | more
    assert core < members["demo"]
    assert members["local"] == {"local_model"}
    for profile, names in members.items():
        for name in names:
            for needed, how in compose()["services"][name].get("depends_on", {}).items():
                assert needed in names, f"{profile}: {name} needs {needed}"
                assert how["condition"] in {"service_healthy", "service_completed_successfully"}


def test_every_service_has_time_to_stop_a_memory_limit_and_a_health_check() -> None:
    for name, service in services():
        assert "healthcheck" in service, name
        if name != "release":
            assert service["stop_grace_period"] == f"{STOP_GRACE_S}s", name
            assert "mem_limit" in service, name


def test_volumes_are_declared_and_nothing_but_the_door_is_published() -> None:
    for name, service in services():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert source.startswith((".", "/", "$")) or source in compose()["volumes"], f"{name}: {volume}"
        if name in ("web", "grafana"):
            assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        else:
            assert "ports" not in service, name


def test_no_service_has_a_password_by_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for name in ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "MINDBOT_SECRET_KEY"):
        uses = re.findall(rf"(?<!\$)\$\{{{name}([^}}]*)\}}", text)
        assert uses, name
        assert all(use.startswith(":?") for use in uses), name


# -- systemd -----------------------------------------------------------------------------------------------------------

UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))


def read_unit(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(path.read_text())
    return parser


def test_the_target_wants_units_that_exist() -> None:
    wanted = read_unit(ROOT / "deploy" / "systemd" / "mindbot.target")["Unit"]["Wants"].split()
    names = {path.name for path in UNITS}
    for unit in wanted:
        assert re.sub(r"@\w+", "@", unit) in names, unit


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_runs_a_program_of_ours_and_stops_in_time(path: Path) -> None:
    unit = read_unit(path)
    assert set(unit.sections()) <= {"Unit", "Service", "Install"}
    assert unit["Service"]["ExecStart"].split()[0].startswith("/opt/mindbot/.venv/bin/")
    assert unit["Service"]["User"] == "mindbot"
    if unit["Service"]["Type"] == "exec":
        assert unit["Service"]["TimeoutStopSec"] == str(STOP_GRACE_S)
        assert unit["Service"]["KillMode"] == "mixed"  # TERM for the program only: pool children would die of it


def test_the_worker_unit_has_settings_for_every_queue() -> None:
    served: list[str] = []
    for path in (ROOT / "deploy" / "systemd").glob("worker-*.env"):
        values = dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
        assert set(values) == {"QUEUES", "POOL", "CONCURRENCY"}
        served += values["QUEUES"].split(",")
    assert sorted(served) == sorted(celeryconfig.QUEUES)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")
def test_systemd_itself_finds_nothing_to_complain_about(tmp_path: Path) -> None:
    """Programs and accounts that exist only on a server are replaced by ones that exist everywhere."""
    names = []
    for path in [*UNITS, ROOT / "deploy" / "systemd" / "mindbot.target"]:
        text = re.sub(r"/opt/mindbot/\.venv/bin/\w+", "/bin/true", path.read_text()).replace(
            "User=mindbot", "User=root"
        )
        (tmp_path / path.name).write_text(text.replace("Group=mindbot", "Group=root"))
        names.append(path.name.replace("@.", "@fast."))
    (tmp_path / "mindbot-worker@fast.service").write_text((tmp_path / "mindbot-worker@.service").read_text())
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *[str(tmp_path / name) for name in names]],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "mindbot" in line]
    assert ours == []


# -- Kubernetes --------------------------------------------------------------------------------------------------------


def manifests() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "mindbot.yaml").read_text()))


MODELS = {"Deployment": "V1Deployment", "Job": "V1Job", "Service": "V1Service"}


def misfits(value: Any, kind: str, where: str) -> Iterator[str]:
    """What in `value` the Kubernetes API type `kind` does not know or would not take."""
    if inner := re.fullmatch(r"list\[(.+)\]", kind):
        if not isinstance(value, list):
            yield f"{where}: not a list"
            return
        for place, item in enumerate(value):
            yield from misfits(item, inner[1], f"{where}[{place}]")
    elif inner := re.fullmatch(r"dict\(str, (.+)\)", kind):
        for key, item in value.items():
            yield from misfits(item, inner[1], f"{where}.{key}")
    elif model := getattr(kubernetes_client, kind, None):
        if not isinstance(value, dict):
            yield f"{where}: not a {kind}"
            return
        attribute_of = {name: attribute for attribute, name in model.attribute_map.items()}
        for key, item in value.items():
            if key in attribute_of:
                yield from misfits(item, model.openapi_types[attribute_of[key]], f"{where}.{key}")
            else:
                yield f"{where}.{key}: unknown to {kind}"
    elif kind in {"str", "int", "bool", "float"}:
        expected = {"str": str, "int": int, "bool": bool, "float": float}[kind]
        if not isinstance(value, expected):
            yield f"{where}: {value!r} is no {kind}"


@pytest.mark.parametrize(
    "manifest", manifests(), ids=lambda manifest: f"{manifest['kind']} {manifest['metadata']['name']}"
)
def test_a_manifest_is_what_the_kubernetes_api_takes(manifest: dict[str, Any]) -> None:
    assert list(misfits(manifest, MODELS[manifest["kind"]], manifest["metadata"]["name"])) == []


def test_the_manifest_check_sees_a_misspelt_key_and_a_wrong_type() -> None:
    broken = {"kind": "Deployment", "spec": {"replica": 1, "minReadySeconds": "soon"}}
    assert list(misfits(broken, "V1Deployment", "x")) == [
        "x.spec.replica: unknown to V1DeploymentSpec",
        "x.spec.minReadySeconds: 'soon' is no int",
    ]


def test_kubernetes_serves_every_queue_and_gives_time_to_stop() -> None:
    served: list[str] = []
    for manifest in manifests():
        if manifest["kind"] != "Deployment":
            continue
        pod = manifest["spec"]["template"]
        assert pod["spec"]["terminationGracePeriodSeconds"] == STOP_GRACE_S
        assert manifest["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
        command = pod["spec"]["containers"][0]["command"][2]
        served += queues_in(command)
        asked = pod["spec"]["containers"][0]["livenessProbe"].get("exec", {}).get("command", [])
        assert set(queues_in(command)) <= set(asked)
    assert sorted(served) == sorted(celeryconfig.QUEUES)


# -- nginx -------------------------------------------------------------------------------------------------------------


def test_the_nginx_example_is_well_formed_and_lets_streams_through() -> None:
    text = re.sub(r"#.*", "", (ROOT / "deploy" / "nginx" / "mindbot.conf").read_text())
    assert text.count("{") == text.count("}")
    for statement in re.split(r"[{}]", text):
        assert (
            not statement.strip()
            or statement.strip().endswith(";")
            or "\n" not in statement.strip().rpartition(";")[2].strip()
        )
    assert "client_max_body_size 1m;" in text
    assert "proxy_buffering off;" in text
