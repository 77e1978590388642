"""The manifests as they would be applied: valid, and agreed among themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from engine.cli.project import load_project
from tests.unit.docker.assembly import Document, assembled, containers, documents

FOLDER = Path(__file__).parents[3] / "docker" / "kubernetes"
BASE = FOLDER / "base"
PRODUCTION = FOLDER / "overlays" / "production"
OLDEST, NEWEST = "1.30", "1.37"
FOREIGN = {"RabbitmqCluster"}
"""Kinds that an operator brings: there is no schema for them here."""


@pytest.fixture(params=[BASE, PRODUCTION], ids=["base", "production"])
def manifests(request: pytest.FixtureRequest) -> list[Document]:
    return assembled(request.param)


def of_kind(manifests: list[Document], *kinds: str) -> list[Document]:
    found = [each for each in manifests if each["kind"] in kinds]
    assert found
    return found


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_every_manifest_fits_its_schema_strictly(manifests: list[Document], version: str) -> None:
    for document in manifests:
        if document["kind"] not in FOREIGN:
            kubernetes_validate.validate(document, version, strict=True)


def test_a_slip_would_be_found(manifests: list[Document]) -> None:
    [intake] = [each for each in manifests if each["metadata"]["name"] == "carebus-intake"][:1]
    intake["spec"]["template"]["spec"]["containers"][0]["readOnlyRootFilesystem"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(intake, NEWEST, strict=True)


def test_the_example_of_a_secret_is_one_and_is_not_applied(manifests: list[Document]) -> None:
    [example] = documents(BASE / "secret.example.yaml")
    kubernetes_validate.validate(example, NEWEST, strict=True)
    assert not [each for each in manifests if each["kind"] == "Secret"]
    for deployment in of_kind(manifests, "Deployment"):
        [engine] = containers(deployment)
        assert engine["envFrom"] == [{"secretRef": {"name": example["metadata"]["name"]}}]


def test_every_file_beside_a_kustomization_is_part_of_it() -> None:
    for folder in (BASE, PRODUCTION):
        text = (folder / "kustomization.yaml").read_text("utf-8")
        for path in folder.rglob("*.yaml"):
            if path.name not in ("kustomization.yaml", "secret.example.yaml"):
                assert str(path.relative_to(folder)) in text, path


def test_pods_keep_the_restricted_profile(manifests: list[Document]) -> None:
    for deployment in of_kind(manifests, "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in containers(deployment):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def test_services_do_not_become_settings(manifests: list[Document]) -> None:
    """Kubernetes makes CAREBUS_MLLP_SERVICE_HOST of one; the engine refuses to start (P002)."""
    services = [each["metadata"]["name"] for each in of_kind(manifests, "Service")]
    assert any(name.startswith("carebus-") for name in services)
    for deployment in of_kind(manifests, "Deployment"):
        assert deployment["spec"]["template"]["spec"]["enableServiceLinks"] is False


def test_there_is_time_for_a_drain(manifests: list[Document]) -> None:
    from engine.flow.engine import DRAIN_GRACE

    for deployment in of_kind(manifests, "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        before = pod["containers"][0].get("lifecycle", {}).get("preStop", {}).get("exec", {})
        pause = float(before.get("command", ["sleep", "0"])[1])
        assert pod["terminationGracePeriodSeconds"] > pause + 3 * DRAIN_GRACE.total_seconds()


def test_selectors_meet_pods(manifests: list[Document]) -> None:
    pods: list[dict[str, str]] = [
        each["spec"]["template"]["metadata"]["labels"] for each in of_kind(manifests, "Deployment")
    ]
    pods.append({"app.kubernetes.io/name": "rabbitmq"})  # the operator's
    selectors: list[dict[str, str]] = []
    for document in manifests:
        spec = document.get("spec", {})
        match document["kind"]:
            case "Service":
                selectors.append(spec["selector"])
            case "PodDisruptionBudget" | "Deployment":
                selectors.append(spec["selector"]["matchLabels"])
            case "NetworkPolicy":
                selectors.append(spec["podSelector"].get("matchLabels", {}))
    assert len(selectors) >= 9
    for wanted in selectors:
        assert any(wanted.items() <= labels.items() for labels in pods), wanted


def test_ports_are_those_of_the_containers(manifests: list[Document]) -> None:
    ports = {
        port["name"]: port["containerPort"]
        for deployment in of_kind(manifests, "Deployment")
        for container in containers(deployment)
        for port in container["ports"]
    }
    for service in of_kind(manifests, "Service"):
        for port in service["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["port"]
    [channel] = documents(BASE / "project" / "channels" / "his-adt.yaml")
    assert ports == {"mllp": channel["settings"]["port"], "control": 8600}


def test_the_project_of_the_config_map_loads_as_kubernetes_lays_it(
    manifests: list[Document], tmp_path: Path
) -> None:
    """Its files are links into ..data, which is a link itself: so that all change at once."""
    [config] = [each for each in manifests if each["kind"] == "ConfigMap"]
    for deployment in of_kind(manifests, "Deployment"):
        [volume] = [
            each["configMap"]
            for each in deployment["spec"]["template"]["spec"]["volumes"]
            if each["name"] == "project"
        ]
        assert volume["name"] == config["metadata"]["name"]
        root = tmp_path / deployment["metadata"]["name"]
        lay(root, config["data"], volume["items"])
        loaded = load_project(root)
        assert loaded.configuration is not None, loaded.diagnostics
        assert sorted(loaded.configuration.channels) == ["his-adt", "ward-adt"]


def lay(root: Path, data: dict[str, str], items: list[dict[str, Any]]) -> None:
    assert {item["key"] for item in items} == set(data)
    real = root / "..2026_11_22"
    for item in items:
        path = real / item["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(data[item["key"]], "utf-8")
    (root / "..data").symlink_to(real.name)
    for top in {item["path"].split("/")[0] for item in items}:
        (root / top).symlink_to(f"..data/{top}")
