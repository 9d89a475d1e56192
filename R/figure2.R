#' Figure 2: the worst optimal classifiers of Example 2
#'
#' Panel (a) shows the Bayes rule; (b), (c) and (d) show [example2_classifier()] on a grid. Dark is
#' class 1, light is class 0. The outlined squares are the support of the data.
#'
#' @param eps Radius of the ball, in (0, 1/24\].
#' @param p Probability of class 1, for the risks in the panel titles.
#' @param norm `Inf` or 2.
#' @param cells Grid cells along each side.
#' @return A ggplot.
#' @source Kim and Wang, figure 2.
#' @examples
#' figure2(cells = 60)
#' @family figures of the paper
#' @export
figure2 <- function(eps = 1 / 24, p = 0.7, norm = Inf, cells = 240) {
  check_radius(eps, "robust")
  cells <- check_count(cells, min = 10)
  middle <- (seq_len(cells) - 0.5) / cells
  grid <- expand.grid(x1 = middle, x2 = middle)
  risk <- function(which) example2_risk(which, eps, p, norm)
  panels <- c("(a) Bayes rule\nrisk 0",
              sprintf("(b) worst natural optimum\nrisk %.3f", risk("natural")),
              sprintf("(c) worst robust optimum\nrisk %.3f", risk("robust")),
              sprintf("(d) worst sensible optimum\nrisk %.3f", risk("sensible")))
  label <- list(as.integer(grid$x1 > 0.5), example2_classifier(grid, "natural"),
                example2_classifier(grid, "robust", eps, norm),
                example2_classifier(grid, "sensible", eps, norm))
  tiles <- do.call(rbind, Map(function(panel, y) cbind(grid, panel = panel, class = y),
                              panels, label))
  corner <- c(1, 5, 9) / 12
  squares <- expand.grid(xmin = corner, ymin = corner)
  ggplot2::ggplot(tiles) +
    ggplot2::geom_raster(ggplot2::aes(.data$x1, .data$x2, fill = factor(.data$class))) +
    ggplot2::geom_rect(data = squares, fill = NA, colour = "black", linewidth = 0.5,
                       ggplot2::aes(xmin = .data$xmin, xmax = .data$xmin + 1 / 6,
                                    ymin = .data$ymin, ymax = .data$ymin + 1 / 6)) +
    ggplot2::geom_vline(xintercept = 0.5, linetype = "dashed", linewidth = 0.4) +
    ggplot2::facet_wrap(~panel, ncol = 2) +
    ggplot2::scale_fill_manual(values = c(`0` = "#F3DCC8", `1` = "#6F9DC9"), name = "predicted class") +
    ggplot2::scale_x_continuous(breaks = c(0.25, 0.5, 0.75)) +
    ggplot2::scale_y_continuous(breaks = c(0.25, 0.5, 0.75)) +
    ggplot2::coord_equal(expand = FALSE) +
    ggplot2::labs(x = expression(x[1]), y = expression(x[2])) +
    sense_theme() +
    wrapped_caption(sprintf(paste(
      "Data lie in the nine outlined squares only: class 0 (light) left of the dashed line, class 1",
      "(dark) right of it. Classifiers (b) to (d) are optimal on the data and have the largest",
      "possible risk elsewhere. Training on balls of radius eps = %.3g (norm %g) lowers that risk.",
      "In (c) the boundary in the middle squares is shifted left by eps."), eps, norm))
}
