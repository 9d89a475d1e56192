# Shared look of the figures. Colour never is the only difference: series differ in shape and line
# type too. The colours are those of Okabe and Ito, which colour-blind people can tell apart.

sense_theme <- function() {
  ggplot2::theme_bw(base_size = 11) +
    ggplot2::theme(panel.grid = ggplot2::element_blank(), legend.position = "bottom",
                   legend.margin = ggplot2::margin(0, 0, 0, 0),
                   legend.spacing.x = ggplot2::unit(3, "pt"),
                   legend.text = ggplot2::element_text(margin = ggplot2::margin(r = 6)),
                   legend.key.height = ggplot2::unit(12, "pt"),
                   axis.title = ggplot2::element_text(size = 10),
                   strip.background = ggplot2::element_rect(fill = "grey95"),
                   strip.text = ggplot2::element_text(size = 9, margin = ggplot2::margin(3, 2, 3, 2)),
                   plot.title = ggplot2::element_text(size = 11),
                   plot.title.position = "plot",
                   # Room for half of the last label of the axis.
                   plot.margin = ggplot2::margin(6, 16, 6, 6),
                   panel.spacing.x = ggplot2::unit(24, "pt"),
                   plot.caption = ggplot2::element_text(hjust = 0, size = 8.5),
                   plot.caption.position = "plot")
}

series_colours <- c("#0072B2", "#D55E00", "#009E73", "#000000", "#CC79A7", "#E69F00", "#56B4E9")

# A colour, a shape and a line type for each of up to 28 series, and a legend of those in `shown` that
# is at most as wide as the picture.
series_scales <- function(labels, shown = labels) {
  n <- length(labels)
  one_row <- sum(nchar(shown) + 5) <= 85
  columns <- if (one_row) n else max(1, min(n, 85 %/% (max(nchar(shown)) + 6)))
  legend <- ggplot2::guide_legend(ncol = columns, byrow = TRUE, title = NULL)
  values <- function(choices) stats::setNames(rep_len(choices, n), labels)
  list(
    ggplot2::scale_colour_manual(values = values(series_colours), breaks = shown, guide = legend),
    ggplot2::scale_shape_manual(values = values(c(16, 17, 15, 4, 1, 2, 0, 8, 3, 5)), breaks = shown, guide = legend),
    ggplot2::scale_linetype_manual(values = values(c("solid", "42", "12", "4212")), breaks = shown, guide = legend)
  )
}

# One panel per attack.
facet_attacks <- function(column, ncol = 2, ...) {
  ggplot2::facet_wrap(
    ggplot2::vars(.data[[column]]), ncol = ncol, labeller = ggplot2::label_wrap_gen(40), ...
  )
}

# Names of at most `width` characters a line, broken after a space or another mark.
wrap_name <- function(names, width = 26) {
  vapply(as.character(names), function(name) {
    together <- gsub(" = ", "\u00a0=\u00a0", name, fixed = TRUE)
    parts <- strsplit(together, "(?<=[-_/ ,:])", perl = TRUE)[[1]]
    lines <- ""
    for (part in parts) {
      last <- length(lines)
      if (nzchar(lines[last]) && nchar(paste0(lines[last], trimws(part))) > width) {
        lines <- c(lines, part)
      } else {
        lines[last] <- paste0(lines[last], part)
      }
    }
    gsub("\u00a0", " ", paste(trimws(lines), collapse = "\n"), fixed = TRUE)
  }, "", USE.NAMES = FALSE)
}

class_colours <- function() c(`-1` = "#B2541A", `+1` = "#1F5A96")

wrapped_caption <- function(..., width = 100) {
  ggplot2::labs(caption = paste(strwrap(paste(...), width = width), collapse = "\n"))
}

class_factor <- function(y) factor(ifelse(y > 0, "+1", "-1"), levels = c("-1", "+1"))

circle_path <- function(centre, radius, id) {
  angle <- seq(0, 2 * pi, length.out = 121)
  data.frame(x1 = centre[1] + radius * cos(angle), x2 = centre[2] + radius * sin(angle), id = id)
}

# The line w.x + b = 0 inside a square window, as two end points, or none.
line_in_window <- function(f, limit) {
  along <- c(-f$w[2], f$w[1]) / sqrt(sum(f$w^2))
  foot <- -f$b * f$w / sum(f$w^2)
  hit <- c((-limit - foot) / along, (limit - foot) / along)
  ends <- t(vapply(hit[is.finite(hit)], function(s) foot + s * along, c(0, 0)))
  inside <- apply(abs(ends) <= limit + 1e-9, 1, all)
  ends <- ends[inside, , drop = FALSE]
  if (nrow(ends) < 2) return(data.frame(x1 = numeric(), x2 = numeric()))
  far <- which.max(rowSums(sweep(ends, 2, ends[1, ])^2))
  data.frame(x1 = ends[c(1, far), 1], x2 = ends[c(1, far), 2])
}

# A line through points at several places; one point alone would make ggplot2 complain.
line_of_several <- function(places, ...) if (length(unique(places)) > 1) ggplot2::geom_line(...)
