// -- curves over time -----------------------------------------------------------------------------

function draw_time() {
  const end = horizon(), p = shades(), at = marks().map(([step]) => time(step))
  const width = figures.compression.inner_width || 500
  const ends = {start: -0.01 * end, end: end * Math.max(1.075, width / Math.max(width - 42, 60))}  // room for names at the ends
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
  const said = fitting([`${word}, log scale`, "the strip is the colour legend", "click or drag to travel in time"], figures.strip)
  set(figures.strip.below[0], {axis_label: said})
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
const turn_of = (kind, layer) => (meta()[kind] ?? []).find(t => t.layer === layer && t.probe === chosen.probe && t.estimator === chosen.estimator)
function draw_turns() {  // filled: a fall that the noise does not explain begins; open: merely the largest so far
  const onset = {x: [], y: []}, out = {x: [], y: []}, plot = figures.compression, lift = 7 * (plot.y_range.end - plot.y_range.start) / (plot.inner_height || 140)
  layers().forEach((_, l) => {
    if (!certain(l)) return
    const best = peak(l), at = here(l), fall = turn_of("falls", l), list = points(l)
    const from = fall && fall.amount * scale() > noticeable() && fall.onset <= now() ? list[upto(list, fall.onset) - 1] ?? list[0] : null
    if (from && finite(from.x)) { onset.x.push(from.u); onset.y.push(from.x + lift) }
    else if (best && at && best.x - at.x > noticeable()) { out.x.push(best.u); out.y.push(best.x + lift) }
  })
  put("onset", onset); put("peak", out)
  const small = 0.01 * (figures.fitting.y_range.end - figures.fitting.y_range.start)
  const fitted = {x: [], y: []}, drop = 7 * (figures.fitting.y_range.end - figures.fitting.y_range.start) / (figures.fitting.inner_height || 140)
  layers().forEach((_, l) => {
    if (!certain(l)) return
    const rise = turn_of("rises", l), list = points(l), at = rise && rise.amount * scale() > small && rise.end <= now() && rise.end < list.at(-1)?.step ? list[upto(list, rise.end) - 1] : null
    if (at && finite(at.y)) { fitted.x.push(at.u); fitted.y.push(at.y - drop) }
  })
  put("fitted", fitted)
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
      const axis = left.length && right.length && rank === list.length - 1 ? ` (${side} axis)` : ""
      if (curve.length) said.push(`${sign} ${name.replaceAll("_", " ")}${axis}`)  // no numbers here: a title that changes lays the plot out anew
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

function draw_density() {  // as many value ticks as there is room for
  for (const [name, room] of [["compression", 26], ["fitting", 24], ["training", 26]]) {
    const n = Math.max(1, Math.floor((figures[name].inner_height || 100) / room))
    for (const axis of [...figures[name].left, ...figures[name].right]) if (axis.ticker) set(axis.ticker, {desired_num_ticks: n})
    set(figures[name].center.find(g => g.dimension === 1).ticker ?? figures[name].left[0].ticker, {desired_num_ticks: n})
  }
}
function draw_cursor() {
  const at = Math.min(horizon(), time(Math.min(now(), Math.max(last_step(), 0))))
  for (const name of ["compression", "fitting", "training", "strip"]) set(models[`${name}_cursor`], {location: at})
}
