"""The words and controls around the figures, as HTML that is complete without a line of script.

Static sentences are ours; everything that came out of a run passes :func:`~infoplane.views.text.label`.
The controller fills the elements marked ``data-ip`` with text nodes.
"""

from __future__ import annotations

from infoplane.views.frame import Meta
from infoplane.views.text import label

LEAD = (
    "Each path is one layer of the network while it trains. <b>Right</b>: it remembers more of the "
    "input. <b>Up</b>: it predicts the label better. <b>Colour</b>: training time."
)

GUIDE = """
<h2 id="ip-guide-title">How to read this page</h2>
<div class="ip-guide-cols"><div>
<p><b>The plane.</b> A point is one layer T at one moment of training: across, how much its
activations tell about the input X; up, how much they tell about the label Y. A path is its history;
the round marker is where it is now. Dashed lines join all layers at the same moment.</p>
<p><b>Fitting and compression.</b> A path that climbs is fitting. A path that turns left is
compressing: the layer drops detail of the input. ▼ marks where I(X;T) was largest.</p>
<p><b>Limits.</b> No estimate from n samples can exceed log n across, nor H(Y) up. Both are drawn.
A layer at the limit is saturated: the number then says how many samples there are, not what the
layer keeps.</p></div><div>
<p><b>Null.</b> The dotted grey path is the same estimate with the labels shuffled: whatever it shows
is not information but the estimator's own bias. “minus null” subtracts it.</p>
<p><b>Verdicts.</b> <i>ok</i>: nothing speaks against the number. <i>caution</i>: read the reason
first; the path is drawn thin. <i>not usable</i>: the number must not be interpreted; the path is
dotted and the marker hollow.</p>
<p><b>What is measured.</b> For a network without noise and a continuous T, I(X;T) is infinite or
constant. Every estimator reports a related finite number, and the axis says which. Switch the
estimator and look again before believing a picture.</p></div><div>
<p><b>Keys</b></p><table class="ip-keys">
<tr><td><kbd>←</kbd> <kbd>→</kbd></td><td>one snapshot back, forward (<kbd>Shift</kbd>: ten)</td></tr>
<tr><td><kbd>Home</kbd> <kbd>End</kbd></td><td>start, now</td></tr>
<tr><td><kbd>Space</kbd></td><td>replay, pause</td></tr>
<tr><td><kbd>1</kbd> … <kbd>9</kbd></td><td>estimator</td></tr>
<tr><td><kbd>u</kbd></td><td>bits, nats</td></tr>
<tr><td><kbd>n</kbd></td><td>minus null</td></tr>
<tr><td><kbd>t</kbd></td><td>light, dark</td></tr>
<tr><td><kbd>?</kbd> <kbd>Esc</kbd></td><td>this note</td></tr></table></div></div>
"""


def header(meta: Meta) -> str:
    """Return the top of the page: name, status, one line of explanation, switches."""
    return f"""
<div class="ip-top" data-ip="top">
 <div class="ip-row ip-row-name">
  <h1><span class="ip-word">infoplane</span><span data-ip="run" class="ip-run">{label(meta.name)}</span></h1>
  <span class="ip-sub" data-ip="subtitle">{label(meta.subtitle)}</span>
  <span class="ip-space"></span>
  <span class="ip-status" data-ip="status" data-state="empty"><i></i><span data-ip="state">empty</span><span class="ip-age" data-ip="age"></span></span>
  <span class="ip-clock"><b data-ip="clock">–</b> <span data-ip="clock-unit">step</span><span class="ip-clock-step" data-ip="clock-step"></span></span>
 </div>
 <div class="ip-row ip-row-tools">
  <p class="ip-lead">{LEAD}</p>
  <span class="ip-space"></span>
  <span class="ip-group" role="radiogroup" aria-label="Probe set" data-ip="probes" hidden></span>
  <span class="ip-group" role="radiogroup" aria-label="Estimator" data-ip="estimators"></span>
  <span class="ip-more" data-ip="more" hidden><button type="button" class="ip-button" data-ip="more-button" aria-haspopup="true" aria-expanded="false">more</button><span class="ip-menu" data-ip="more-menu" role="list" hidden></span></span>
  <span class="ip-group" role="radiogroup" aria-label="Unit"><button type="button" role="radio" data-act="unit" data-value="bits" aria-checked="true">bits</button><button type="button" role="radio" data-act="unit" data-value="nats" aria-checked="false">nats</button></span>
  <button type="button" class="ip-button" data-act="minus" aria-pressed="false" title="Subtract the mean of the shuffled estimate">minus null</button>
  <button type="button" class="ip-button ip-round" data-act="theme" aria-label="Light or dark" title="Light or dark">◐</button>
  <button type="button" class="ip-button ip-round" data-act="guide" aria-expanded="false" aria-label="How to read this page" title="How to read this page">?</button>
 </div>
 <section class="ip-guide" data-ip="guide" aria-labelledby="ip-guide-title" hidden><button type="button" class="ip-button ip-close" data-act="guide">close</button>{GUIDE}</section>
</div>"""


def table() -> str:
    """Return the layer table without rows: the text alternative to the pictures."""
    return """
<div class="ip-table-box">
<table class="ip-table"><caption class="ip-hidden" data-ip="caption">Layers at the chosen moment</caption>
<thead><tr><th scope="col">layer</th><th scope="col" class="n" data-ip="th-x">I(X;T)</th>
<th scope="col" class="n">peak</th><th scope="col" class="n" >lost since</th><th scope="col" class="bar"><span class="ip-hidden">lost, as a bar</span></th>
<th scope="col" class="n" data-ip="th-y">I(T;Y)</th><th scope="col" class="n" data-ip="th-null">above null</th>
<th scope="col">verdict</th></tr></thead><tbody data-ip="rows"></tbody></table>
<div class="ip-empty" data-ip="empty"></div>
</div><div class="ip-tip" data-ip="tip" role="tooltip" id="ip-tip" hidden></div>"""


def footer() -> str:
    """Return the scrubber and the one-line summary."""
    return """
<div class="ip-foot">
 <button type="button" class="ip-button ip-play" data-act="play" aria-pressed="false"><span data-ip="play-icon" aria-hidden="true">▶</span> <span data-ip="play-word">replay</span></button>
 <input type="range" class="ip-range" data-ip="range" min="0" max="0" value="0" step="1" aria-label="Moment of training">
 <button type="button" class="ip-button ip-now" data-act="now" aria-pressed="true">now</button>
 <p class="ip-summary" data-ip="summary" role="status" aria-live="polite"></p>
</div>"""
