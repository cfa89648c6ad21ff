// -- words beside the pictures --------------------------------------------------------------------

let nodes = null
function shadow(model) { return cb_context.index.find_one(model)?.shadow_el ?? null }
function mount() {  // find the elements; again after Bokeh has drawn them anew
  if (nodes && [nodes.top, nodes.rows, nodes.range].every(el => el.isConnected)) return true
  const parts = [header, table, footer].map(shadow)
  if (parts.some(part => !part?.querySelector("[data-ip]"))) return false
  nodes = {}
  for (const part of parts) for (const el of part.querySelectorAll("[data-ip]")) nodes[el.dataset.ip] = el
  nodes.parts = parts
  nodes.root = cb_context.index.find_one(root)?.el
  const offer = (title, act, kinds) => make("div", "", null, make("b", "", title), make("span", "", null, ...kinds.map(([kind, value]) => {
    const el = make("button", "", kind)
    Object.assign(el, {type: "button", ariaLabel: `${title} as ${kind}`})
    Object.assign(el.dataset, {act, value})
    return el
  })))
  nodes["save-menu"].replaceChildren(make("p", "", "As on the page now, on white: PNG with 300 dots an inch, or SVG."),
    ...Object.entries({...DRAWN, all: "All four together"}).map(([name, title]) => offer(title, "save", ["png", "svg"].map(kind => [kind.toUpperCase(), `${name}/${kind}`]))),
    ...(served() ? [make("p", "", "To go with them:"), ...Object.entries(FILES).map(([title, kind]) => offer(title, "file", [kind]))] : []))
  for (const [name, plot] of Object.entries(figures)) {  // a canvas says nothing to a screen reader: the table does
    const drawn = cb_context.index.find_one(plot), el = drawn?.el
    drawn?.canvas_view?.events_el?.setAttribute("tabindex", "-1")  // nothing there that keys could do
    el?.setAttribute("role", "img")
    el?.setAttribute("aria-label", `${{plane: "Information plane", compression: "Compression over time", fitting: "Fitting over time", training: "Loss and accuracy over time", strip: "Time axis and colour legend"}[name]}; the table of layers says the same in numbers`)
  }
  for (const part of parts) if (!part.__ip) { part.__ip = true; part.addEventListener("click", on_click) }
  nodes.range.addEventListener("input", () => { stop(); go_index(+nodes.range.value) })
  for (const type of ["mouseover", "focusin"]) nodes.rows.addEventListener(type, show_tip)
  for (const type of ["mouseout", "focusout"]) nodes.rows.addEventListener(type, hide_tip)
  for (const type of ["mouseover", "focusin"]) nodes.estimators.addEventListener(type, show_tip)
  if (options.keys === "focus" && nodes.root) {  // keys inside the view are the view's, not the notebook's
    nodes.root.tabIndex = -1
    nodes.root.dataset.lmSuppressShortcuts = "true"
    nodes.root.addEventListener("pointerdown", () => { if (!nodes.root.matches(":focus-within")) nodes.root.focus({preventScroll: true}) })
  }
  written.clear()
  return true
}
const written = new Map()
function write(name, text) {
  if (written.get(name) === text) return
  written.set(name, text)
  nodes[name].textContent = text
}
function make(tag, className, text, ...children) {
  const el = document.createElement(tag)
  if (className) el.className = className
  if (text !== null && text !== undefined) el.textContent = text
  el.append(...children)
  return el
}

const FILES = {"How it was measured": ["text", "txt"], "References": ["BibTeX", "bib"], "Table of the last step": ["LaTeX", "tex"], "All measurements": ["CSV", "csv"]}
const served = () => document.getElementById("reading") !== null  // on a page with a server that answers what the view cannot

function write_switches() {
  // the plot's own width stands for the page's: asking an element would lay the page out on every draw
  const state = JSON.stringify([meta().estimators, meta().probes, chosen.estimator, chosen.probe, figures.plane.outer_width])
  if (written.get("switches") === state) return
  written.set("switches", state)
  let room = nodes.top.clientWidth - 690, fit = 0  // as many as there is room for; the others are in the menu
  for (const e of measured()) { room -= 38 + 7 * estimator_name(e).length; if (room < 0 && fit) break; fit++ }
  const button = (act, value, text, on, rank) => {
    const el = make("button", "", text)
    el.type = "button"
    Object.assign(el.dataset, {act, value})
    el.setAttribute("role", "radio"); el.setAttribute("aria-checked", String(on))
    if (rank !== undefined) el.append(make("sup", "", String(rank)))
    return el
  }
  const list = measured(), kept = list.slice(0, fit), rest = list.slice(fit), greyed = (meta().estimators ?? []).filter(e => e.reason)
  nodes.estimators.replaceChildren(...kept.map((e, i) => {
    const el = button("estimator", i, estimator_name(e), i === chosen.estimator, i + 1)
    el.title = [e.measures, e.params].filter(Boolean).join(" · ")
    return el
  }))
  nodes.estimators.hidden = !kept.length
  const inside = rest.length > 0 && chosen.estimator >= fit
  nodes["more-button"].textContent = inside ? `${estimator_name(current())} ▾` : "more ▾"
  nodes["more-button"].setAttribute("aria-pressed", String(inside))
  nodes.more.hidden = !rest.length && !greyed.length
  nodes["more-menu"].replaceChildren(
    ...rest.map((e, i) => make("div", "", null, button("estimator", i + fit, estimator_name(e), i + fit === chosen.estimator, i + fit + 1))),
    ...(greyed.length ? [make("p", "", "Without a value in this run. To measure one: infoplane evaluate RUN ID")] : []),
    ...greyed.map(e => {
      const el = make("div", "", null, make("b", "", e.label), make("code", "", e.id))
      if (e.reason !== options.unmeasured) el.append(make("small", "", e.reason))
      el.setAttribute("aria-disabled", "true")
      el.setAttribute("role", "listitem")
      el.tabIndex = 0
      return el
    }))
  const probes = meta().probes ?? []
  nodes.probes.hidden = probes.length < 2
  nodes.probes.replaceChildren(...probes.map((name, i) => button("probe", i, name, i === chosen.probe)))
}

function write_states() {
  const top = nodes.parts[0]
  for (const el of top.querySelectorAll("[data-act=unit]")) el.setAttribute("aria-checked", String(el.dataset.value === chosen.unit))
  const overlay = top.querySelector("[data-act=overlay]")
  overlay.setAttribute("aria-pressed", String(chosen.overlay)); overlay.hidden = measured().length < 2
  const heat = top.querySelector("[data-act=heat]")
  heat.setAttribute("aria-pressed", String(chosen.heat)); heat.hidden = layers().length < 2
  top.querySelector("[data-act=minus]").setAttribute("aria-pressed", String(chosen.minus))
  const reading = top.querySelector("[data-act=reading]")
  reading.hidden = document.getElementById("reading") === null
  const beside = JSON.stringify([written.get("switches"), overlay.hidden, heat.hidden, reading.hidden])
  if (written.get("beside") !== beside) {
    written.set("beside", beside)
    nodes.lead.hidden = false  // the whole sentence or none of it: the note behind "?" says more
    nodes.lead.hidden = nodes.lead.scrollHeight > nodes.lead.clientHeight + 1
  }
  nodes.guide.hidden = !guide_open
  top.querySelector(".ip-round[data-act=guide]").setAttribute("aria-expanded", String(guide_open))
  const play = nodes.parts[2].querySelector("[data-act=play]")
  play.setAttribute("aria-pressed", String(playing !== null))
  write("play-icon", playing !== null ? "❚❚" : "▶"); write("play-word", playing !== null ? "pause" : calm.matches ? "step" : "replay")
  nodes.parts[2].querySelector("[data-act=now]").setAttribute("aria-pressed", String(chosen.step === null))
}

const STATES = {live: "live", stalled: "stalled", finished: "finished", interrupted: "interrupted", failed: "failed", broken: "broken", empty: "nothing yet"}
let received = 0
function write_status() {
  const d = live.data, state = d.state[0] in STATES ? d.state[0] : "broken"
  nodes.status.dataset.state = state
  nodes.status.title = d.reason[0] || ""
  write("state", STATES[state])
  const seconds = finite(d.age[0]) ? d.age[0] + (performance.now() - received) / 1000 : NaN
  const age = finite(seconds) && !["finished", "empty"].includes(state) ? `last record ${ago(seconds)}` : ""
  const why = ["failed", "broken", "interrupted"].includes(state) ? d.reason[0] || d.note[0] : state === "finished" ? d.note[0] : ""
  write("age", why || age ? `· ${why || age}` : "")
  const step = Math.min(now(), last_step())
  if (!steps().length) { write("clock", "–"); write("clock-unit", has_epochs() ? "epoch" : "step"); write("clock-step", ""); return }
  write("clock", has_epochs() ? moment(epoch_at(step)) : whole(step)); write("clock-unit", has_epochs() ? "epoch" : "step")
  write("clock-step", has_epochs() ? `step ${whole(step)}` : "")
}

function write_table() {
  const e = current(), unit = chosen.unit
  write("title-x", e.x_title); write("title-y", e.y_title)
  write("unit-x", ` [${unit}]`); write("unit-y", ` [${unit}]`)
  write("th-null", chosen.minus ? "null" : "above null")
  write("caption", `Layers at ${when(Math.min(now(), last_step()))}, estimator ${e.label}, in ${unit}`)
  const rows = layers().map((layer, l) => ({layer, l, p: here(l), best: peak(l)}))
  const worst = Math.max(...rows.map(r => r.p && r.best ? r.best.x - r.p.x : 0), noticeable())
  const room = `${figures.plane.outer_height}/${rows.length}`
  if (written.get("room") !== room) {
    written.set("room", room)
    nodes.parts[1].host.style.setProperty("--ip-row", `${Math.max(19, Math.min(28, Math.floor((nodes.rows.closest(".ip-table-box").clientHeight - nodes.rows.parentElement.tHead.offsetHeight - 2) / Math.max(1, rows.length)) - 1))}px`)
  }
  const state = JSON.stringify([rows.map(r => [r.layer, r.p, r.best]), unit, chosen.layer, chosen.minus, texts.data.text.length])
  if (written.get("rows") === state) return
  written.set("rows", state)
  const focused = nodes.rows.getRootNode().activeElement, place = focused?.dataset.l ? [focused.dataset.l, focused.tagName] : null
  nodes.rows.replaceChildren(...rows.map(r => table_row(r, worst)))
  if (place) nodes.rows.querySelector(`${place[1].toLowerCase()}[data-l="${place[0]}"]`)?.focus({preventScroll: true})
}
function nothing() {
  const state = live.data.state[0], why = live.data.reason[0]
  if (state === "broken" || state === "failed") return `This run cannot be shown: ${why || "the record is damaged"}`
  if (!layers().length) return "Nothing recorded yet. The first points appear with the first snapshot."
  if (measured().length) return "No layer was measured at or before this moment."
  return state === "live" ? "Snapshots are there, estimates are not yet: they appear here as soon as the first is computed."
    : "No mutual information was measured in this run. To measure it: infoplane evaluate RUN"
}
function table_row({layer, l, p, best}, worst) {
  const tr = make("tr"), lost = p && best ? p.x - best.x : NaN, n = (text, small) => {
    const td = make("td", "n", text)
    if (small) td.append(" ", make("small", "", small))
    return td
  }
  tr.dataset.l = l; tr.tabIndex = 0
  tr.setAttribute("aria-selected", String(chosen.layer === l))
  const name = make("td", "name", null, make("b", "", layer.label), " ", make("span", "", name_in_short(layer.name)))
  name.title = [layer.name, layer.kind, layer.width ? `${layer.width} units` : ""].filter(Boolean).join(" · ")
  const bar = make("i"), box = make("td", "bar", null, bar)
  bar.style.width = lost <= -noticeable() ? `${Math.max(0, Math.min(100, -lost / worst * 100))}%` : "0"
  const chip = make("span", "ip-chip", p ? VERDICTS[p.v] ?? "not judged" : "–")
  chip.dataset.v = p ? p.v : -1
  chip.dataset.l = l; chip.tabIndex = 0
  const why = p ? reason(p) : ""
  chip.dataset.tip = p ? why || "Nothing speaks against this number." : "Not measured at or before this moment."
  chip.setAttribute("aria-label", `${layer.label}: ${chip.textContent}. ${chip.dataset.tip}`)
  const above = p ? chosen.minus ? p.yn : p.y - p.yn : NaN
  tr.append(name, n(number(p?.x)), n(best ? number(best.x) : "–", best ? `@ ${has_epochs() ? moment(epoch_at(best.step)) : short(Math.round(best.step))}` : ""),
    n(finite(lost) ? lost > -noticeable() ? "–" : number(lost) : "–"), box, n(number(p?.y, 3)), n(number(above, 3)), make("td", "", null, chip))
  return tr
}

const affixes = () => remember("affixes", () => {  // what all names begin and end with, up to a separator
  const [first = "", ...rest] = layers().map(l => l.name)
  if (!rest.length) return [0, 0]
  const least = Math.min(first.length, ...rest.map(n => n.length))
  let head = 0, tail = 0
  while (head < least && rest.every(n => n[head] === first[head])) head++
  while (tail < least - head && rest.every(n => n.at(-1 - tail) === first.at(-1 - tail))) tail++
  return [first.slice(0, head).search(/[./_-][^./_-]*$/) + 1, first.slice(first.length - tail).match(/[./_-].*$/)?.[0].length ?? 0]
})
function name_in_short(name) {  // what tells a layer from the others
  if (name.length <= 14) return name
  const [head, tail] = affixes(), core = name.slice(head, name.length - tail)
  return core.length > 14 ? `${core.slice(0, 4)}…${core.slice(-8)}` : core || name.slice(-14)
}
function in_ranges(places) {  // T3–T10, T12
  const runs = []
  for (const l of places) if (runs.length && runs.at(-1)[1] === l - 1) runs.at(-1)[1] = l; else runs.push([l, l])
  const label = l => layers()[l].label
  return runs.map(([a, b]) => b > a + 1 ? `${label(a)}–${label(b)}` : b > a ? `${label(a)}, ${label(b)}` : label(a)).join(", ")
}

let summarised = 0
function write_summary(force) {
  if (!force && performance.now() - summarised < 1000) { summary_later ??= setTimeout(() => { summary_later = null; if (mount()) write_summary(true) }, 1000); return }
  summarised = performance.now()
  const all = layers().map((layer, l) => ({l, layer, p: here(l), best: peak(l)})).filter(r => r.p), unit = chosen.unit
  if (!all.length) { write("summary", nothing()); return }
  const step = Math.min(now(), last_step()), parts = []
  const scalars = (meta().scalars ?? []).filter(n => n !== "epoch").slice(0, 3).map(n => [n, scalar_curve(n).filter(r => r[S.step] <= now()).at(-1)])
  const beside = scalars.filter(([, r]) => r).map(([n, r]) => `${n.replaceAll("_", " ")} ${number(r[S.value], 3)}`).join(", ")
  const moved = all.filter(r => r.best && r.p.xv < 2 && r.best.x - r.p.x > noticeable()).sort((a, b) => (b.best.x - b.p.x) - (a.best.x - a.p.x))
  if (moved.length) parts.push(`${moved[0].layer.label} has given up ${number(moved[0].best.x - moved[0].p.x)} of ${number(moved[0].best.x)} ${unit} about the input since ${when(moved[0].best.step)}`)
  else parts.push("no layer is clearly below its own peak")
  const last = all.at(-1)
  parts.push(`${last.layer === moved[0]?.layer ? "it" : last.layer.label} tells ${number(last.p.y)}${meta().h_y && !chosen.minus ? ` of ${number(meta().h_y * scale())}` : ""} ${unit} about the label`)
  const bad = all.filter(r => r.p.v >= 2).map(r => r.l), wary = all.filter(r => r.p.v === 1).map(r => r.l)
  if (bad.length) parts.push(`not usable: ${in_ranges(bad)}`)
  if (wary.length) parts.push(`caution: ${in_ranges(wary)}`)
  write("summary", `At ${when(step)}${beside ? ` (${beside})` : ""}: ${parts.join("; ")}.`)
}
let summary_later = null

function write_slider() {
  const list = steps(), range = nodes.range, i = chosen.step === null ? list.length - 1 : list.filter(s => s <= chosen.step).length - 1
  range.max = Math.max(0, list.length - 1); range.value = Math.max(0, i); range.disabled = list.length < 2
  range.setAttribute("aria-valuetext", list.length ? `${when(list[Math.max(0, i)])}, snapshot ${i + 1} of ${list.length}` : "no snapshot yet")
  const stops = [], n = Math.max(1, list.length - 1), t = options.tokens[chosen.mode]
  for (let j = 0; j <= Math.max(0, i); j += Math.max(1, Math.floor(n / 40))) stops.push(`${shade(time(list[j] ?? 0))} ${(100 * j / n).toFixed(1)}%`)
  const edge = (100 * Math.max(0, i) / n).toFixed(1)
  range.style.setProperty("--ip-strip", `linear-gradient(90deg, ${stops.join(",")}, ${stops.at(-1)?.split(" ")[0] ?? t.line} ${edge}%, ${t.line} ${edge}%)`)
}

function show_tip(event) {
  const el = event.target.closest("[data-tip]")
  if (!el) return
  nodes.tip.textContent = el.dataset.tip
  nodes.tip.hidden = false
  const box = nodes.tip.offsetParent?.getBoundingClientRect() ?? {top: 0}, at = el.getBoundingClientRect()
  const above = at.top - box.top - nodes.tip.offsetHeight - 6
  nodes.tip.style.top = `${above}px`
  el.setAttribute("aria-describedby", "ip-tip")
}
function hide_tip() { nodes.tip.hidden = true }
