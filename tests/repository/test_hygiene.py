"""What a stranger finds in the repository: true documents, commands that exist, nothing left lying about."""

from __future__ import annotations

import ast
import re
import stat
import subprocess
from pathlib import Path

import pytest

from tests.repository.tree import PACKAGES, ROOT, text_files
from tests.support.skips import ALLOWED, allowed_skips

# Spelled in two halves, so that this file does not find itself.
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b")
MACHINES = re.compile(r"(?<![\w.])/(?:ho" r"me|Us" r"ers|ro" r"ot|wo" r"rk|mnt|workspace)/\w")
DOCUMENTS = ("README.md", "README_PORTUGUES.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
TARGETS = {
    "setup", "up", "test", "soak", "lint", "bench", "bench-faults", "bench-fleet", "load", "recording",
    "notebooks", "wokwi", "compose-up", "compose-down", "compose-test", "clean", "help",
}  # fmt: skip


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))


def commands(text: str) -> set[str]:
    """The `make …` that stand in code: between back-ticks or at the start of a line of an example."""
    return set(re.findall(r"(?:`|^\s*\$? ?)make ([a-z-]+)", text, re.MULTILINE))


def test_nothing_is_left_unfinished() -> None:
    assert [f"{path}: {found[0]}" for path, text in text_files() if (found := UNFINISHED.search(text))] == []


def test_no_path_of_somebodys_machine_stands_in_the_repository() -> None:
    lock = Path("uv.lock")
    found = [(path, MACHINES.search(text)) for path, text in text_files() if path != lock]
    assert [f"{path}: {match[0]}" for path, match in found if match] == []


def test_every_package_says_what_it_is_for() -> None:
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("__init__.py")]
    silent = [file for file in files if not ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))]
    assert [str(file.relative_to(ROOT)) for file in silent] == []


def test_every_python_folder_is_a_package() -> None:
    folders = {file.parent for package in PACKAGES for file in (ROOT / package).rglob("*.py")}
    # Alembic runs its revisions as scripts.
    modules = {folder for folder in folders if "migrations" not in folder.parts}
    assert [str(folder) for folder in sorted(modules) if not (folder / "__init__.py").exists()] == []


def test_the_makefile_has_its_targets_and_helps_with_each() -> None:
    assert targets() == TARGETS
    shown = subprocess.run(["make", "-C", ROOT, "help"], capture_output=True, text=True, check=True, timeout=30).stdout
    assert set(re.findall(r"make ([a-z-]+) ", shown)) == TARGETS


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_commands_in_a_document_exist(name: str) -> None:
    assert commands(read(name)) <= targets()


def test_the_readme_names_the_two_commands() -> None:
    assert {"up", "test"} <= commands(read("README.md"))


@pytest.mark.parametrize(
    "name", [*DOCUMENTS, *(f"docs/decisions/{p.name}" for p in (ROOT / "docs/decisions").glob("*.md"))]
)
def test_the_links_of_a_document_lead_somewhere(name: str) -> None:
    folder = (ROOT / name).parent
    links = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", read(name))
    assert [link for link in links if not (folder / link).exists()] == []


def test_every_folder_of_the_map_exists_and_every_package_is_on_it() -> None:
    mapped = set(re.findall(r"^\| `([\w./-]+)/` \|", read("ARCHITECTURE.md"), re.MULTILINE))
    assert set(PACKAGES) | {"tests", "benchmarks"} <= mapped
    assert [folder for folder in sorted(mapped) if not (ROOT / folder).is_dir()] == []


def test_a_decision_record_has_its_date_status_outcome_and_measurements() -> None:
    records = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert records
    for record in records:
        text = record.read_text(encoding="utf-8")
        assert re.search(r"^- Date: \d{4}-\d\d-\d\d$", text, re.MULTILINE), record.name
        assert re.search(r"^- Status: (accepted|superseded)", text, re.MULTILINE), record.name
        assert {"## Outcome", "## What was measured"} <= set(text.splitlines()), record.name


def test_the_licence_is_the_one_that_is_declared() -> None:
    assert "Apache License\n                           Version 2.0, January 2004" in read("LICENSE")
    assert 'license = "Apache-2.0"' in read("pyproject.toml")


def test_continuous_integration_runs_what_everybody_runs() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & stat.S_IXUSR
    assert "exec make test" in script.read_text(encoding="utf-8")
    assert "export CI=true" in script.read_text(encoding="utf-8")


def test_every_allowed_skip_names_a_test_and_a_reason() -> None:
    for node, reason in allowed_skips(ALLOWED.read_text(encoding="utf-8")).items():
        assert reason, node
        assert (ROOT / node.partition("::")[0]).is_file(), node
