#' Figure 4: three boundaries for the Three Clusters
#'
#' The [bayes_rule()], the vertical line sign(x1), and the [two_cluster_line()] for
#' several `p`. Inner circles contain 99.9 percent of a cluster, outer circles the points that an
#' adversary of radius `gamma * sigma` reaches from there. The panel titles give robust
#' risks: of the Bayes rule by simulation, of the lines in closed form.
#'
#' @inheritParams three_clusters
#' @param gamma Radius of the adversary in units of `sigma`.
#' @param p_lines Values of p for the lines of the last panel.
#' @param n,seed Draws and seed for the robust risk of the Bayes rule.
#' @return A ggplot.
#' @source Kim and Wang, figure 4.
#' @examples
#' figure4(n = 1000)
#' @family figures of the paper
#' @export
figure4 <- function(p = 0.95, m = 7, sigma = 0.2, gamma = 8, p_lines = c(0.5, 0.75, 0.95),
                    n = 20000, seed = 1) {
  law <- check_law(p, m, sigma)
  gamma <- check_number(gamma, min = 0)
  eps <- gamma * sigma
  p_lines <- check_numbers(p_lines, above = 0, below = 1)
  limit <- m + cluster_radius(sigma) + eps + 0.3 # the outer circles are shown whole
  bayes <- simulate_risk(bayes_rule(p, m, sigma), p, m, sigma, eps, kind = "robust", n = n, seed = seed)
  vertical <- linear_risk_value(vertical_line(), law, eps, 2)
  ignoring <- linear_risk_value(two_cluster_line(p, m, sigma), law, eps, 2)
  panels <- c(sprintf("(a) Bayes rule\nrobust risk\n[%.4f, %.4f]", bayes$lower, bayes$upper),
              sprintf("(b) sign(x1)\nrobust risk\n%.4f", vertical),
              sprintf("(c) bottom cluster ignored\nrobust risk\n%.4f", ignoring))
  height <- seq(-limit, limit, length.out = 801)
  curve <- data.frame(x1 = bayes_boundary(bayes_rule(p, m, sigma), height), x2 = height)
  lines <- rbind(cbind(curve, panel = panels[1], id = "Bayes"),
                 cbind(line_in_window(vertical_line(), limit), panel = panels[2], id = "vertical"),
                 do.call(rbind, lapply(p_lines, function(q) {
                   cbind(line_in_window(two_cluster_line(q, m, sigma), limit), panel = panels[3],
                         id = paste("p =", q))
                 })))
  ggplot2::ggplot(lines, ggplot2::aes(.data$x1, .data$x2)) +
    cluster_circles(law, eps) +
    ggplot2::geom_path(ggplot2::aes(group = .data$id), linewidth = 0.8) +
    ggplot2::facet_wrap(~panel) +
    ggplot2::coord_equal(xlim = c(-limit, limit), ylim = c(-limit, limit), expand = FALSE) +
    ggplot2::labs(x = expression(x[1]), y = expression(x[2])) +
    sense_theme() +
    wrapped_caption(sprintf(paste(
      "A and B are of class +1, C is of class -1. Inner circles: 99.9%% of each cluster. Dashed",
      "circles: the points that the adversary reaches from there, eps = gamma * sigma = %.3g. The",
      "Bayes rule avoids all dashed circles, the vertical line cuts all three. The tilted lines (p = %s,",
      "too close to see apart) avoid those of A and C, and B is misclassified, which adds",
      "(1 - p) / 2 = %.3f to the risk."),
      eps, paste(p_lines, collapse = ", "), (1 - p) / 2))
}

# The radius that contains 99.9 percent of a cluster.
cluster_radius <- function(sigma) sigma * sqrt(stats::qchisq(0.999, 2))

# Layers: both circles of each cluster, and its name with the sign of its class.
cluster_circles <- function(law, eps) {
  centres <- cluster_centres(law$m)
  inner <- cluster_radius(law$sigma)
  rings <- function(radius) do.call(rbind, lapply(rownames(centres), function(k) {
    cbind(circle_path(centres[k, ], radius, k), class = if (k == "C") "-1" else "+1")
  }))
  # Beside the outer circle.
  labels <- data.frame(x1 = centres[, 1] + inner + eps + 0.3, x2 = centres[, 2],
                       text = c("A+", "B+", "C-"), class = c("+1", "+1", "-1"))
  layer <- function(radius, type) {
    ggplot2::geom_path(data = rings(radius), linetype = type, linewidth = 0.5,
                       ggplot2::aes(group = .data$id, colour = .data$class))
  }
  list(layer(inner, "solid"), layer(inner + eps, "22"),
       ggplot2::geom_text(data = labels, size = 2.8, hjust = 0, show.legend = FALSE,
                          ggplot2::aes(label = .data$text, colour = .data$class)),
       ggplot2::scale_colour_manual(values = class_colours(), guide = "none"))
}
