// -- acting -----------------------------------------------------------------------------------------

function go(step) { hurry(); chosen.step = step === null || step >= last_step() ? null : Math.max(steps()[0] ?? 0, step); tell(); refresh() }
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
function choose_estimator(i) { if (measured()[i]) { chosen.estimator = i; if (chosen.wanted) chosen.wanted.estimator = null; tell(); refresh() } }
function choose_layer(l) { chosen.layer = chosen.layer === l ? null : l; tell(); refresh() }
function show_menu(name) {  // one at a time, none without a name
  for (const menu of ["more", "save"]) {
    const list = nodes[`${menu}-menu`]
    if (menu !== name && list.contains(list.getRootNode().activeElement)) nodes[`${menu}-button`].focus()
    list.hidden = menu !== name
    nodes[`${menu}-button`].setAttribute("aria-expanded", String(menu === name))
  }
}
const actions = {
  estimator: value => { choose_estimator(+value); show_menu(null) },
  probe: value => { chosen.probe = +value; tell(); refresh() },
  unit: value => { chosen.unit = value; tell(); refresh() },
  overlay: () => { chosen.overlay = !chosen.overlay; tell(); refresh() },
  heat: () => { chosen.heat = !chosen.heat; tell(); refresh() },
  minus: () => { chosen.minus = !chosen.minus; tell(); refresh() },
  theme: () => {
    const mode = chosen.mode === "dark" ? "light" : "dark"
    if (options.keys === "page") {  // the view is the page: the rest of it follows, and the choice is kept
      document.documentElement.setAttribute("data-theme", mode)
      try { localStorage.setItem("infoplane-theme", mode) } catch { /* not allowed in this document */ }
    }
    chosen.followed = null
    nodes.root.setAttribute("data-theme", mode)
    refresh()
  },
  save: value => { show_menu(null); save(...value.split("/")) },
  file: value => { show_menu(null); document.getElementById("reading")?.dispatchEvent(new CustomEvent("file", {detail: value})) },
  reading: () => document.getElementById("reading")?.dispatchEvent(new Event("open")),  // the page's, not the view's
  guide: () => { guide_open = !guide_open; refresh() },
  play, now: () => { stop(); go(null) },
}
function on_click(event) {
  const el = event.target.closest("[data-act],[data-menu],tr[data-l]")
  if (!el) { if (!event.target.closest(".ip-menu")) show_menu(null); return }
  if (el.dataset.act) actions[el.dataset.act](el.dataset.value)
  else if (el.dataset.menu) show_menu(nodes[`${el.dataset.menu}-menu`].hidden ? el.dataset.menu : null)
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
    u: () => actions.unit(chosen.unit === "bits" ? "nats" : "bits"), n: actions.minus, a: actions.overlay, h: actions.heat, r: actions.reading, t: actions.theme, "?": actions.guide, s: () => save("all", "png"), S: () => save("all", "svg"),
    Escape: () => { guide_open = false; chosen.layer = null; show_menu(null); hide_tip(); tell(); refresh() },
  }
  if (!button) keys[" "] = play
  if (target.matches?.("tr[data-l]")) keys.Enter = () => choose_layer(+target.dataset.l)
  const act = keys[event.key] ?? (/^[1-9]$/.test(event.key) ? () => choose_estimator(+event.key - 1) : null)
  if (!act) return
  event.preventDefault()
  act()
}
function on_plane_tap(event) {
  show_menu(null)
  const plane = figures.plane, px = plane.inner_width / (plane.x_range.end - plane.x_range.start), py = plane.inner_height / (plane.y_range.end - plane.y_range.start)
  const near = (chosen.targets ?? []).map(h => ({l: h.l, d: Math.hypot((h.x - event.x) * px, (h.y - event.y) * py)})).sort((a, b) => a.d - b.d)[0]
  if (near && near.d < 22) choose_layer(near.l)
  else if (chosen.layer !== null) choose_layer(chosen.layer)
}
