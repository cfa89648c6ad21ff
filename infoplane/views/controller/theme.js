// -- theme ------------------------------------------------------------------------------------------

function apply_theme() {
  const own = nodes?.root?.getAttribute("data-theme"), page = document.documentElement.getAttribute("data-theme")
  const kept = own === chosen.followed ? null : own  // what was taken over from the page follows it
  const asked = options.keys === "page" ? page || kept : kept || page
  const mode = on_paper ? "light" : asked in options.tokens ? asked : options.mode in options.tokens ? options.mode : darkness.matches ? "dark" : "light"
  if (nodes?.root && options.mode === "auto" && !on_paper && own !== mode && (asked || own)) {
    chosen.followed = mode
    nodes.root.setAttribute("data-theme", mode)
  }
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
  for (const name of ["bounds", "compression_bound", "fitting_bound", "limit_line"]) line(name, t.faint)
  m.limit.setv({fill_color: {value: t.grid}})
  for (const name of ["ghost", "compression_ghost", "fitting_ghost", "scalar_left_ghost", "scalar_right_ghost"]) line(name, t.ghost)
  line("null", t.null); line("fitting_null_line", t.null); line("iso", t.faint); line("scalar_left", t.ink); line("scalar_right", t.muted); line("lead", t.ink); line("compression_lead", t.faint); line("fitting_lead", t.faint)
  m.null_end.setv({line_color: {value: t.null}, fill_color: {value: t.surface}})
  m.fitting_null.setv({fill_color: {value: t.null}})
  m.iso_dot.setv({line_color: {value: t.surface}}); m.halo.setv({fill_color: {value: t.surface}})
  for (const name of ["compression_band", "fitting_band"]) m[name].setv({fill_color: {value: t.null}})
  for (const name of ["compression_dot", "fitting_dot"]) m[name].setv({fill_color: {value: t.ink}, line_color: {value: t.surface}})
  for (const name of ["onset", "fitted"]) m[name].setv({fill_color: {value: t.accent}, line_color: {value: t.accent}}); m.peak.setv({fill_color: {value: t.surface}, line_color: {value: t.accent}})
  for (const name of ["bounds_text", "iso_text", "null_text", "rival_text"]) m[name].setv({text_color: {value: t.muted}})
  for (const name of ["iso_text", "null_text", "rival_text"]) m[name].setv({background_fill_color: {value: t.surface}})
  for (const name of ["compression_hatched", "fitting_hatched"]) m[name].setv({hatch_color: {value: t.faint}})
  for (const name of ["compression_text", "fitting_text"]) m[name].setv({text_color: {value: t.ink}})
  for (const name of ["compression", "fitting", "training", "strip"]) m[`${name}_cursor`].setv({line_color: t.accent})
}
