#' Figure 5: the robust risk of sign(x1) against sigma
#'
#' Phi(gamma - 1 / sigma), computed by [linear_risk()]; `gamma * sigma` is the radius of the
#' adversary.
#'
#' @param gamma Radii in units of `sigma`; 0 is the standard risk.
#' @param sigma Standard deviations, positive, increasing.
#' @return A ggplot.
#' @source Kim and Wang, figure 5; the paper prints 1 / sigma^2.
#' @examples
#' figure5()
#' @family figures of the paper
#' @export
figure5 <- function(gamma = 0:6, sigma = seq(0.05, 1, by = 0.005)) {
  sigma <- check_numbers(sigma, above = 0, least = 2)
  gamma <- check_numbers(gamma, min = 0)
  curves <- expand.grid(sigma = sigma, gamma = gamma)
  # The height and the weight of the clusters do not matter to a vertical line.
  curves$risk <- mapply(function(s, g) linear_risk_value(vertical_line(), list(p = 0.5, m = 1, sigma = s), g * s, 2),
                        curves$sigma, curves$gamma)
  labels <- do.call(rbind, lapply(gamma, function(g) {
    curve <- curves[curves$gamma == g, ]
    curve[if (max(curve$risk) > 0.5) which.min(abs(curve$risk - 0.5)) else nrow(curve), ]
  }))
  ggplot2::ggplot(curves, ggplot2::aes(.data$sigma, .data$risk, group = .data$gamma)) +
    ggplot2::geom_line(ggplot2::aes(linetype = .data$gamma == 0), linewidth = 0.6) +
    ggplot2::geom_label(data = labels, ggplot2::aes(label = .data$gamma), size = 3,
                        label.padding = ggplot2::unit(0.12, "lines")) +
    ggplot2::scale_linetype_manual(values = c(`TRUE` = "dashed", `FALSE` = "solid"),
                                   labels = c(`TRUE` = "standard risk", `FALSE` = "robust risk"), name = NULL) +
    ggplot2::coord_cartesian(ylim = c(0, 1)) +
    ggplot2::labs(x = "standard deviation sigma of the clusters", y = "risk of sign(x1)") +
    sense_theme() +
    wrapped_caption("Labels: gamma, the radius of the adversary divided by sigma. A larger gamma moves the",
                    "curve to the left. At gamma * sigma = 1, half the distance between the classes, the",
                    "risk is one half; for larger products it soon is one.")
}
