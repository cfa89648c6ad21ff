// The interaction of the Explore view: the only place with it. Runs as the body of a Bokeh CustomJS
// (arguments: the models named in PlaneKit._arguments, then cb_obj, cb_data, cb_context), under the
// server, in a notebook and in an offline file alike. The first run builds the controller; later
// runs (a new frame in `live`, a choice restored into `view`) wake it.
// Text from a run is untrusted: it is only ever written as text nodes and canvas text.

if (live.__ip) { live.__ip.wake(cb_obj); return }

const C = Object.fromEntries(options.columns.map((name, i) => [name, i]))
const S = Object.fromEntries(options.scalar_columns.map((name, i) => [name, i]))
const WIDTH = options.columns.length, SCALAR_WIDTH = options.scalar_columns.length
const BITS = 1 / Math.LN2
const VERDICTS = ["ok", "caution", "not usable"], STYLES = ["ok", "caution", "bad"]
const ISO = [1, 10, 100, 1000, 10000, 100000, 1000000]
const MANY = 8  // layers up to which every layer's uncertainty is drawn at once
const SECONDS_OF_REPLAY = 9
const calm = matchMedia("(prefers-reduced-motion: reduce)"), darkness = matchMedia("(prefers-color-scheme: dark)")
const finite = Number.isFinite
const time = step => Math.log10(1 + step)

// -- words ------------------------------------------------------------------------------------

const minus = text => text.replace("-", "−")
const number = (value, digits = 2) => finite(value) ? minus(value.toFixed(digits)) : "–"
const thousands = new Intl.NumberFormat("en-US", {maximumFractionDigits: 0})
const whole = value => thousands.format(value)
const short = value => value >= 1e6 ? value / 1e6 + "M" : value >= 1e3 ? value / 1e3 + "k" : String(value)
const moment = value => value < 10 && value % 1 > 0.005 ? value.toFixed(value < 1 ? 2 : 1) : whole(value)
function ago(seconds) {
  if (seconds < 2) return "just now"
  if (seconds < 100) return `${Math.round(seconds)} s ago`
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h ago`
  return `${Math.round(seconds / 86400)} days ago`
}

// -- what is known ----------------------------------------------------------------------------

const known = {generation: null, rows: 0, scalars: 0, version: 0, cells: new Map(), heads: new Map(), curves: [], meta: {}}

function ingest() {
  const generation = live.data.generation[0], v = raw.data.v, s = scalars.data.v
  if (generation !== known.generation || v.length < known.rows || s.length < known.scalars) {
    Object.assign(known, {generation, rows: 0, scalars: 0, cells: new Map(), curves: []})
  }
  for (let i = known.rows; i + WIDTH <= v.length; i += WIDTH) {
    const row = v.slice(i, i + WIDTH), key = series_key(row)
    if (!known.cells.has(key)) known.cells.set(key, new Map())
    known.cells.get(key).set(row[C.bin], row)
  }
  known.rows = v.length
  known.heads = new Map()
  const h = head_rows.data.v
  for (let i = 0; i + WIDTH <= h.length; i += WIDTH) {
    const row = h.slice(i, i + WIDTH), key = series_key(row)
    if (!known.heads.has(key)) known.heads.set(key, [])
    known.heads.get(key).push(row)
  }
  for (let i = known.scalars; i + SCALAR_WIDTH <= s.length; i += SCALAR_WIDTH) scalar_row(s.slice(i, i + SCALAR_WIDTH))
  known.scalars = s.length
  for (const bins of known.curves) bins?.delete(-1)  // the exact newest point of the frame before
  const t = scalar_head.data.v
  for (let i = 0; i + SCALAR_WIDTH <= t.length; i += SCALAR_WIDTH) scalar_row(t.slice(i, i + SCALAR_WIDTH))
  if (known.json !== facts.data.json[0]) { known.json = facts.data.json[0]; known.meta = JSON.parse(known.json) }
  known.version++
}
const series_key = row => `${row[C.probe]}/${row[C.estimator]}/${row[C.layer]}`
function scalar_row(row) {
  const bins = known.curves[row[S.name]] ??= new Map()
  bins.set(row[S.bin], row)
}

const memo = new Map()
function remember(key, compute) {
  if (memo.version !== known.version) { memo.clear(); memo.version = known.version }
  if (!memo.has(key)) memo.set(key, compute())
  return memo.get(key)
}

const by_step = (a, b) => a[C.step] - b[C.step]
const rows_of = (probe, estimator, layer) => remember(`rows/${probe}/${estimator}/${layer}`, () => {
  const key = `${probe}/${estimator}/${layer}`, cells = new Map(known.cells.get(key) ?? [])
  for (const row of known.heads.get(key) ?? []) cells.set(row[C.bin], row)
  return [...cells.values()].sort(by_step)
})
const scalar_curve = name => remember(`scalar/${name}`, () => {
  const index = (known.meta.scalars ?? []).indexOf(name), bins = known.curves[index]
  return bins ? [...bins.values()].sort((a, b) => a[S.step] - b[S.step]) : []
})

// -- what is chosen ---------------------------------------------------------------------------

const chosen = {estimator: 0, unit: "bits", minus: false, probe: 0, step: null, layer: null, hover: null, mode: "light"}
let playing = null, guide_open = false, telling = null

const meta = () => known.meta
const layers = () => meta().layers ?? []
const measured = () => (meta().estimators ?? []).filter(e => !e.reason)
const current = () => measured()[chosen.estimator] ?? {x_title: "I(X;T)", y_title: "I(T;Y)", label: "", measures: ""}
const scale = () => chosen.unit === "bits" ? BITS : 1
const estimator_name = e => measured().filter(o => o.label === e.label).length > 1 && e.params ? `${e.label} · ${e.params}` : e.label

const told = () => ({
  estimator: [current().id ?? null], unit: [chosen.unit], minus: [chosen.minus],
  probe: [(meta().probes ?? [])[chosen.probe] ?? null], step: [chosen.step],
  layer: [chosen.layer === null ? null : layers()[chosen.layer]?.label ?? null],
})
function restore() {  // from the `view` source into `chosen`; unknown values are ignored
  const d = view.data
  if (JSON.stringify(d) === JSON.stringify(told())) return  // our own words
  clearTimeout(telling)
  telling = null
  if (d.unit[0] === "bits" || d.unit[0] === "nats") chosen.unit = d.unit[0]
  chosen.minus = d.minus[0] === true
  chosen.step = finite(d.step[0]) ? d.step[0] : null
  chosen.wanted = {estimator: d.estimator[0], probe: d.probe[0], layer: d.layer[0]}
}
function settle_wanted() {  // names become indices as soon as the run knows them
  const w = chosen.wanted
  if (!w) return
  const e = measured().findIndex(o => o.id === w.estimator), p = (meta().probes ?? []).indexOf(w.probe)
  const l = layers().findIndex(o => o.label === w.layer)
  if (w.layer === null && !w.settled) chosen.layer = null
  w.settled = true
  if (e >= 0) { chosen.estimator = e; w.estimator = null }
  if (p >= 0) { chosen.probe = p; w.probe = null }
  if (l >= 0) { chosen.layer = l; w.layer = null }
}
function tell() {  // from `chosen` into the `view` source, at most three times a second
  telling ??= setTimeout(() => {
    telling = null
    const data = told()
    if (JSON.stringify(data) !== JSON.stringify(view.data)) view.data = data
  }, 300)
}

// -- trajectories in the chosen unit -----------------------------------------------------------

const points = (layer, estimator = chosen.estimator) => remember(`points/${layer}/${chosen.probe}/${estimator}/${chosen.unit}/${chosen.minus}`, () => {
  const k = scale(), off = value => chosen.minus && finite(value) ? value : 0
  return rows_of(chosen.probe, estimator, layer).map(r => {
    const xo = off(r[C.x_null]), yo = off(r[C.y_null])
    return {
      step: r[C.step], u: time(r[C.step]), count: r[C.count], band: r[C.band],
      x: (r[C.x] - xo) * k, xl: (r[C.x_low] - xo) * k, xh: (r[C.x_high] - xo) * k, xn: r[C.x_null] * k, xc: r[C.x_ceiling] * k,
      y: (r[C.y] - yo) * k, yl: (r[C.y_low] - yo) * k, yh: (r[C.y_high] - yo) * k, yn: r[C.y_null] * k, yq: r[C.y_null95] * k,
      xv: r[C.x_verdict], yv: r[C.y_verdict], v: Math.max(r[C.x_verdict], r[C.y_verdict]), xr: r[C.x_reason], yr: r[C.y_reason],
    }
  })
})
const steps = () => remember(`steps/${chosen.probe}/${chosen.estimator}`, () => {
  const all = new Set()
  layers().forEach((_, l) => rows_of(chosen.probe, chosen.estimator, l).forEach(r => all.add(r[C.step])))
  return [...all].sort((a, b) => a - b)
})
const horizon = () => remember("horizon", () => {
  let last = 1
  for (const rows of [...known.cells.values()]) for (const row of rows.values()) last = Math.max(last, row[C.step])
  for (const rows of known.heads.values()) for (const row of rows) last = Math.max(last, row[C.step])
  for (const bins of known.curves) for (const row of bins?.values() ?? []) last = Math.max(last, row[S.step])
  return time(last)
})
const last_step = () => steps().at(-1) ?? 0
const now = () => chosen.step === null ? Infinity : chosen.step
function upto(list, limit) {  // how many of a list sorted by step are not later than the limit
  let low = 0, high = list.length
  while (low < high) { const mid = (low + high) >> 1; if (list[mid].step <= limit) low = mid + 1; else high = mid }
  return low
}
const here = layer => { const list = points(layer); return list[upto(list, now()) - 1] }

function peak(layer) {  // the largest usable I(X;T) until now
  const list = points(layer)
  let best = null
  for (let i = 0, n = upto(list, now()); i < n; i++) if (finite(list[i].x) && list[i].xv < 2 && (!best || list[i].x > best.x)) best = list[i]
  return best
}

// -- time: steps and epochs ---------------------------------------------------------------------

const has_epochs = () => scalar_curve("epoch").length > 1
function interpolate(curve, x, from, to) {  // beyond the last record at the last slope; (0, 0) is known
  const first = curve[0], list = first[from] > 0 && first[to] > 0 ? [{[from]: 0, [to]: 0}, ...curve] : curve
  let i = list.findIndex(row => row[from] >= x)
  if (i < 0) i = list.length - 1
  const a = list[Math.max(0, i - 1)], b = list[Math.max(1, i)]
  return a[to] + (x - a[from]) / (b[from] - a[from] || 1) * (b[to] - a[to])
}
const epoch_at = step => interpolate(scalar_curve("epoch"), step, S.step, S.value)
const step_at = epoch => interpolate(scalar_curve("epoch"), epoch, S.value, S.step)
const when = step => has_epochs() ? `epoch ${moment(epoch_at(step))}` : `step ${whole(step)}`
const marks = () => remember("marks", () => {  // [step, words] of the round moments
  if (!has_epochs()) return [[0, "0"], ...ISO.map(s => [s, short(s)])].filter(([s]) => time(s) <= horizon() * 1.001)
  const last = scalar_curve("epoch").at(-1)[S.value]
  return [[0, "0"], ...ISO.filter(e => e <= last * 1.001).map(e => [step_at(e), short(e)])]
})
const shades = () => options.palettes[chosen.mode]
const shade = u => { const p = shades(); return p[Math.max(0, Math.min(p.length - 1, Math.floor(u / horizon() * p.length)))] }

// -- drawing ------------------------------------------------------------------------------------

const brief = new Map()  // what the short sources hold: Bokeh redraws a glyph for every write, equal or not
function put(name, data) {
  const size = Object.values(data)[0].length, text = size < 50 ? JSON.stringify(data) : null
  if (text !== null && brief.get(name) === text) return
  brief.set(name, text)
  sources[name].data = data
}
const hex = color => [1, 3, 5].map(i => parseInt(color.slice(i, i + 2), 16))
const pale = color => {  // towards the surface; overlapping transparent lines would show their joints
  const from = hex(color), to = hex(options.tokens[chosen.mode].surface)
  return "#" + from.map((c, i) => Math.round(0.2 * c + 0.8 * to[i]).toString(16).padStart(2, "0")).join("")
}
const certain = layer => chosen.layer === layer || (chosen.layer === null && layers().length <= MANY)  // draw how sure it is?
const tint = (layer, color) => chosen.layer !== null && chosen.layer !== layer ? pale(color) : color
const set = (model, changes) => {
  for (const [name, value] of Object.entries(changes)) if (model[name] !== value) model.setv({[name]: value})
}

const in_order = () => [...layers().keys()].sort((a, b) => (a === chosen.layer) - (b === chosen.layer))  // the picked one on top
function trails(name, at) {  // polylines of one colour and style each; at(point) → [x, y]
  const out = STYLES.map(() => ({xs: [], ys: [], color: []})), ghost = {xs: [], ys: []}
  in_order().forEach(l => {
    const list = points(l), n = upto(list, now())
    let line = null, key = null
    for (let i = 1; i < n; i++) {
      const [x0, y0] = at(list[i - 1]), [x1, y1] = at(list[i])
      if (![x0, y0, x1, y1].every(finite)) { key = null; continue }
      const style = Math.max(0, list[i].v), color = shade(list[i].u)
      if (key !== style + color) {
        key = style + color
        line = {xs: [x0], ys: [y0]}
        out[style].xs.push(line.xs); out[style].ys.push(line.ys); out[style].color.push(tint(l, color))
      }
      line.xs.push(x1); line.ys.push(y1)
    }
    const rest = list.slice(Math.max(0, n - 1)).map(at).filter(p => p.every(finite))
    if (n < list.length && rest.length > 1) { ghost.xs.push(rest.map(p => p[0])); ghost.ys.push(rest.map(p => p[1])) }
  })
  STYLES.forEach((style, i) => put(`${name}_${style}`, out[i]))
  return ghost
}

let drawn_ranges = ""
function draw_ranges() {  // the same for all estimators, so that pictures can be compared
  const k = scale(), ends = remember("ends/" + chosen.probe + chosen.minus, () => {
    const e = {x0: 0, x1: meta().log_n ?? 1, y0: 0, y1: meta().h_y ?? 0}
    for (const source of [known.cells, known.heads]) for (const rows of source.values()) for (const r of rows.values()) {
      if (r[C.probe] !== chosen.probe) continue
      const xo = chosen.minus && finite(r[C.x_null]) ? r[C.x_null] : 0, yo = chosen.minus && finite(r[C.y_null]) ? r[C.y_null] : 0
      for (const value of [r[C.x] - xo]) if (finite(value)) { e.x0 = Math.min(e.x0, value); e.x1 = Math.max(e.x1, value) }
      for (const value of [r[C.y] - yo]) if (finite(value)) { e.y0 = Math.min(e.y0, value); e.y1 = Math.max(e.y1, value) }
    }
    e.y1 ||= 1
    return e
  })
  const text = JSON.stringify([ends, k])
  if (text === drawn_ranges) return  // leave a reader's own zoom alone
  drawn_ranges = text
  const w = (ends.x1 - ends.x0) * k, h = (ends.y1 - ends.y0) * k
  const x = figures.plane.x_range, y = figures.plane.y_range
  x.setv({start: ends.x0 * k - (ends.x0 < 0 ? 0.04 * w : 0), end: ends.x1 * k + 0.07 * w})
  y.setv({start: ends.y0 * k - (ends.y0 < 0 ? 0.05 * h : 0), end: ends.y1 * k + 0.1 * h})
  figures.compression.y_range.setv({start: x.start, end: ends.x1 * k + 0.06 * w})
  figures.fitting.y_range.setv({start: y.start, end: ends.y1 * k + 0.08 * h})
}

function draw_time() {
  const end = horizon(), p = shades(), at = marks().map(([step]) => time(step))
  const ends = {start: -0.01 * end, end: end * 1.075}
  set(models.time, ends)
  if (JSON.stringify(at) !== JSON.stringify(models.ticker.ticks)) {
    put("ticks", {at, text: marks().map(([, words]) => words)})
    models.ticker.setv({ticks: at})
  }
  const edges = [...p.keys()]
  const until = Math.min(end, time(chosen.step ?? Infinity)), ghost = options.tokens[chosen.mode].line
  put("shades", {
    left: edges.map(i => end * i / p.length), right: edges.map(i => end * (i + 1) / p.length),
    color: edges.map(i => end * (i + 0.5) / p.length <= until ? p[i] : ghost),
  })
  const word = has_epochs() ? "epoch" : "step"
  set(figures.strip.xaxis?.[0] ?? figures.strip.below[0], {axis_label: `${word}, log scale · the strip is the colour legend · click or drag to travel in time`})
}

function draw_bounds() {
  const k = scale(), x = figures.plane.x_range, y = figures.plane.y_range, e = current()
  const lines = {xs: [], ys: []}, words = {x: [], y: [], text: [], align: [], base: [], dx: [], dy: []}
  const say = (px, py, text, align, base, dx, dy) => [px, py, text, align, base, dx, dy].forEach((value, i) => words[["x", "y", "text", "align", "base", "dx", "dy"][i]].push(value))
  const bound_x = {xs: [], ys: []}, bound_y = {xs: [], ys: []}, far = models.time.end
  const vertical = (at, text) => {
    lines.xs.push([at, at]); lines.ys.push([y.start, y.end]); say(at, y.start, text, "left", "bottom", 6, -6)
    bound_x.xs.push([models.time.start, far]); bound_x.ys.push([at, at])
  }
  if (meta().log_n && !chosen.minus) vertical(meta().log_n * k, "log n")
  const own = Math.max(...layers().map((_, l) => here(l)?.xc ?? NaN).filter(finite), -Infinity)
  if (finite(own) && !chosen.minus && Math.abs(own - (meta().log_n ?? 0) * k) > 0.02 * own && own < x.end) vertical(own, e.ceiling || "ceiling")
  if (meta().h_y && !chosen.minus) {
    const at = meta().h_y * k
    lines.xs.push([x.start, x.end]); lines.ys.push([at, at]); say(x.start, at, "H(Y)", "left", "bottom", 7, -4)
    bound_y.xs.push([models.time.start, far]); bound_y.ys.push([at, at])
  }
  if (chosen.minus) { lines.xs.push([x.start, x.end]); lines.ys.push([0, 0]); say(x.start, 0, "null", "left", "bottom", 7, -4) }
  put("bounds", lines); put("bounds_text", words); put("compression_bound", bound_x); put("fitting_bound", bound_y)
}

function draw_null() {
  const path = {xs: [], ys: []}, end = {x: [], y: []}, area = {xs: [], ys: []}, line = {xs: [], ys: []}
  if (!chosen.minus) layers().forEach((_, l) => {
    const list = points(l).slice(0, upto(points(l), now())).filter(p => finite(p.x) && finite(p.yn))
    if (!list.length) return
    if (chosen.layer === null || chosen.layer === l) {
      path.xs.push(list.map(p => p.x)); path.ys.push(list.map(p => p.yn))
      end.x.push(list.at(-1).x); end.y.push(list.at(-1).yn)
      const top = list.map(p => finite(p.yq) ? p.yq : p.yn), us = list.map(p => p.u)
      line.xs.push(us); line.ys.push(top)
      if (chosen.layer === l) { area.xs.push([...us, ...us.slice().reverse()]); area.ys.push([...top, ...top.map(() => 0)]) }
    }
  })
  put("null", path); put("null_end", end); put("fitting_null", area); put("fitting_null_line", line)
  const i = end.x.indexOf(Math.min(...end.x))
  put("null_text", i < 0 ? {x: [], y: [], text: []} : {x: [end.x[i]], y: [end.y[i]], text: ["null"]})
}

function draw_rivals() {  // a layer that is picked out: its path under the other estimators, named
  const lines = {xs: [], ys: [], color: []}, ends = {x: [], y: [], text: []}
  if (chosen.layer !== null) measured().forEach((e, i) => {
    if (i === chosen.estimator) return
    const list = points(chosen.layer, i).slice(0, upto(points(chosen.layer, i), now())).filter(p => finite(p.x) && finite(p.y))
    for (let j = 1; j < list.length; j++) {
      lines.xs.push([list[j - 1].x, list[j].x]); lines.ys.push([list[j - 1].y, list[j].y]); lines.color.push(shade(list[j].u))
    }
    if (list.length) { ends.x.push(list[0].x); ends.y.push(list[0].y); ends.text.push(estimator_name(e)) }  // at the start: the ends crowd
  })
  const plane = figures.plane, gap = 13 * (plane.y_range.end - plane.y_range.start) / (plane.inner_height || 500)
  const names = ends.text.map((text, i) => ({text, x: ends.x[i], y: ends.y[i]}))
  spread(names, gap, plane.y_range.start + gap, plane.y_range.end - gap)
  put("rival", lines); put("rival_text", {x: names.map(e => e.x), y: names.map(e => e.y), text: names.map(e => e.text)})
}

function draw_iso() {
  const lines = {xs: [], ys: []}, dots = {x: [], y: [], color: []}, words = {x: [], y: [], text: []}
  let first = true
  for (const [step, text] of marks().slice(1)) {
    if (step > Math.min(now(), last_step())) break
    const joined = []
    layers().forEach((_, l) => {
      let best = null
      for (const p of points(l)) if (finite(p.x) && finite(p.y) && (!best || Math.abs(p.u - time(step)) < Math.abs(best.u - time(step)))) best = p
      if (best && Math.abs(best.u - time(step)) < 0.15 && best.step <= now()) joined.push(best)
    })
    if (!joined.length) continue
    lines.xs.push(joined.map(p => p.x)); lines.ys.push(joined.map(p => p.y))
    for (const p of joined) { dots.x.push(p.x); dots.y.push(p.y); dots.color.push(chosen.layer === null ? shade(p.u) : pale(shade(p.u))) }
    const left = joined.reduce((a, b) => b.x < a.x ? b : a)
    if (under_head(left)) continue
    words.x.push(left.x); words.y.push(left.y); words.text.push(first ? `${has_epochs() ? "epoch" : "step"} ${text}` : text)
    first = false
  }
  put("iso", lines); put("iso_dot", dots); put("iso_text", words)
}

function under_head(p) {
  const plane = figures.plane, px = (plane.inner_width || 700) / (plane.x_range.end - plane.x_range.start), py = (plane.inner_height || 500) / (plane.y_range.end - plane.y_range.start)
  return layers().some((_, l) => { const h = here(l); return h && Math.hypot((h.x - p.x) * px, (h.y - p.y) * py) < 24 })
}

function draw_heads() {  // markers keep clear of each other; a thin line leads to the true point
  const plane = figures.plane, t = options.tokens[chosen.mode]
  const px = (plane.inner_width || 700) / (plane.x_range.end - plane.x_range.start), py = (plane.inner_height || 500) / (plane.y_range.end - plane.y_range.start)
  const list = []
  layers().forEach((layer, l) => {
    const p = here(l)
    if (p && finite(p.x) && finite(p.y)) list.push({l, p, layer, x: p.x * px, y: p.y * py})
  })
  const top = plane.y_range.end * py - 15, right = plane.x_range.end * px - 15, bottom = plane.y_range.start * py + 15, left = plane.x_range.start * px + 15
  for (let round = 0; round < 60; round++) {
    let moved = false
    for (let i = 0; i < list.length; i++) for (let j = i + 1; j < list.length; j++) {
      const a = list[i], b = list[j], dx = b.x - a.x || 0.01 * (j - i), dy = b.y - a.y || -0.3, d = Math.hypot(dx, dy)
      if (d >= 27) continue
      const push = (27.5 - d) / 2 / d
      a.x -= dx * push; a.y -= dy * push; b.x += dx * push; b.y += dy * push
      moved = true
    }
    for (const h of list) { h.x = Math.max(left, Math.min(right, h.x)); h.y = Math.max(bottom, Math.min(top, h.y)) }
    if (!moved) break
  }
  const lead = {xs: [], ys: []}, ellipse = {x: [], y: [], w: [], h: [], color: []}
  for (const h of list) {
    if (Math.hypot(h.x - h.p.x * px, h.y - h.p.y * py) > 6) { lead.xs.push([h.p.x, h.x / px]); lead.ys.push([h.p.y, h.y / py]) }
    const w = finite(h.p.xh) ? h.p.xh - h.p.xl : 0, height = finite(h.p.yh) ? h.p.yh - h.p.yl : 0
    if (certain(h.l) && (w * px > 2 || height * py > 2)) { ellipse.x.push(h.p.x); ellipse.y.push(h.p.y); ellipse.w.push(Math.max(w, 2 / px)); ellipse.h.push(Math.max(height, 2 / py)); ellipse.color.push(shade(h.p.u)) }
  }
  put("lead", lead); put("ellipse", ellipse)
  put("marker", {
    x: list.map(h => h.x / px), y: list.map(h => h.y / py), text: list.map(h => h.layer.label),
    fill: list.map(h => h.p.v >= 1 ? t.surface : chosen.layer === null || h.l === chosen.layer ? t.head : t.ghost),
    line: list.map(h => chosen.layer !== null && h.l !== chosen.layer ? t.ghost : h.p.v >= 2 ? t.muted : t.head),
    dash: list.map(h => h.p.v >= 2 ? [3, 3] : []),
    ink: list.map(h => chosen.layer !== null && h.l !== chosen.layer ? (h.p.v >= 1 ? t.faint : t.surface) : h.p.v >= 2 ? t.muted : h.p.v === 1 ? t.ink : t["head-ink"]),
  })
  chosen.targets = list.map(h => ({l: h.l, x: h.x / px, y: h.y / py}))
}

function draw_hits() {
  const out = {x: [], y: [], name: [], when: [], xt: [], yt: [], verdict: []}, e = current(), unit = chosen.unit
  layers().forEach((layer, l) => {
    const list = points(l), n = upto(list, now())
    for (const p of list.slice(0, n)) {
      if (!finite(p.x) || !finite(p.y)) continue
      out.x.push(p.x); out.y.push(p.y); out.name.push(`${layer.label} ${layer.name}`)
      out.when.push(has_epochs() ? `${when(p.step)} · step ${whole(p.step)}` : when(p.step))
      out.xt.push(`${e.x_title} = ${number(p.x, 3)} ${unit}`)
      out.yt.push(`${e.y_title} = ${number(p.y, 3)} ${unit}${finite(p.yn) && !chosen.minus ? `, null ${number(p.yn, 3)}` : ""}`)
      out.verdict.push([VERDICTS[p.v] ?? "", reason(p)].filter(Boolean).join(": "))
    }
  })
  put("hits", out)
}
const reason = p => [...new Set([p.xr, p.yr])].map(i => i >= 0 ? texts.data.text[i] : null).filter(Boolean).join(" · ")

function spread(ends, gap, low, high) {  // labels at least a gap apart, each as near its curve as can be
  ends.sort((a, b) => a.y - b.y)
  const groups = []  // neighbours that touch move as one, around the mean of where they want to be
  for (const end of ends) {
    groups.push({ends: [end], want: end.y, n: 1})
    for (;;) {
      const b = groups.at(-1), a = groups.at(-2)
      const bottom = g => Math.max(low, Math.min(high - (g.n - 1) * gap, g.want / g.n - (g.n - 1) * gap / 2))
      b.at = bottom(b)
      if (!a || a.at + a.n * gap <= b.at + 1e-9) break
      groups.pop()
      Object.assign(a, {ends: [...a.ends, ...b.ends], want: a.want + b.want, n: a.n + b.n})
    }
  }
  for (const g of groups) g.ends.forEach((end, i) => { end.y = g.at + i * gap })
}
function draw_curves(name, x, low, high) {
  const ghost = trails(name, p => [p.u, p[x]]), band = {xs: [], ys: []}, dots = {x: [], y: []}
  let ends = []
  layers().forEach((layer, l) => {
    const list = points(l), past = list.slice(0, upto(list, now())).filter(p => finite(p[x]))
    const wide = past.filter(p => finite(p[low]) && finite(p[high]))
    if (wide.length > 1 && certain(l)) {
      band.xs.push([...wide.map(p => p.u), ...wide.map(p => p.u).reverse()])
      band.ys.push([...wide.map(p => p[high]), ...wide.map(p => p[low]).reverse()])
    }
    if (past.length) { dots.x.push(past.at(-1).u); dots.y.push(past.at(-1)[x]); ends.push({l, text: layer.label, x: past.at(-1).u, y: past.at(-1)[x], from: past.at(-1)[x]}) }
  })
  const plot = figures[name], gap = 13 * (plot.y_range.end - plot.y_range.start) / (plot.inner_height || 140)
  const every = Math.ceil(ends.length * 13 / (plot.inner_height || 140))  // a tall network: as many labels as fit
  if (every > 1) ends = ends.filter((end, i) => end.l === chosen.layer || i % every === 0)
  spread(ends, gap, plot.y_range.start + gap / 2, plot.y_range.end - gap / 2)
  const step = 11 * (plot.x_range.end - plot.x_range.start) / (plot.inner_width || 500)
  put(`${name}_lead`, {xs: ends.map(e => [e.x, e.x + step]), ys: ends.map(e => [e.from, e.y])})
  put(`${name}_ghost`, ghost); put(`${name}_band`, band); put(`${name}_dot`, dots)
  put(`${name}_text`, {x: ends.map(e => e.x), y: ends.map(e => e.y), text: ends.map(e => e.text)})
}

const noticeable = () => 0.01 * (figures.plane.x_range.end - figures.plane.x_range.start)
const fall_of = layer => (meta().falls ?? []).find(f => f.layer === layer && f.probe === chosen.probe && f.estimator === chosen.estimator)
function draw_peaks() {  // filled: a fall that the noise does not explain begins; open: merely the largest so far
  const onset = {x: [], y: []}, out = {x: [], y: []}, plot = figures.compression, lift = 7 * (plot.y_range.end - plot.y_range.start) / (plot.inner_height || 140)
  layers().forEach((_, l) => {
    const best = peak(l), at = here(l), fall = fall_of(l), list = points(l)
    const from = fall && fall.onset <= now() ? list[upto(list, fall.onset) - 1] ?? list[0] : null
    if (from && finite(from.x)) { onset.x.push(from.u); onset.y.push(from.x + lift) }
    else if (best && at && best.x - at.x > noticeable()) { out.x.push(best.u); out.y.push(best.x + lift) }
  })
  put("onset", onset); put("peak", out)
}

const SIGNS = [[[], "━"], [[8, 2], "━ ━"], [[4, 3], "╌"], [[1, 3], "┈"]]
const SHARE = /acc|top|auc|f1|precision|recall/i
function draw_scalars() {
  const names = (meta().scalars ?? []).filter(n => n !== "epoch"), right = names.filter(n => SHARE.test(n)).slice(0, 2), left = names.filter(n => !SHARE.test(n)).slice(0, 2)
  const said = []
  for (const [side, list] of [["left", left], ["right", right]]) {
    const past = {xs: [], ys: [], dash: []}, ghost = {xs: [], ys: [], dash: []}
    let low = Infinity, high = -Infinity
    for (const [rank, name] of list.entries()) {
      const [dash, sign] = SIGNS[side === "left" ? rank : rank + 2]
      const curve = scalar_curve(name), n = curve.filter(r => r[S.step] <= now()).length
      curve.forEach(r => { low = Math.min(low, r[S.value]); high = Math.max(high, r[S.value]) })
      past.xs.push(curve.slice(0, n).map(r => time(r[S.step]))); past.ys.push(curve.slice(0, n).map(r => r[S.value])); past.dash.push(dash)
      if (n < curve.length) { ghost.xs.push(curve.slice(Math.max(0, n - 1)).map(r => time(r[S.step]))); ghost.ys.push(curve.slice(Math.max(0, n - 1)).map(r => r[S.value])); ghost.dash.push(dash) }
      if (curve.length) said.push(`${sign} ${name}`)  // no numbers here: a title that changes lays the plot out anew
    }
    put(`scalar_${side}`, past); put(`scalar_${side}_ghost`, ghost)
    if (finite(low)) {
      const range = side === "left" ? figures.training.y_range : models.right_range
      const start = side === "left" ? Math.min(0, low) : Math.max(0, Math.min(low, 0.5)), end = side === "left" ? high : Math.max(high, 1)
      set(range, {start, end: end + 0.08 * (end - start) || 1})
    }
  }
  set(models.right_axis, {visible: right.length > 0})
  set(models.training_subtitle, {text: said.join("   ")})
}

function draw_titles() {
  const e = current(), unit = `[${chosen.unit}]`
  // where no null was drawn nothing is subtracted, and the title must not claim it
  const less = key => chosen.minus && layers().some((_, l) => points(l).some(p => finite(p[key]))) ? " minus null" : ""
  const say = (model, text) => set(model, {text})
  set(figures.plane.below[0], {axis_label: `${e.x_title}${less("xn")} ${unit}  → remembers input`})
  set(figures.plane.left[0], {axis_label: `${e.y_title}${less("yn")} ${unit}  → predicts label`})
  const room = figures.plane.inner_width || 700, legend = ["dashed = same moment", "ring and thin line = caution", "dotted = not usable", "◇ = null, labels shuffled"]
  say(models.plane_subtitle, (room > 560 ? legend : room > 420 ? ["ring, thin = caution", legend[2], legend[3]] : ["ring = caution", legend[2]]).join(" · "))
  say(models.compression_subtitle, `${e.x_title}${less("xn")} ${unit} · ▼ a fall begins, ▽ largest so far${bands("xl")}`)
  say(models.fitting_subtitle, `${e.y_title}${less("yn")} ${unit}${chosen.minus ? "" : " · dots = null, 95 % of draws lie below"}${bands("yl")}`)
}
function bands(low) {
  const kinds = new Set()
  layers().forEach((_, l) => points(l).forEach(p => { if (finite(p[low])) kinds.add(p.band) }))
  const whose = layers().length > MANY ? "band of a picked layer" : "band"
  return kinds.has(2) ? ` · ${whose} = range of pooled steps` : kinds.has(1) ? ` · ${whose} = 95 % interval` : ""
}

function draw_density() {  // as many value ticks as there is room for
  for (const [name, room] of [["compression", 26], ["fitting", 24], ["training", 26]]) {
    const n = Math.max(2, Math.floor((figures[name].inner_height || 100) / room))
    for (const axis of [...figures[name].left, ...figures[name].right]) if (axis.ticker) set(axis.ticker, {desired_num_ticks: n})
    set(figures[name].center.find(g => g.dimension === 1).ticker ?? figures[name].left[0].ticker, {desired_num_ticks: n})
  }
}
function draw_cursor() {
  const at = Math.min(horizon(), time(Math.min(now(), Math.max(last_step(), 0))))
  for (const name of ["compression", "fitting", "training", "strip"]) set(models[`${name}_cursor`], {location: at})
}

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
  for (const [name, plot] of Object.entries(figures)) {  // a canvas says nothing to a screen reader: the table does
    const el = cb_context.index.find_one(plot)?.el
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

function write_switches() {
  // the plot's own width stands for the page's: asking an element would lay the page out on every draw
  const state = JSON.stringify([meta().estimators, meta().probes, chosen.estimator, chosen.probe, figures.plane.outer_width])
  if (written.get("switches") === state) return
  written.set("switches", state)
  let room = nodes.top.clientWidth - 600, fit = 0  // as many as there is room for; the others are in the menu
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
  nodes["more-button"].textContent = chosen.estimator >= fit ? `${estimator_name(current())} ▾` : "more ▾"
  nodes["more-button"].setAttribute("aria-pressed", String(chosen.estimator >= fit))
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
  nodes.lead.hidden = false  // the whole sentence or none of it: the note behind "?" says more
  nodes.lead.hidden = nodes.lead.scrollHeight > nodes.lead.clientHeight + 1
}

function write_states() {
  const top = nodes.parts[0]
  for (const el of top.querySelectorAll("[data-act=unit]")) el.setAttribute("aria-checked", String(el.dataset.value === chosen.unit))
  top.querySelector("[data-act=minus]").setAttribute("aria-pressed", String(chosen.minus))
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
  const d = live.data, state = d.state[0] in STATES ? d.state[0] : "broken", age = d.age[0]
  nodes.status.dataset.state = state
  nodes.status.title = d.reason[0] || ""
  write("state", STATES[state])
  const seconds = finite(age) ? age + (performance.now() - received) / 1000 : NaN
  write("age", finite(seconds) && state !== "finished" ? `· last record ${ago(seconds)}` : d.note[0] ? `· ${d.note[0]}` : "")
  const step = Math.min(now(), last_step())
  if (!steps().length) { write("clock", "–"); write("clock-unit", has_epochs() ? "epoch" : "step"); write("clock-step", ""); return }
  write("clock", has_epochs() ? moment(epoch_at(step)) : whole(step)); write("clock-unit", has_epochs() ? "epoch" : "step")
  write("clock-step", has_epochs() ? `step ${whole(step)}` : "")
}

function write_table() {
  const e = current(), unit = chosen.unit
  nodes["th-x"].title = e.x_title; nodes["th-y"].title = e.y_title
  write("th-null", chosen.minus ? "null" : "above null")
  write("caption", `Layers at ${when(Math.min(now(), last_step()))}, estimator ${e.label}, in ${unit}`)
  const rows = layers().map((layer, l) => ({layer, l, p: here(l), best: peak(l)})), some = rows.some(r => r.p)
  const worst = Math.max(...rows.map(r => r.p && r.best ? r.best.x - r.p.x : 0), noticeable())
  write("empty", some ? "" : nothing())
  const room = `${figures.plane.outer_height}/${rows.length}`
  if (written.get("room") !== room) {
    written.set("room", room)
    nodes.parts[1].host.style.setProperty("--ip-row", `${Math.max(19, Math.min(28, Math.floor((nodes.rows.closest(".ip-table-box").clientHeight - 26) / Math.max(1, rows.length)) - 1))}px`)
  }
  const state = JSON.stringify([rows.map(r => [r.layer, r.p, r.best]), unit, chosen.layer, chosen.minus, texts.data.text.length])
  if (written.get("rows") === state) return
  written.set("rows", state)
  const focused = nodes.rows.getRootNode().activeElement, place = focused?.dataset.l ? [focused.dataset.l, focused.tagName] : null
  nodes.rows.replaceChildren(...(some ? rows : []).map(r => table_row(r, worst)))
  if (place) nodes.rows.querySelector(`${place[1].toLowerCase()}[data-l="${place[0]}"]`)?.focus({preventScroll: true})
}
function nothing() {
  const state = live.data.state[0], why = live.data.reason[0]
  if (state === "broken" || state === "failed") return `This run cannot be shown: ${why || "the record is damaged"}`
  if (!layers().length) return "Nothing recorded yet. The first points appear with the first snapshot."
  return measured().length ? "No layer was measured at or before this moment." : "Snapshots are there, estimates are not yet: they appear here as soon as the first is computed."
}
function table_row({layer, l, p, best}, worst) {
  const tr = make("tr"), lost = p && best ? p.x - best.x : NaN, n = (text, small) => {
    const td = make("td", "n", text)
    if (small) td.append(" ", make("small", "", small))
    return td
  }
  tr.dataset.l = l; tr.tabIndex = 0
  tr.setAttribute("aria-selected", String(chosen.layer === l))
  const name = make("td", "name", null, make("b", "", layer.label), " ", make("span", "", layer.name.length > 17 ? "…" + layer.name.slice(-16) : layer.name))
  name.title = [layer.name, layer.kind, layer.width ? `${layer.width} wide` : ""].filter(Boolean).join(" · ")
  const bar = make("i"), box = make("td", "bar", null, bar)
  bar.style.width = finite(lost) ? `${Math.max(0, Math.min(100, -lost / worst * 100))}%` : "0"
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

let summarised = 0
function write_summary(force) {
  if (!force && performance.now() - summarised < 1000) { summary_later ??= setTimeout(() => { summary_later = null; if (mount()) write_summary(true) }, 1000); return }
  summarised = performance.now()
  const all = layers().map((layer, l) => ({layer, p: here(l), best: peak(l)})).filter(r => r.p), unit = chosen.unit
  if (!all.length) { write("summary", nothing()); return }
  const step = Math.min(now(), last_step()), parts = []
  const scalars = (meta().scalars ?? []).filter(n => n !== "epoch").slice(0, 3).map(n => [n, scalar_curve(n).filter(r => r[S.step] <= now()).at(-1)])
  const beside = scalars.filter(([, r]) => r).map(([n, r]) => `${n.replaceAll("_", " ")} ${number(r[S.value], 3)}`).join(", ")
  const moved = all.filter(r => r.best && r.p.xv < 2 && r.best.x - r.p.x > noticeable()).sort((a, b) => (b.best.x - b.p.x) - (a.best.x - a.p.x))
  if (moved.length) parts.push(`${moved[0].layer.label} has given up ${number(moved[0].best.x - moved[0].p.x)} of ${number(moved[0].best.x)} ${unit} about the input since ${when(moved[0].best.step)}`)
  else parts.push("no layer is clearly below its own peak")
  const last = all.at(-1)
  parts.push(`${last.layer === moved[0]?.layer ? "it" : last.layer.label} tells ${number(last.p.y)}${meta().h_y && !chosen.minus ? ` of ${number(meta().h_y * scale())}` : ""} ${unit} about the label`)
  const bad = all.filter(r => r.p.v >= 2).map(r => r.layer.label), wary = all.filter(r => r.p.v === 1).map(r => r.layer.label)
  if (bad.length) parts.push(`not usable: ${bad.join(", ")}`)
  if (wary.length) parts.push(`caution: ${wary.join(", ")}`)
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

// -- theme ------------------------------------------------------------------------------------------

function apply_theme() {
  const asked = nodes?.root?.getAttribute("data-theme") || document.documentElement.getAttribute("data-theme")
  const mode = asked in options.tokens ? asked : options.mode in options.tokens ? options.mode : darkness.matches ? "dark" : "light"
  if (nodes?.root && options.mode === "auto" && nodes.root.getAttribute("data-theme") !== mode && asked) nodes.root.setAttribute("data-theme", mode)
  if (chosen.themed === mode) return
  chosen.themed = chosen.mode = mode
  const t = options.tokens[mode], m = models
  for (const plot of Object.values(figures)) {
    for (const axis of [...plot.below, ...plot.left, ...plot.right]) {
      if (!("axis_label_text_color" in axis)) continue
      axis.setv({axis_label_text_color: t.muted, major_label_text_color: t.muted, axis_line_color: t.line, major_tick_line_color: t.line})
    }
    for (const grid of plot.center) if ("grid_line_color" in grid) grid.setv({grid_line_color: t.grid})
  }
  for (const axis of [figures.plane.below[0], figures.plane.left[0]]) axis.setv({axis_label_text_color: t.ink})
  for (const name of ["plane", "compression", "fitting", "training"]) { m[`${name}_title`].setv({text_color: t.ink}); m[`${name}_subtitle`].setv({text_color: t.muted}) }
  const line = (name, color) => m[name].setv({line_color: {value: color}})
  for (const name of ["bounds", "compression_bound", "fitting_bound"]) line(name, t.faint)
  for (const name of ["ghost", "compression_ghost", "fitting_ghost", "scalar_left_ghost", "scalar_right_ghost"]) line(name, t.ghost)
  line("null", t.null); line("fitting_null_line", t.null); line("iso", t.faint); line("scalar_left", t.ink); line("scalar_right", t.muted); line("lead", t.ink); line("compression_lead", t.faint); line("fitting_lead", t.faint)
  m.null_end.setv({line_color: {value: t.null}, fill_color: {value: t.surface}})
  m.fitting_null.setv({fill_color: {value: t.null}})
  m.iso_dot.setv({line_color: {value: t.surface}}); m.halo.setv({fill_color: {value: t.surface}})
  for (const name of ["compression_band", "fitting_band"]) m[name].setv({fill_color: {value: t.null}})
  for (const name of ["compression_dot", "fitting_dot"]) m[name].setv({fill_color: {value: t.ink}, line_color: {value: t.surface}})
  m.onset.setv({fill_color: {value: t.accent}, line_color: {value: t.accent}}); m.peak.setv({fill_color: {value: t.surface}, line_color: {value: t.accent}})
  for (const name of ["bounds_text", "iso_text", "null_text", "rival_text"]) m[name].setv({text_color: {value: t.muted}})
  for (const name of ["compression_text", "fitting_text"]) m[name].setv({text_color: {value: t.ink}})
  for (const name of ["compression", "fitting", "training", "strip"]) m[`${name}_cursor`].setv({line_color: t.accent})
}

// -- acting -----------------------------------------------------------------------------------------

function go(step) { chosen.step = step === null || step >= last_step() ? null : Math.max(steps()[0] ?? 0, step); tell(); refresh() }
function go_index(i) { const list = steps(); go(i >= list.length - 1 ? null : list[Math.max(0, i)]) }
const index_now = () => chosen.step === null ? steps().length - 1 : steps().filter(s => s <= chosen.step).length - 1
function stop() { if (playing !== null) { cancelAnimationFrame(playing); playing = null; refresh() } }
function play() {
  if (playing !== null) { stop(); return }
  if (steps().length < 2) return
  if (calm.matches) { go_index(index_now() >= steps().length - 1 ? 0 : index_now() + 1); return }
  let u = chosen.step === null ? 0 : time(chosen.step), last = performance.now()
  const frame = at => {
    u += (at - last) / 1000 * horizon() / SECONDS_OF_REPLAY
    last = at
    if (!mount() || u >= time(last_step())) { playing = null; go(null); return }
    playing = requestAnimationFrame(frame)
    go(10 ** u - 1)
  }
  playing = requestAnimationFrame(frame)
}
async function save(kind) {  // the four figures as one picture, without the controls around them
  const whole_view = cb_context.index.find_one(root), boxes = Object.values(figures).map(f => cb_context.index.find_one(f).bbox)
  const top = Math.min(...boxes.map(b => b.top)), bottom = Math.max(...boxes.map(b => b.bottom)), layer = whole_view.export(kind)
  let blob
  if (kind === "svg") {
    const text = await (await layer.to_blob()).text(), {width} = whole_view.bbox
    blob = new Blob([text.replace(/<svg\b/, `<svg viewBox="0 ${top} ${width} ${bottom - top}"`)], {type: "image/svg+xml"})
  } else {
    const ratio = layer.pixel_ratio, cut = document.createElement("canvas")
    cut.width = layer.canvas.width; cut.height = (bottom - top) * ratio
    cut.getContext("2d").drawImage(layer.canvas, 0, -top * ratio)
    blob = await new Promise(done => cut.toBlob(done))
  }
  const link = make("a")
  link.href = URL.createObjectURL(blob)
  link.download = `${(meta().name || "infoplane").replace(/[^\w.-]+/g, "-")}.${kind}`
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10000)
}
function choose_estimator(i) { if (measured()[i]) { chosen.estimator = i; if (chosen.wanted) chosen.wanted.estimator = null; tell(); refresh() } }
function choose_layer(l) { chosen.layer = chosen.layer === l ? null : l; tell(); refresh() }
function toggle_menu(open) { nodes["more-menu"].hidden = !open; nodes["more-button"].setAttribute("aria-expanded", String(open)) }
const actions = {
  estimator: value => { choose_estimator(+value); toggle_menu(false) },
  probe: value => { chosen.probe = +value; tell(); refresh() },
  unit: value => { chosen.unit = value; tell(); refresh() },
  minus: () => { chosen.minus = !chosen.minus; tell(); refresh() },
  theme: () => {
    const mode = chosen.mode === "dark" ? "light" : "dark"
    if (options.keys === "page") {  // the view is the page: the rest of it follows, and the choice is kept
      document.documentElement.setAttribute("data-theme", mode)
      try { localStorage.setItem("infoplane-theme", mode) } catch { /* not allowed in this document */ }
    }
    nodes.root.setAttribute("data-theme", mode)
    refresh()
  },
  save: (_, event) => save(event.shiftKey ? "svg" : "png"),
  guide: () => { guide_open = !guide_open; refresh() },
  play, now: () => { stop(); go(null) },
}
function on_click(event) {
  const el = event.target.closest("[data-act],[data-ip=more-button],tr[data-l]")
  if (!el) return
  if (el.dataset.act) actions[el.dataset.act](el.dataset.value, event)
  else if (el.dataset.ip) toggle_menu(nodes["more-menu"].hidden)
  else choose_layer(+el.dataset.l)
}
function on_key(event) {
  if (!nodes?.range.isConnected) return
  const inside = event.composedPath(), target = inside[0]
  if (event.ctrlKey || event.metaKey || event.altKey || (options.keys === "focus" && !inside.includes(nodes.root))) return
  if (target.matches?.("input:not([type=range]),textarea,select,[contenteditable]")) return
  const list = steps(), jump = event.shiftKey ? 10 : 1, button = target.matches?.("button")
  const keys = {
    ArrowLeft: () => { stop(); go_index(index_now() - jump) }, ArrowRight: () => { stop(); go_index(index_now() + jump) },
    Home: () => { stop(); go_index(0) }, End: () => { stop(); go_index(list.length - 1) },
    u: () => actions.unit(chosen.unit === "bits" ? "nats" : "bits"), n: actions.minus, t: actions.theme, "?": actions.guide, s: () => save("png"), S: () => save("svg"),
    Escape: () => { guide_open = false; chosen.layer = null; toggle_menu(false); hide_tip(); tell(); refresh() },
  }
  if (!button) keys[" "] = play
  if (target.matches?.("tr[data-l]")) keys.Enter = () => choose_layer(+target.dataset.l)
  const act = keys[event.key] ?? (/^[1-9]$/.test(event.key) ? () => choose_estimator(+event.key - 1) : null)
  if (!act) return
  event.preventDefault()
  act()
}
function on_plane_tap(event) {
  const plane = figures.plane, px = plane.inner_width / (plane.x_range.end - plane.x_range.start), py = plane.inner_height / (plane.y_range.end - plane.y_range.start)
  const near = (chosen.targets ?? []).map(h => ({l: h.l, d: Math.hypot((h.x - event.x) * px, (h.y - event.y) * py)})).sort((a, b) => a.d - b.d)[0]
  if (near && near.d < 22) choose_layer(near.l)
  else if (chosen.layer !== null) choose_layer(chosen.layer)
}

// -- frames -----------------------------------------------------------------------------------------

let asked = false, resting = null
function refresh() {  // at most once an animation frame
  if (asked) return
  asked = true
  requestAnimationFrame(() => { asked = false; draw() })
}
function draw() {
  const there = mount()
  settle_wanted()
  if (chosen.estimator >= measured().length) chosen.estimator = 0
  apply_theme()
  draw_ranges(); draw_density(); draw_time(); draw_titles(); draw_bounds(); draw_null(); draw_rivals(); draw_iso()
  put("ghost", trails("trail", p => [p.x, p.y]))
  draw_curves("compression", "x", "xl", "xh"); draw_curves("fitting", "y", "yl", "yh")
  draw_peaks(); draw_scalars(); draw_heads(); draw_cursor()
  clearTimeout(resting)
  resting = setTimeout(draw_hits, 150)  // what the pointer can ask for is made when the picture rests
  if (!there) { setTimeout(refresh, 60); return }
  write("run", meta().name ?? ""); write("subtitle", meta().subtitle ?? "")
  write_switches(); write_states(); write_status(); write_table(); write_slider(); write_summary(false)
  controller.drawn++
}
function wake(cause) {
  if (cause === view) restore()
  if (cause !== view) { ingest(); received = performance.now(); const seq = live.data.seq[0]; requestAnimationFrame(() => requestAnimationFrame(() => { if (ack.data.seq[0] !== seq) ack.data = {seq: [seq]} })) }
  refresh()
}

const controller = live.__ip = {wake, chosen, known, points, here, peak, steps, go, drawn: 0, models: {raw, head_rows, scalars, scalar_head, texts, facts, live}}
const scrub = event => { stop(); const list = steps(); if (!list.length) return; const step = 10 ** event.x - 1; go(event.x >= time(last_step()) ? null : step) }
for (const name of ["compression", "fitting", "training", "strip"]) for (const type of ["tap", "panstart", "pan"]) figures[name].on_event(type, scrub)
figures.plane.on_event("tap", on_plane_tap)
for (const plot of [figures.plane, figures.compression]) plot.properties.inner_height.change.connect(() => refresh())
document.addEventListener("keydown", on_key)
darkness.addEventListener("change", refresh)
const themes = new MutationObserver(refresh)
themes.observe(document.documentElement, {attributes: true, attributeFilter: ["data-theme"]})
const clock = setInterval(() => {
  if (!nodes || mount()) { if (nodes) write_status(); return }
  clearInterval(clock)  // the view is gone from the page (a notebook cell run again): let go of it
  document.removeEventListener("keydown", on_key)
  darkness.removeEventListener("change", refresh)
  themes.disconnect()
}, 1000)
ingest(); received = performance.now(); restore(); refresh()
