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
  const heads = known.heads.get(key) ?? [], alone = new Set(heads.filter(r => r[C.count] === 1 && r[C.bin] >= 0).map(r => r[C.step]))
  for (const row of heads) if (row[C.bin] >= 0 || !alone.has(row[C.step])) cells.set(row[C.bin], row)  // the newest point once
  return [...cells.values()].sort(by_step)
})
const scalar_curve = name => remember(`scalar/${name}`, () => {
  const index = (known.meta.scalars ?? []).indexOf(name), bins = known.curves[index]
  const alone = bins && [...bins.values()].find(row => row[S.bin] >= 0 && row[S.count] === 1 && row[S.step] === bins.get(-1)?.[S.step])
  return bins ? [...bins.values()].filter(row => !alone || row[S.bin] >= 0).sort((a, b) => a[S.step] - b[S.step]) : []
})

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
const now = () => chosen.step === null ? Infinity  // what is shown was measured then, not when a pointer asks for
  : remember(`now/${chosen.probe}/${chosen.estimator}/${chosen.step}`, () => steps().findLast(s => s <= chosen.step) ?? chosen.step)
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
