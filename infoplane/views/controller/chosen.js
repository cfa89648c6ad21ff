// -- what is chosen ---------------------------------------------------------------------------

const chosen = {estimator: 0, unit: "bits", minus: false, overlay: false, heat: false, probe: 0, step: null, layer: null, hover: null, mode: "light"}
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
  overlay: [chosen.overlay], heat: [chosen.heat],
})
function restore() {  // from the `view` source into `chosen`; unknown values are ignored
  const d = view.data
  if (JSON.stringify(d) === JSON.stringify(told())) return  // our own words
  clearTimeout(telling)
  telling = null
  if (d.unit[0] === "bits" || d.unit[0] === "nats") chosen.unit = d.unit[0]
  chosen.minus = d.minus[0] === true
  chosen.overlay = d.overlay[0] === true
  chosen.heat = d.heat[0] === true
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
