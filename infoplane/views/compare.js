// The Compare page: planes and curves side by side, compression against accuracy, agreement.
"use strict"
Object.assign(infoplane, (() => {
  const {first, element, ask, keep_only, options, figure_in, labels_at_ends, table} = infoplane.page, {plot, short} = infoplaneCharts
  const MOST = 24, USUAL = 12  // runs compared at once, and chosen when a reader has not chosen
  const id = (name) => document.getElementById(name)
  const chosen = new Set(first.chosen ?? [])
  let known = first.runs ?? []

  function choices(rows) {
    known = rows ?? known
    const words = id("search").value.toLowerCase().split(/\s+/).filter(Boolean)
    const box = id("runs-to-choose"), focused = document.activeElement?.value
    const shown = known.filter((run) => run.open && (chosen.has(run.id) || words.every((word) => run.text.includes(word))))
    box.replaceChildren(box.querySelector("legend"), ...shown.map((run) => {
      const label = element("label", ""), tick = element("input", "", {type: "checkbox", value: run.id})
      tick.checked = chosen.has(run.id)
      label.append(tick, element("span", run.name), element("small", `${run.about} · ${run.state}`))
      return label
    }))
    box.querySelector("legend").textContent = `Runs: ${chosen.size} of ${known.filter((run) => run.open).length} chosen`
    if (focused) box.querySelector(`input[value="${CSS.escape(focused)}"]`)?.focus()
  }
  let asked_runs = ""
  function question(read = 0) {  // how many runs the server has read already
    const here = new URLSearchParams({page: "compare", ...(chosen.size && {runs: [...chosen].join(",")})})
    history.replaceState(null, "", `?${here.toString().replaceAll("%2C", ",")}`)
    if (chosen.size && !read) id("hint").textContent = "Reading the runs …"
    ask({read, runs: [...chosen], estimator: id("estimator").value, key: id("key").options.length ? id("key").value : null, layer: id("layer-choice").selectedIndex, run: id("agreement-run").options.length && asked_runs === String([...chosen]) ? id("agreement-run").selectedIndex : null}, true)
    asked_runs = String([...chosen])
  }

  function compare(number, answer) {
    if (answer.reading) {
      const [read, all] = answer.reading
      id("hint").textContent = `Reading the runs: ${read} of ${all} …`
      return question(read)
    }
    const problems = answer.error ? [answer.error] : answer.problems
    id("hint").textContent = chosen.size ? problems.join(" · ") : "Choose runs on the left; runs that differ in their seed only become one band."
    id("compared").hidden = Boolean(answer.error) || !answer.estimator
    if (id("compared").hidden) return
    const {groups} = answer, runs = groups.reduce((sum, g) => sum + g.runs, 0)
    options(id("estimator"), answer.estimators, answer.estimator)
    options(id("key"), [["settings", "combination of settings"], ["run", "run"], ["", "nothing: all together"], ...answer.keys.map((k) => [k, k.replaceAll("_", " ")])], answer.key)
    options(id("layer-choice"), answer.layers.map((l, i) => [String(i), l]), String(answer.layer))
    options(id("agreement-run"), answer.names.map((name, i) => [String(i), name]), String(answer.run))
    const label = answer.estimators.find(([name]) => name === answer.estimator)[1]
    id("about-estimator").textContent = answer.measures && `Measured: ${answer.measures}.${/\bV\b/.test(answer.measures) ? " V is X on the one axis, Y on the other." : ""}`
    id("summary").textContent = `${runs} runs compared in ${groups.length} cells, estimator ${label}.`
    const several = groups.some((g) => g.runs > 1)
    id("about-groups").replaceChildren("Colour: training step, ", timeline(last_step(groups)), several ? "; path: mean over runs; grey: smallest to largest run; thin lines: each run. Cells of one task have the same axes." : ". One run in each cell; cells of one task have the same axes.")
    const mixed = [...new Set(groups.flatMap((g) => g.differ))]
    id("mixed").textContent = mixed.length ? `Runs of one cell differ in more than their seed (${mixed.join(", ").replaceAll("_", " ")}): the grey is no seed band.` : ""
    const made_by = several ? "path: mean over runs; grey: smallest to largest run; thin lines: each run" : ""
    planes(groups, answer.titles, [label, made_by].filter(Boolean).join("; "))
    curves(groups, answer.titles, label)
    correlation(answer)
    agreement(answer.agreement)
  }

  // -- the planes ----------------------------------------------------------------------------------
  const last_step = (groups) => Math.max(1, ...groups.flatMap((g) => g.layers.map((l) => l.plane.step.at(-1) ?? 0)))
  function timeline(last) {
    const made = element("span", "", {class: "timeline"})
    made.append("0 ", element("i", "", {"aria-hidden": "true"}), ` ${short(last)}`)
    return made
  }
  function planes(groups, [across, up], note) {
    const host = id("planes"), last = Math.log1p(last_step(groups))
    keep_only(host, groups.length)
    const all = (name) => groups.flatMap((g) => g.layers.flatMap(({plane: p}) => [...p[name], ...p.each.flatMap((e) => e[name])]))
    const top_x = 1.06 * Math.max(...all("x"), 0.1), top_of = new Map()  // what has another H(Y) is another task: its y axis is its own
    for (const g of groups) top_of.set(g.h_y, 1.08 * Math.max(top_of.get(g.h_y) ?? 0.1, g.h_y, ...g.layers.flatMap(({plane: p}) => [...p.y, ...p.each.flatMap((e) => e.y)])))
    groups.forEach((group, i) => {
      const [caption, canvas] = figure_in(host, i)
      caption.replaceChildren(group.title, element("small", group.runs === 1 ? "1 run" : `${group.runs} runs`))
      const seen = group.layers.filter(({plane}) => plane.x.length), marks = []
      if (group.h_y) marks.push({kind: "rule", y: group.h_y, inside: false, name: "H(Y)"})
      for (const {plane: p} of seen) if (p.each.length) marks.push({kind: "ribbon", x: p.mid_x, y: p.mid_y, rx: p.rx, ry: p.ry})
      for (const {plane: p} of seen) marks.push(...p.each.map((e) => ({kind: "line", x: e.x, y: e.y, style: "stroke-width:.7;stroke:var(--ip-faint)"})))
      for (const {plane: p} of seen) marks.push({kind: "timed", x: p.x, y: p.y, t: p.step.map((s) => Math.log1p(s) / last)})
      marks.push({kind: "heads", x: seen.map((l) => l.plane.x.at(-1)), y: seen.map((l) => l.plane.y.at(-1)), text: seen.map((l) => l.label)})
      plot(canvas, {height: 270, x: {label: `${across} in bits`, low: 0, high: top_x}, y: {label: `${up} in bits`, title: true, low: 0, high: top_of.get(group.h_y)}, says: plane_in_words(group), note, times: ["step 0", short(last_step(groups))], marks})
    })
  }
  const plane_in_words = (group) => `Information plane of ${group.title}. ` + group.layers.filter(({plane}) => plane.x.length)
    .map(({label, plane}) => `${label} from ${plane.x[0].toFixed(2)}, ${plane.y[0].toFixed(2)} to ${plane.x.at(-1).toFixed(2)}, ${plane.y.at(-1).toFixed(2)} bits`).join("; ")

  // -- the curves ----------------------------------------------------------------------------------
  function curves(groups, titles, note) {
    const host = id("groups"), high = {X: new Map(), Y: new Map()}, task = {X: () => 0, Y: (g) => g.h_y}  // Y of another task has another scale
    keep_only(host, 2 * groups.length)
    for (const g of groups) for (const l of g.layers) for (const t of ["X", "Y"]) high[t].set(task[t](g), Math.max(high[t].get(task[t](g)) ?? 0, ...l[t].high))
    groups.forEach((group, g) => ["X", "Y"].forEach((target, t) => {
      const [caption, canvas] = figure_in(host, 2 * g + t), name = titles[t]
      caption.replaceChildren(group.title, element("small", `${name} in bits, ${group.runs} ${group.runs === 1 ? "run" : "runs"}`))
      const marks = group.layers.flatMap(({[target]: l}) => [
        ...(l.each.length > 1 ? [{kind: "band", x: l.x, low: l.low, high: l.high}, ...l.each.map((r) => ({kind: "line", x: r.x, y: r.y, style: "stroke-width:.7;stroke:var(--ip-faint)"}))] : []),
        {kind: "line", x: l.x, y: l.mean},
      ])
      marks.push(labels_at_ends(group.layers.map((l) => ({label: l.label, x: l[target].x, y: l[target].mean}))))
      plot(canvas, {height: 220, right: 34, x: {scale: "step", label: "step"}, y: {label: `${name} in bits`, low: 0, high: 1.06 * high[target].get(task[target](group))}, says: `${name} over steps, ${group.title}`, note, marks})
    }))
  }

  // -- compression and accuracy --------------------------------------------------------------------
  function correlation(answer) {
    const {points, rho, low, high} = answer.scatter, names = [...new Set(points.map((p) => p.of.replaceAll("_", " ")))].join(", ")
    const of = [...new Set(points.map((p) => p.group))]
    id("about-scatter").textContent = !points.length ? "No accuracy was recorded in these runs." :
      `Bits of ${answer.titles[0]} that ${answer.layers[answer.layer]} lost since its peak, against the final ${names}. ` + (rho == null ? "Four runs that differ are needed for a rank correlation." : `Spearman ρ = ${rho.toFixed(2)}, 95 % interval ${low.toFixed(2)} to ${high.toFixed(2)} (bootstrap over ${points.length} runs).`.replaceAll(" -", " −")) + (of.length > 1 && points.length > of.length ? " Thin lines join the runs of one cell." : "")
    keep_only(id("scatter"), points.length ? 1 : 0)
    if (!points.length) return
    const [, canvas] = figure_in(id("scatter"), 0), marks = []
    const centres = of.map((group) => {
      const mine = points.filter((p) => p.group === group), mean = (name) => mine.reduce((sum, p) => sum + p[name], 0) / mine.length
      const centre = {group, x: mean("x"), y: mean("y"), n: mine.length}
      if (of.length > 1 && mine.length > 1) for (const p of mine) marks.push({kind: "line", x: [centre.x, p.x], y: [centre.y, p.y], style: "stroke:var(--ip-faint);stroke-width:1"})
      return centre
    })
    marks.push({kind: "dots", r: 4.5, x: points.map((p) => p.x), y: points.map((p) => p.y), title: points.map((p) => `${p.name}: ${p.x.toFixed(2)} bits, ${p.of.replaceAll("_", " ")} ${p.y.toFixed(3)}`), style: "fill-opacity:.75"})
    const middle = (Math.min(...points.map((p) => p.x)) + Math.max(...points.map((p) => p.x))) / 2
    if (of.length > 1 && of.length <= 8) for (const c of centres) marks.push({kind: "text", x: [c.x], y: [c.y], dx: c.x > middle ? -8 : 8, anchor: c.x > middle ? "end" : "start", text: [c.group], style: "font-size:11px"})
    plot(canvas, {height: 300, x: {label: `bits of ${answer.titles[0]} lost since the peak`}, y: {label: names, title: true}, says: "compression against accuracy, a dot each run", marks})
  }

  // -- agreement -----------------------------------------------------------------------------------
  function agreement(told) {
    id("about-agreement").textContent = `${told.words.replace(/(^|\s)-(?=\d)/g, "$1−")} The number is Spearman’s ρ of the trajectories, averaged over layers: above the diagonal of I(X;T) as each estimator measures it, below it of I(T;Y).`
    const {estimators, pairs} = told
    if (estimators.length < 2) { id("agreement").replaceChildren(); return }
    const cell = (row, column) => {
      const [a, b] = row < column ? [row, column] : [column, row], target = row < column ? "X" : "Y"
      const pair = pairs.find((p) => p.first === estimators[a] && p.second === estimators[b] && p.target === target)
      const made = element("span", pair?.rho == null ? "–" : pair.rho.toFixed(2).replace("-", "−"), {class: "rho", title: pair?.rho == null ? "too few usable points in common" : Object.entries(pair.layers).map(([layer, rho]) => `${layer}: ${rho?.toFixed(2) ?? "–"}`).join("\n")})
      if (pair?.rho != null) { made.dataset.sign = pair.rho < 0 ? "minus" : "plus"; made.style.setProperty("--rho", Math.abs(pair.rho)) }
      return made
    }
    const rows = estimators.map((name, row) => [element("b", name), ...estimators.map((_, column) => row === column ? element("span", "", {class: "rho same"}) : cell(row, column))])
    id("agreement").replaceChildren(table([["", false], ...estimators.map((name) => [name, false])], rows, {class: "list matrix", "aria-label": "Agreement of estimators: Spearman’s rank correlation"}))
  }

  id("search")?.addEventListener("input", () => choices())
  id("chooser")?.addEventListener("submit", (event) => event.preventDefault())
  id("runs-to-choose")?.addEventListener("change", ({target}) => {
    if (target.checked && chosen.size < MOST) chosen.add(target.value)
    else { chosen.delete(target.value); target.checked = false }
    choices()
    question()
  })
  id("choose-shown")?.addEventListener("click", () => {
    for (const {value} of id("runs-to-choose").querySelectorAll("input")) if (chosen.size < MOST) chosen.add(value)
    choices()
    question()
  })
  id("choose-none")?.addEventListener("click", () => { chosen.clear(); choices(); question() })
  for (const name of ["estimator", "key", "layer-choice", "agreement-run"]) id(name)?.addEventListener("change", () => question())
  if (id("chooser")) {
    if (!chosen.size) for (const run of known.filter((r) => r.open && r.snapshots).slice(0, USUAL)) chosen.add(run.id)
    choices()
    infoplane.page.begin(() => question())
  }
  return {compare, choices}
})())
