// -- frames -----------------------------------------------------------------------------------------

// What a reader does is drawn at once. What a growing run brings is drawn at once in the plane; the
// curves, the table and the slider follow a few times a second: Bokeh paints each figure anew for any
// change in it, which takes far longer than everything here.
const BESIDE_EVERY = 220  // milliseconds; on a slow machine three times as long as drawing all takes
let told_state = null, asked = false, resting = null, all = true, beside = 0, cost = 0, catching_up = null
function refresh() { all = true; ask() }
function ask() {  // at most one drawing an animation frame
  if (asked) return
  asked = true
  requestAnimationFrame(() => { asked = false; draw() })
}
function due_beside() {
  const begun = performance.now(), pause = Math.max(BESIDE_EVERY, Math.min(3 * cost, 3000))
  if (!all && begun - beside < pause) {
    catching_up ??= setTimeout(refresh, pause)
    return false
  }
  clearTimeout(catching_up)
  catching_up = null; all = false; beside = begun
  requestAnimationFrame(() => setTimeout(() => { cost = performance.now() - begun }))  // painted by then
  return true
}
function draw() {
  const there = mount()
  settle_wanted()
  if (chosen.estimator >= measured().length) chosen.estimator = 0
  const whole_page = due_beside() || !there
  apply_theme()
  draw_ranges(); draw_bounds(); draw_rivals()
  put("ghost", trails("trail", p => [p.x, p.y]))
  draw_heads(); draw_iso(); draw_null()  // words keep clear of the heads
  if (whole_page) {
    draw_density(); draw_time(); draw_titles()
    draw_over_time(); draw_scalars(); draw_cursor()
  }
  clearTimeout(resting)
  if (!hurried) resting = setTimeout(draw_hits, 150)  // what the pointer can ask for is made when the picture rests
  if (!there) { setTimeout(refresh, 60); return }
  write("run", meta().name ?? ""); write("subtitle", meta().subtitle ?? "")
  write_status()
  if (whole_page) { write_switches(); write_states(); write_table(); write_slider(); write_summary(false) }
  controller.drawn++
}
function wake(cause) {
  if (cause === view) restore()
  if (cause !== view) { ingest(); received = performance.now(); const seq = live.data.seq[0]; requestAnimationFrame(() => requestAnimationFrame(() => { if (ack.data.seq[0] !== seq) ack.data = {seq: [seq]} })) }
  const turned = live.data.state[0] !== told_state  // how the run stands is told at once
  told_state = live.data.state[0]
  if (cause === view || turned) refresh()
  else ask()
}

const controller = live.__ip = {wake, chosen, told, known, points, here, peak, steps, go, drawn: 0, models: {raw, head_rows, scalars, scalar_head, texts, facts, live}}
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
