// -- the information plane ---------------------------------------------------------------------

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

function draw_bounds() {
  const k = scale(), x = figures.plane.x_range, y = figures.plane.y_range, e = current()
  const lines = {xs: [], ys: []}, words = {x: [], y: [], text: [], align: [], base: [], dx: [], dy: []}
  const say = (px, py, text, align, base, dx, dy) => [px, py, text, align, base, dx, dy].forEach((value, i) => words[["x", "y", "text", "align", "base", "dx", "dy"][i]].push(value))
  const bound_x = {xs: [], ys: []}, bound_y = {xs: [], ys: []}, far = models.time.end
  const {right} = room()
  const vertical = (at, text) => {
    const tight = right(at) < 8 + 6.2 * text.length
    lines.xs.push([at, at]); lines.ys.push([y.start, y.end]); say(at, y.start, text, tight ? "right" : "left", "bottom", tight ? -6 : 6, -6)
    bound_x.xs.push([models.time.start, far]); bound_x.ys.push([at, at])
  }
  if (meta().log_n && !chosen.minus) vertical(meta().log_n * k, "log n")
  const own = Math.max(...layers().map((_, l) => here(l)?.xc ?? NaN).filter(finite), -Infinity)
  if (finite(own) && !chosen.minus && Math.abs(own - (meta().log_n ?? 0) * k) > 0.02 * own && own < x.end) vertical(own, e.ceiling || "ceiling")
  const limit = (meta().limits ?? []).find(l => l.probe === chosen.probe), over = {xs: [], ys: []}, edge = {xs: [], ys: []}
  if (meta().h_y && !chosen.minus) {
    const at = meta().h_y * k
    lines.xs.push([x.start, x.end]); lines.ys.push([at, at]); say(x.start, at, limit ? "H(Y) · shade: above the IB bound, no T can be there" : "H(Y)", "left", "bottom", 7, -4)
    bound_y.xs.push([models.time.start, far]); bound_y.ys.push([at, at])
  }
  if (chosen.minus) { lines.xs.push([x.start, x.end]); lines.ys.push([0, 0]); say(x.start, 0, "null", "left", "top", 7, 4) }
  if (limit && !chosen.minus) {  // no T lies above the information-bottleneck bound
    const xs = limit.x.map(v => v * k), ys = limit.y.map(v => v * k)
    over.xs.push([...xs, x.end, x.end, x.start, x.start]); over.ys.push([...ys, ys.at(-1), y.end, y.end, 0])
    edge.xs.push(xs); edge.ys.push(ys)
  }
  if (!steps().length) say((x.start + x.end) / 2, (y.start + y.end) / 2, nothing(), "center", "middle", 0, 0)
  put("limit", over); put("limit_line", edge)
  put("bounds", lines); put("bounds_text", words)
  if (!chosen.heat) { put("compression_bound", bound_x); put("fitting_bound", bound_y) }
}

function nulls() {  // [layer, its points with a null until now], of the picked layer, or of all where they are few
  const shown = chosen.minus ? [] : [...layers().keys()].filter(certain)
  return shown.map(l => [l, points(l).slice(0, upto(points(l), now())).filter(p => finite(p.x) && finite(p.yn))]).filter(([, list]) => list.length)
}
function draw_null() {
  const found = nulls().map(([, list]) => list), ends = found.map(list => list.at(-1))
  const taken = [sources.iso_text, sources.bounds_text, sources.rival_text].flatMap(({data}) => data.x.map((x, i) => ({x, y: data.y[i]}))).concat(chosen.targets)
  const clear = p => Math.min(...taken.map(t => Math.hypot(...pixels({x: p.x, y: p.yn}, t))), 200)
  const first = ends.reduce((a, b) => a && clear(a) >= clear(b) ? a : b, null)  // named where there is most room, if there is
  put("null", {xs: found.map(list => list.map(p => p.x)), ys: found.map(list => list.map(p => p.yn))})
  put("null_end", {x: ends.map(p => p.x), y: ends.map(p => p.yn)})
  put("null_text", first && clear(first) > 14 ? {x: [first.x], y: [first.yn], text: ["null"]} : {x: [], y: [], text: []})
}
function draw_null_curves() {
  const area = {xs: [], ys: []}, line = {xs: [], ys: []}
  for (const [l, list] of nulls()) {
    const top = list.map(p => finite(p.yq) ? p.yq : p.yn), us = list.map(p => p.u)
    line.xs.push(us); line.ys.push(top)
    if (chosen.layer === l) { area.xs.push([...us, ...us.slice().reverse()]); area.ys.push([...top, ...top.map(() => 0)]) }
  }
  put("fitting_null", area); put("fitting_null_line", line)
}

function draw_rivals() {  // the paths under the other estimators: of a picked layer, named; of all layers, numbered
  const lines = {xs: [], ys: [], color: []}, names = [], {gap, left, right} = room()
  const shown = chosen.layer !== null ? [chosen.layer] : chosen.overlay ? [...layers().keys()] : []
  for (const l of shown) measured().forEach((e, i) => {
    if (i === chosen.estimator) return
    const list = points(l, i).slice(0, upto(points(l, i), now())).filter(p => finite(p.x) && finite(p.y))
    let line = null, color = null
    for (let j = 1; j < list.length; j++) {
      if (shade(list[j].u) !== color) {
        color = shade(list[j].u)
        line = {xs: [list[j - 1].x], ys: [list[j - 1].y]}
        lines.xs.push(line.xs); lines.ys.push(line.ys); lines.color.push(color)
      }
      line.xs.push(list[j].x); line.ys.push(list[j].y)
    }
    if (!list.length) return
    const p = chosen.layer === null ? list.at(-1) : list[0]  // a name at the start: the ends crowd
    names.push({text: chosen.layer === null ? String(i + 1) : estimator_name(e), x: p.x, y: p.y})
  })
  if (chosen.layer !== null) spread(names, gap, figures.plane.y_range.start + gap, figures.plane.y_range.end - gap)
  const outside = names.map(n => n.text.length > 1 && right(n.x) < 8 * n.text.length), column = f => names.map(f)
  put("rival", lines)
  put("rival_text", {x: column(n => n.x), y: column(n => n.y), text: column(n => n.text), align: outside.map(o => o ? "right" : "left"), dx: outside.map(o => o ? -7 : 7)})
}
function room() {  // value of a line of text in the plane, and pixels from a value to its sides
  const {x_range: x, y_range: y, inner_width, inner_height} = figures.plane, px = (inner_width || 700) / (x.end - x.start)
  return {gap: 13 * (y.end - y.start) / (inner_height || 500), left: v => (v - x.start) * px, right: v => (x.end - v) * px}
}

function draw_iso() {
  const lines = {xs: [], ys: []}, dots = {x: [], y: [], color: []}, words = {x: [], y: [], text: [], align: [], dx: [], dy: []}, {left: space} = room()
  const placed = []  // words: a point, and how far to its right their middle and how wide their half is
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
    const said = first ? `${has_epochs() ? "epoch" : "step"} ${text}` : text, tight = space(left.x) < 14 + 7 * said.length
    const half = 3.5 * said.length, middle = tight ? half : -9 - half
    if (chosen.targets.map(h => pixels(h, left)).some(([right, up]) => Math.abs(right - middle) < half + 12 && Math.abs(up) < 20)) continue
    const over = ({at, middle: other, half: wide}) => { const [right, up] = pixels(at, left); return Math.abs(right + other - middle) < half + wide + 4 && Math.abs(up) < 14 }
    if (placed.some(over)) continue
    placed.push({at: left, middle, half})
    words.x.push(left.x); words.y.push(left.y); words.text.push(said)
    words.align.push(tight ? "left" : "right"); words.dx.push(tight ? 4 : -9); words.dy.push(tight ? -11 : 0)
    first = false
  }
  put("iso", lines); put("iso_dot", dots); put("iso_text", words)
}

function pixels(a, b) {  // from b to a: to the right, and up
  const {x_range: x, y_range: y, inner_width, inner_height} = figures.plane
  return [(a.x - b.x) * (inner_width || 700) / (x.end - x.start), (a.y - b.y) * (inner_height || 500) / (y.end - y.start)]
}

function draw_heads() {  // markers keep clear of each other; a thin line leads to the true point
  const plane = figures.plane, t = options.tokens[chosen.mode]
  const px = (plane.inner_width || 700) / (plane.x_range.end - plane.x_range.start), py = (plane.inner_height || 500) / (plane.y_range.end - plane.y_range.start)
  const list = [], many = layers().length > MANY, r = many ? 10 : 12
  const limit = meta().h_y && !chosen.minus ? meta().h_y * scale() : Infinity  // no marker is pushed to where no T can be
  set_size(2 * r, many ? "9.5px" : "11.5px")
  layers().forEach((layer, l) => {
    const p = here(l)
    if (p && finite(p.x) && finite(p.y)) list.push({l, p, layer, x: p.x * px, y: p.y * py})
  })
  const top = plane.y_range.end * py - r - 3, right = plane.x_range.end * px - r - 3, bottom = plane.y_range.start * py + r + 3, left = plane.x_range.start * px + r + 3
  const highest = h => Math.min(top, Math.max(limit, h.p.y) * py + 4), near = 2 * r + 3
  for (let round = 0; round < 60; round++) {
    let moved = false
    for (let i = 0; i < list.length; i++) for (let j = i + 1; j < list.length; j++) {
      const a = list[i], b = list[j], dx = b.x - a.x || 0.01 * (j - i), dy = b.y - a.y || -0.3, d = Math.hypot(dx, dy)
      if (d >= near) continue
      const push = (near + 0.5 - d) / 2 / d
      a.x -= dx * push; a.y -= dy * push; b.x += dx * push; b.y += dy * push
      moved = true
    }
    for (const h of list) { h.x = Math.max(left, Math.min(right, h.x)); h.y = Math.max(bottom, Math.min(highest(h), h.y)) }
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

function set_size(size, font) {
  if (models.disc.size.value === size) return
  models.disc.setv({size: {value: size}}); models.halo.setv({size: {value: size + 4}}); models.marker_text.setv({text_font_size: {value: font}})
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

// where no null was drawn nothing is subtracted, and the title must not claim it
const less = key => chosen.minus && layers().some((_, l) => points(l).some(p => finite(p[key]))) ? " minus null" : ""
function draw_titles() {
  const e = current(), unit = `[${chosen.unit}]`
  const say = (model, text) => set(model, {text})
  set(figures.plane.below[0], {axis_label: `${e.x_title}${less("xn")} ${unit}  → remembers input`})
  set(figures.plane.left[0], {axis_label: `${e.y_title}${less("yn")} ${unit}  → predicts label`})
  const others = measured().map((e, i) => `${i + 1} ${e.label}`).filter((_, i) => i !== chosen.estimator)
  const legend = chosen.overlay && chosen.layer === null && others.length ? [`thin paths: ${others.join(", ")}`]
    : [seen(1) && "ring, thin line = caution", seen(2) && "dotted = not usable", sources.iso.data.xs.length && "dashed = same moment", null_in_words(), ellipses()]
  say(models.plane_subtitle, fitting(legend, figures.plane) || "one path per layer · colour = time")
  if (chosen.heat) {
    for (const [name, title] of [["compression", e.x_title + less("xn")], ["fitting", e.y_title + less("yn")]])
      say(models[`${name}_subtitle`], fitting([`${title} ${unit}`, shades_in_words(name), "a row a layer", seen(2) && "hatched = not usable"], figures[name]))
    return
  }
  say(models.compression_subtitle, fitting([`${e.x_title}${less("xn")} ${unit}`, turns_in_words("▼ a fall begins, ▽ largest so far"), bands("xl")], figures.compression))
  const null_words = nulls().length ? "dots = null, 95 % of draws below" : ""
  say(models.fitting_subtitle, fitting([`${e.y_title}${less("yn")} ${unit}`, turns_in_words("▲ a rise ends"), null_words, bands("yl")], figures.fitting))
}
const seen = verdict => layers().some((_, l) => points(l).some(p => p.v === verdict && p.step <= now()))
const turns_in_words = words => layers().length > MANY ? `${words}, of a picked layer` : words
const null_in_words = () => nulls().length ? "◇ = null, labels shuffled" : layers().length > MANY && chosen.layer === null && !chosen.minus ? "pick a layer to see its null" : ""
const ruler = document.createElement("canvas").getContext("2d")
function fitting(parts, plot) {  // as many of the phrases as there is room for, the first always
  const said = parts.filter(Boolean), room = (plot.inner_width || 400) + 40
  ruler.font = `12px ${models.plane_subtitle.text_font}`
  while (said.length > 1 && ruler.measureText(said.join(" · ")).width > room) said.pop()
  return said.join(" · ")
}
function ellipses() {
  const kinds = new Set(layers().map((_, l) => certain(l) ? here(l)?.band : 0))
  return kinds.has(1) ? "shaded = 95 % interval" : kinds.has(2) ? "shaded = range of pooled steps" : ""
}
function bands(low) {
  const kinds = new Set()
  layers().forEach((_, l) => points(l).forEach(p => { if (finite(p[low])) kinds.add(p.band) }))
  const whose = layers().length > MANY ? "band of a picked layer" : "band"
  return kinds.has(2) ? `${whose} = range of pooled steps` : kinds.has(1) ? `${whose} = 95 % interval` : ""
}
