"""The files of docs/cluster.md are valid, and the settings that it names are those there are."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import typer
import yaml

from allocsearch.cli import app
from allocsearch.config import RaySection, StudySection, load

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "cluster.md").read_text()
BLOCKS = dict(re.findall(r"<!-- (.+?) -->\n```\w+\n(.*?)```", TEXT, re.DOTALL))


def test_the_cluster_file_is_one_of_ray():
    autoscaler = pytest.importorskip("ray.autoscaler._private.util", reason="no Ray here")
    content = yaml.safe_load(BLOCKS["ray up"])
    autoscaler.validate_config(autoscaler.prepare_config(content))
    assert content["head_node_type"] in content["available_node_types"]
    # A worker asks for a GPU, which one node has to have when the study starts.
    gpu = content["available_node_types"]["gpu"]
    assert gpu["resources"]["GPU"] >= 1
    assert gpu["min_workers"] >= 1


def test_the_job_is_one_of_kubernetes():
    validator = pytest.importorskip("kubernetes_validate", reason="no schemas of Kubernetes here")
    content = yaml.safe_load(BLOCKS["kubectl apply"])
    validator.validate(content, validator.latest_version(), strict=True)
    [container] = content["spec"]["template"]["spec"]["containers"]
    shell(container["args"][0])


@pytest.mark.parametrize("name", ["ray exec", "sbatch"])
def test_the_scripts_are_sound(name):
    shell(BLOCKS[name])


def shell(script: str) -> None:
    """Have shellcheck read a script, and bash parse it."""
    program = Path(sys.executable).with_name("shellcheck")
    if not program.exists():
        pytest.skip("no shellcheck here")
    for command in ([str(program), "-s", "bash", "-"], ["bash", "-n"]):
        done = subprocess.run(command, input=script, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def commands() -> list[list[str]]:
    """Every call of our own command, in words."""
    found = re.findall(r"allocsearch ((?:run|worker) (?:[^\n']*\\\n)*[^\n`']*)", TEXT)
    return [shlex.split(text.replace("\\\n", " "), comments=True) for text in found]


def test_every_command_can_be_given():
    known = typer.main.get_command(app).commands
    given = commands()
    assert len(given) == 9
    for verb, study, *rest in given:
        command = known[verb]
        options = {name for parameter in command.params for name in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= options
        if study.startswith("studies/"):
            changes = [value for key, value in pairwise(rest) if key == "--set"]
            load(ROOT / study, changes)


def test_every_setting_is_explained():
    rows = dict(re.findall(r"^\| `([a-z_.]+)` \| (\S+) \|", TEXT, re.MULTILINE))
    fields = {f"ray.{name}": field for name, field in RaySection.model_fields.items()}
    for name in ("executor", "workers"):
        fields[f"study.{name}"] = StudySection.model_fields[name]
    assert {*rows} == {*fields}
    for key, field in fields.items():
        default = f'"{field.default}"' if isinstance(field.default, str) else str(field.default)
        assert rows[key].strip("`").lower() == default.lower()
