# Shared look of the figures. Classes are told apart by shape and shade, models by line
# type, so that nothing depends on colour; the two hues are safe for colour-blind eyes.

sense_theme <- function() {
  ggplot2::theme_bw(base_size = 11) +
    ggplot2::theme(panel.grid = ggplot2::element_blank(), legend.position = "bottom",
                   strip.background = ggplot2::element_rect(fill = "grey95"),
                   plot.caption = ggplot2::element_text(hjust = 0, size = 8.5),
                   plot.caption.position = "plot")
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
