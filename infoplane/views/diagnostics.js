// The Diagnostics page: alerts, what was recorded in training, every quantity beyond the plane.
"use strict"
Object.assign(infoplane, (() => {
  const {first, element, count, ask, keep_only, figure_in, labels_at_ends} = infoplane.page, {plot} = infoplaneCharts
  const id = (name) => document.getElementById(name)
  const OTHER = "stroke-dasharray:5 4;stroke:var(--ip-muted)"  // the second of two: test beside train

  function diagnostics(number, answer) {
    id("hint").textContent = answer.error ?? ""
    if (answer.error) { if (id("measure")) id("measure").disabled = false; return }
    list(answer)
    figures("training", answer.training)
    figures("quantities", answer.quantities)
    id("about-training").textContent = answer.cost && `${answer.cost[0].toUpperCase()}${answer.cost.slice(1)}.`
    id("training-title").parentElement.hidden = answer.training.length === 0 && !answer.cost
    const probes = [...new Set(answer.quantities.flatMap((q) => q.curves.map((c) => c.kind)))]
    id("about-quantities").textContent = !answer.quantities.length ? "" : `At the end of a line: its layer.${probes.length > 1 ? ` Solid: ${probes[0]}; dashed: ${probes.slice(1).join(", ")}.` : ""}`
    id("measure").disabled = answer.measuring
    id("measuring").textContent = answer.measuring ? "being measured; what is there appears by itself …" : answer.refusal
    if (answer.measuring) setTimeout(() => ask(), 1500)
    id("unmeasured").hidden = !answer.measuring && !answer.refusal && answer.quantities.some((q) => q.beyond)
  }
  function list({alerts, measured}) {
    const groups = new Map()  // what is said of several layers is said once
    for (const alert of alerts) {
      const key = [alert.level, alert.words, alert.step].join("/")
      if (groups.has(key)) groups.get(key).where.push(alert)
      else groups.set(key, {...alert, where: [alert]})
    }
    id("alerts").replaceChildren(...[...groups.values()].map((alert) => {
      const row = element("li", ""), layers = alert.where.filter((a) => a.label)
      const to = (a) => element("a", layers.length === 1 ? `${a.label} (${a.layer})` : a.label, {href: `?${new URLSearchParams({run: first.run, layer: a.label, ...(a.step != null && {step: a.step})})}`, title: `Look into ${a.layer}`})
      const about = element("small", ""), parts = [[alert.kind], layers.flatMap((a, i) => [i ? ", " : "", to(a)]), [alert.step != null ? `step ${count(alert.step)}` : ""], [alert.where.every((a) => a.kept) ? "stored" : ""]]
      about.append(...parts.filter((part) => part[0] !== undefined && part.some(Boolean)).flatMap((part, i) => [i ? " · " : "", ...part]))
      row.append(element("span", alert.level, {class: "level", "data-level": alert.level}), element("span", alert.words), about)
      return row
    }))
    const by_level = ["ERROR", "WARN", "INFO"].map((level) => [level, [...groups.values()].filter((a) => a.level === level).length]).filter(([, n]) => n)
    id("about-alerts").textContent = !measured && !by_level.length ? "Nothing was measured yet, so little could be looked for." : by_level.length ? by_level.map(([level, n]) => `${n} ${level}`).join(", ") + "." : "Nothing to report."
    id("keep").hidden = alerts.every((alert) => alert.kept)
  }
  function figures(host_name, quantities) {
    const host = id(host_name)
    keep_only(host, quantities.length)
    quantities.forEach((quantity, i) => {
      const [caption, canvas] = figure_in(host, i)
      const values = quantity.curves.flatMap((c) => c.y), low = Math.min(...values), wide = low > 0 && Math.max(...values) > 1e3 * low
      const unit = quantity.unit && quantity.unit !== "1" ? `in ${quantity.unit}s` : ""
      caption.replaceChildren(quantity.name, element("small", [quantity.measures, unit, quantity.params, wide && "log axis"].filter(Boolean).join(" · "), {title: quantity.measures}))
      const kinds = [...new Set(quantity.curves.map((c) => c.kind))]
      const lines = quantity.curves.map((c) => ({kind: "line", x: c.x, y: c.y, style: kinds.indexOf(c.kind) ? OTHER : ""}))
      const named = host_name === "training" ? quantity.curves : quantity.curves.filter((c) => c.kind === kinds[0])
      const says = `${quantity.name} over steps. ` + quantity.curves.filter((c) => c.y.length).map((c) => `${[c.label, kinds.length > 1 && c.kind].filter(Boolean).join(" ")} ends at ${c.y.at(-1).toPrecision(3)}`).join(", ")
      plot(canvas, {height: 210, right: host_name === "training" ? 44 : 34, x: {scale: "step", label: "step"}, y: {label: quantity.name, ...(wide && {scale: "log"})}, says, marks: [...lines, labels_at_ends(named)]})
    })
  }
  id("keep")?.addEventListener("click", () => ask({keep: true}, true))
  id("measure")?.addEventListener("click", () => { id("measure").disabled = true; ask({measure: true}, true) })
  return {diagnostics}
})())
