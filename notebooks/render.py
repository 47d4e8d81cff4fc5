"""An executed notebook as Markdown with pictures, to be read without Jupyter: summary first, code folded away."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import nbformat

from notebooks.clean import source_sha256
from notebooks.execute import FOLDER
from notebooks.record import RESULTS

SUMMARY, PARAMETERS = "summary", "parameters"
# Papermill writes the parameters in force into a cell with this tag.
_NOT_SHOWN = {SUMMARY, PARAMETERS, "injected-parameters", "hidden"}
# What reads well on a Git host over a telephone.
MAX_PICTURE_BYTES = 150_000


class PictureTooLargeError(ValueError):
    """A picture is too large for the repository; says which and by how much."""


def render(executed: Path, target: Path) -> Path:
    """Write `target`/NAME.md with its pictures in `target`/NAME/, from `executed` and the results beside it.

    Raises: PictureTooLargeError.
    """
    name = executed.stem
    pictures = target / name
    shutil.rmtree(pictures, ignore_errors=True)
    pictures.mkdir(parents=True)
    cells = nbformat.read(executed, as_version=4)["cells"]  # type: ignore[no-untyped-call]  # none published
    title, *rest = cells
    summary = [text for cell in cells if SUMMARY in _tags(cell) for text in _outputs(cell, pictures)]
    body = [text for cell in rest if not _NOT_SHOWN & _tags(cell) for text in _texts(cell, pictures)]
    facts = msgspec.json.decode((executed.parent / RESULTS).read_bytes())
    text = "\n\n".join([title["source"], *summary, *body, _origin(name, facts)])
    page = target / f"{name}.md"
    page.write_text(text + "\n", encoding="utf-8")
    return page


def _tags(cell: Any) -> set[str]:
    return set(cell["metadata"].get("tags", []))


def _texts(cell: Any, pictures: Path) -> Iterator[str]:
    if cell["cell_type"] == "markdown":
        yield cell["source"]
        return
    yield f"<details><summary>Code</summary>\n\n```python\n{cell['source']}\n```\n\n</details>"
    yield from _outputs(cell, pictures)


def _outputs(cell: Any, pictures: Path) -> Iterator[str]:
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if "image/png" in data:
            yield _picture(cell["metadata"], base64.b64decode(data["image/png"]), pictures)
        elif "text/markdown" in data:
            yield data["text/markdown"]
        elif output["output_type"] == "stream" and output["name"] == "stdout":
            yield f"```text\n{output['text'].rstrip()}\n```"


def _picture(metadata: Any, content: bytes, pictures: Path) -> str:
    if len(content) > MAX_PICTURE_BYTES:
        raise PictureTooLargeError(f"{metadata['picture']}.png has {len(content)} bytes of at most {MAX_PICTURE_BYTES}")
    (pictures / f"{metadata['picture']}.png").write_bytes(content)
    return f"![{metadata['alt']}]({pictures.name}/{metadata['picture']}.png)"


def _origin(name: str, facts: dict[str, Any]) -> str:
    """What it was made of: anybody can say whether theirs is the same."""
    versions = ", ".join(f"{library} {number}" for library, number in facts["versions"].items())
    parameters = ", ".join(f"{key} = {value}" for key, value in facts["parameters"].items())
    data = facts["data"]
    return (
        "---\n\n"
        f"Made by `make notebooks` on {facts['made_at'][:10]} from `notebooks/{name}.ipynb`; do not edit.\n\n"
        f"- Data: {len(data['files'])} file{'s' * (len(data['files']) > 1)} "
        f"({data['files'][0]}{' …' * (len(data['files']) > 1)}), SHA-256 `{data['sha256']}`\n"
        f"- Notebook: SHA-256 `{source_sha256(FOLDER / f'{name}.ipynb')}`\n"
        f"- Parameters: {parameters}\n"
        f"- Versions: {versions}"
    )
