"""One HTML file that holds a whole view: libraries and data packed inside, nothing fetched, ever.

The file unpacks itself with the browser's own ``DecompressionStream``. A content security policy
forbids every connection and every script but ours, which carry a nonce made from the content.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import tempfile
from functools import cache
from importlib.resources import files
from pathlib import Path

from bokeh.document import Document
from bokeh.embed.util import standalone_docs_json_and_render_items
from bokeh.models import LayoutDOM

from infoplane.errors import StoreError
from infoplane.views import packing
from infoplane.views.frame import Packed
from infoplane.views.text import label

_SIGNS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
# Base 85 is a twentieth shorter than base 64; signs that mean something to HTML are put aside.
_SAFE = bytes.maketrans(b"<>&", b",.:")
_LIBRARIES = ("bokeh.min.js", "bokeh-widgets.min.js")

# Bokeh compiles its callbacks ('unsafe-eval') and styles its elements ('unsafe-inline').
_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
    "script-src 'nonce-{nonce}' 'unsafe-eval'; style-src 'unsafe-inline'"
)

_PAGE = """<!doctype html>
<html lang="en"{theme}>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{before}<div id="{target}" class="view"></div>
{after}<script type="text/plain" id="ip-libraries">{libraries}</script>
<script type="text/plain" id="ip-document">{document}</script>
<script type="text/plain" id="ip-rows">{rows}</script>
<script nonce="{nonce}">{start}</script>
</body>
</html>
"""

# Unpack, run the libraries, hand over the document. The nonce is read where the browser keeps it.
_START = """
(async () => {
  const nonce = document.currentScript.nonce
  const decode = text => {  // base 85: four bytes in five signs, the last group cut short
    const value = new Uint8Array(128), bytes = new Uint8Array(Math.ceil(text.length / 5) * 4)
    for (let i = 0; i < 85; i++) value["ALPHABET".charCodeAt(i)] = i
    const view = new DataView(bytes.buffer), missing = (5 - text.length % 5) % 5
    for (let i = 0, at = 0; i < text.length; at += 4) {
      let sum = 0
      for (let k = 0; k < 5; k++, i++) {
        sum = sum * 85 + (i < text.length ? value[text.charCodeAt(i)] : 84)
      }
      view.setUint32(at, sum)
    }
    return bytes.subarray(0, bytes.length - missing)
  }
  const unpack = async id => {
    const node = document.getElementById(id)
    const bytes = decode(node.textContent)
    node.remove()
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))
    return new Response(stream)
  }
  const rows = (bytes, quanta) => {  // as packing.py wrote them: differences, a column at a time
    const width = quanta.length, size = bytes.length / 4, count = size / width
    const made = new Float32Array(size)
    quanta.forEach((quantum, column) => {
      for (let row = 0, whole = 0, at = column * count; row < count; row++, at++) {
        whole += bytes[at] | bytes[at + size] << 8 | bytes[at + 2 * size] << 16
        whole = whole + (bytes[at + 3 * size] << 24) | 0
        made[row * width + column] = whole === MISSING ? NaN : whole * quantum
      }
    })
    return made
  }
  try {
    const run = text => {
      const script = document.createElement("script")
      script.nonce = nonce
      script.textContent = text
      document.head.append(script)
    }
    run(await (await unpack("ip-libraries")).text())
    const {docs, items, scripts, quanta} = await (await unpack("ip-document")).json()
    await Bokeh.embed.embed_items(docs, items)
    if (quanta) {
      const of = name => Bokeh.documents[0].get_model_by_name(name)
      const bytes = new Uint8Array(await (await unpack("ip-rows")).arrayBuffer())
      of("raw").setv({data: {v: rows(bytes, quanta)}}, {silent: true})
      const told = of("live").data
      of("live").data = {...told, generation: [told.generation[0] + 1]}  // the view looks anew
    }
    run(scripts)
  } catch (error) {
    const note = document.createElement("p")
    note.className = "failed"
    note.textContent = "The interactive view could not start in this browser (" + error +
      "). Chrome 80, Firefox 113 or Safari 16.4 or newer is needed. " +
      "The words and tables below are complete without it."
    document.querySelector(".view").replaceChildren(note)
    throw error
  }
})()
"""


@cache
def _libraries() -> str:
    """Bokeh's own scripts, packed once a process."""
    folder = files("bokeh").joinpath("server/static/js")
    scripts = (folder.joinpath(name).read_text(encoding="utf-8") for name in _LIBRARIES)
    return _packed("\n;\n".join(scripts).encode())


def _packed(content: bytes) -> str:
    # mtime 0: the same content gives the same file
    return _written(gzip.compress(content, 9, mtime=0))


def _written(content: bytes) -> str:
    return base64.b85encode(content).translate(_SAFE).decode()


def _alphabet() -> str:
    return _SIGNS.encode().translate(_SAFE).decode()


def page(
    view: LayoutDOM,
    *,
    title: str,
    style: str = "",
    before: str = "",
    after: str = "",
    scripts: str = "",
    rows: Packed | None = None,
    mode: str = "auto",
) -> str:
    """Return the text of a self-extracting HTML page that shows a Bokeh view.

    Parameters
    ----------
    view : LayoutDOM
        What to show; it is not part of another document afterwards.
    title : str
        Title of the browser's tab; escaped here.
    style : str
        CSS of the page around the view.
    before, after : str
        HTML around the view. It must be ours or have passed :func:`~infoplane.views.text.label`.
    scripts : str
        JavaScript that runs when the view is there.
    rows : array (k, len(COLUMNS)), optional
        What the source ``raw`` of the view holds; here it takes a fraction of the room.
    mode : str
        "auto", "light" or "dark".
    """
    document = Document(title="")
    document.add_root(view)
    docs, items = standalone_docs_json_and_render_items([document], suppress_callback_warning=True)
    document.clear()
    # fixed names, so that the same run gives the same file
    target = "ip-view"
    renders = [
        {"docid": item.docid, "roots": {view.id: target}, "root_ids": [view.id]} for item in items
    ]
    quanta = None if rows is None else packing.quanta(rows)
    told = {"docs": docs, "items": renders, "scripts": scripts, "quanta": quanta}
    packed = _packed(json.dumps(told, separators=(",", ":")).encode())
    told_rows = "" if rows is None or quanta is None else _written(packing.pack(rows, quanta))
    nonce = hashlib.sha256((packed + told_rows + before + after).encode()).hexdigest()[:32]
    return _PAGE.format(
        theme="" if mode == "auto" else f' data-theme="{mode}"',
        policy=_POLICY.format(nonce=nonce),
        nonce=nonce,
        title=label(title),
        style=style,
        before=before,
        after=after,
        target=target,
        libraries=_libraries(),
        document=packed,
        rows=told_rows,
        start=_START.replace("ALPHABET", _alphabet()).replace("MISSING", str(packing.MISSING)),
    )


def write(text: str, path: str | os.PathLike[str]) -> Path:
    """Write a file as a whole or not at all: temporary file beside it, fsync, rename.

    Raises
    ------
    StoreError
        When it cannot be written there.
    """
    goal = Path(path)
    try:
        goal.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=goal.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)  # mkstemp gives 0600, which colleagues could not read
            temporary.replace(goal)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"the file must be written to {os.fspath(goal)!r}; that failed: "
            f"{error.strerror or error}. Choose another path, or make room."
        ) from error
    return goal
