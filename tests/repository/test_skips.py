"""With CI=true a missing tool, service or data file is a failure; elsewhere it is a skip with one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repository.tree import ROOT
from tests.support.datasets import datasets
from tests.support.skips import allowed_skips

SKIPPING = {
    "by itself": "import pytest\ndef test_it():\n    pytest.skip('no such tool')\n",
    "by its mark": "import pytest\n@pytest.mark.skip(reason='no such tool')\ndef test_it(): ...\n",
    "by a fixture": "import pytest\n@pytest.fixture\ndef tool(): pytest.skip('no such tool')\ndef test_it(tool): ...\n",
    "as a module": "import pytest\npytest.skip('no such tool', allow_module_level=True)\n",
    "by an import": "import pytest\npytest.importorskip('no_such_tool')\ndef test_it(): ...\n",
}
XFAIL = "import pytest\n@pytest.mark.xfail(strict=True)\ndef test_it(): assert False\n"


def run(folder: Path, code: str, *, ci: bool) -> subprocess.CompletedProcess[str]:
    """Pytest over one small file, with the rule as a plug-in."""
    (folder / "test_small.py").write_text(code, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "tests.support.skips", "-p", "no:cacheprovider", str(folder)]
    environment = os.environ | {
        "CI": "true" if ci else "",
        "PYTHONPATH": str(ROOT),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("code", SKIPPING.values(), ids=SKIPPING)
def test_in_ci_a_skip_is_a_failure_with_its_reason(code: str, tmp_path: Path) -> None:
    result = run(tmp_path, code, ci=True)
    assert result.returncode in {1, 2}
    assert "no such tool" in result.stdout or "no_such_tool" in result.stdout
    assert "In CI a skip is a failure" in result.stdout


@pytest.mark.parametrize("code", SKIPPING.values(), ids=SKIPPING)
def test_elsewhere_a_skip_is_a_skip(code: str, tmp_path: Path) -> None:
    result = run(tmp_path, code, ci=False)
    assert result.returncode in {0, 5}
    assert "1 skipped" in result.stdout


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    assert "1 xfailed" in run(tmp_path, XFAIL, ci=True).stdout


def test_the_list_of_allowed_skips_is_one_test_a_line_with_its_reason() -> None:
    text = "# a comment\n\ntests/a/test_b.py::test_c  needs two machines\n"
    assert allowed_skips(text) == {"tests/a/test_b.py::test_c": "needs two machines"}


def test_missing_recordings_are_named_with_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RONDA_DATASETS", str(tmp_path / "nowhere"))
    with pytest.raises(pytest.skip.Exception, match="set RONDA_DATASETS to the folder that has skab/"):
        datasets()


def test_the_recordings_may_stand_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RONDA_DATASETS", str(tmp_path))
    assert datasets() == tmp_path
