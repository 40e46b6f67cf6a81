"""What the README and the docstrings say is so."""

import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from vsat.cli.application import COMMANDS, vsat
from vsat.report import read_choices

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    "name",
    [
        "vsat.convert.candidate", "vsat.convert.exporting", "vsat.convert.model_card",
        "vsat.evaluation.differences", "vsat.metrics.decibels", "vsat.metrics.measuring",
        "vsat.metrics.permutation", "vsat.metrics.si_sdr", "vsat.progress", "vsat.report.choices",
        "vsat.report.contents", "vsat.report.loudness", "vsat.report.measures",
        "vsat.report.page", "vsat.separator", "vsat.updates.origin",
    ],
)  # fmt: skip
def test_examples_in_docstrings_hold(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted
    assert not result.failed


def test_the_python_of_the_readme_runs(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    environment = {"VSAT_HOME": str(tmp_path), "PATH": ""}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "'current_version': 1" in done.stdout


def test_the_readme_names_every_command_and_no_other():
    named = set(re.findall(r"^ +vsat ([a-z]+)|`vsat ([a-z]+)", README, re.MULTILINE))
    assert {one or other for one, other in named} == set(COMMANDS)


def test_links_of_the_readme_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_the_choices_in_the_page_on_the_report_are_of_the_form_that_is_read(tmp_path):
    (example,) = re.findall(
        r"```json\n(.*?)```", (ROOT / "docs" / "report.md").read_text(), re.DOTALL
    )
    path = tmp_path / "choices.json"
    path.write_text(example)
    assert len(read_choices(path).choices) == 2


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name):
    answer = CliRunner().invoke(vsat, [name, "--help"])
    assert answer.exit_code == 0
    assert name in answer.output
