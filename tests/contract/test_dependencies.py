"""29: the lowest versions that are declared are those that are tested."""

from __future__ import annotations

import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import Specifier
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOWEST = ROOT / ".ci" / "lowest.txt"


def requirements() -> list[Requirement]:
    """Answer what the package needs, with all of its extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    return [
        Requirement(line)
        for part in (project["dependencies"], *extras)
        for line in part
    ]


def bound(requirement: Requirement) -> Version:
    """Answer the one bound of a requirement, a lower one."""
    (specifier,) = requirement.specifier
    assert specifier.operator == ">="
    return Version(specifier.version)


def lowest() -> dict[str, Version]:
    """Answer the versions of the step of `.ci/run` with the lowest of each."""
    lines = [line for line in LOWEST.read_text().splitlines() if line[:1] not in "#"]
    pinned = [Requirement(line) for line in lines]
    operators = {s.operator for requirement in pinned for s in requirement.specifier}
    assert operators == {"=="}
    return {r.name: Version(next(iter(r.specifier)).version) for r in pinned}


@pytest.mark.skipif(not LOWEST.exists(), reason="only in a checkout")
def test_the_lowest_versions_are_tested():
    """All of them, and no others, which somebody would have to keep in step."""
    declared = {requirement.name: bound(requirement) for requirement in requirements()}
    assert lowest() == declared


def test_each_has_one_bound():
    """The same in every extra, so that there is one lowest version."""
    found = {(requirement.name, bound(requirement)) for requirement in requirements()}
    assert len(found) == len({name for name, _ in found})


@pytest.mark.parametrize("requirement", requirements(), ids=lambda r: r.name)
def test_installed_versions_are_declared(requirement):
    """What is tested here is within the bounds; not every extra may be there."""
    try:
        installed = version(requirement.name)
    except ModuleNotFoundError:
        pytest.skip("not installed")
    assert Specifier(f">={bound(requirement)}").contains(installed, prereleases=True)


def test_the_readme_names_the_floor_of_torch():
    floor = next(bound(r) for r in requirements() if r.name == "torch")
    text = (ROOT / "README.md").read_text()
    assert f"torch {floor}" in text
