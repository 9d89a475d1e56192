#' Figure 3: the sensible loss is a sum of two truncated losses
#'
#' Left and middle: the two terms of equation (10). Right: the sensible loss against the
#' probability at the sensible example, which is the cross-entropy. The dots are
#' [sensible_loss()] of a linear model at points of all three stages, computed as the sum (10);
#' they lie on the curve.
#'
#' @param c Least probability of the label, in (0, 1).
#' @return A ggplot.
#' @source Kim and Wang, figure 3.
#' @examples
#' figure3(0.7)
#' @family figures of the paper
#' @export
figure3 <- function(c = 0.7) {
  c <- check_number(c, above = 0, below = 1)
  panels <- c("truncated natural loss\nagainst p at x",
              "truncated adversarial loss\nagainst p at the worst point",
              "sensible loss, their sum,\nagainst p at the sensible\nexample")
  p <- seq(0.02, 1, by = 0.002)
  curves <- data.frame(p = rep(p, 3), panel = factor(rep(panels, each = length(p)), panels),
                       loss = c(truncated_natural_loss(p, c), truncated_adversarial_loss(p, c), -log(p)))
  f <- linear_classifier(c(1, 0))
  x <- cbind(seq(-3, 6, length.out = 37), 0)
  y <- rep(1, nrow(x))
  example <- sensible_examples(x, y, f, eps = 1, c = c, misclassified = "move")
  dots <- data.frame(p = predict.linear_classifier(f, example, "prob"), stage = example$stage,
                     loss = sensible_loss(x, y, f, 1, c, "truncated"),
                     panel = factor(panels[3], panels))
  ggplot2::ggplot(curves, ggplot2::aes(.data$p, .data$loss)) +
    ggplot2::geom_vline(xintercept = c, linetype = "dotted") +
    ggplot2::geom_hline(yintercept = -log(c), linetype = "dotted") +
    ggplot2::geom_line(linewidth = 0.8) +
    ggplot2::geom_point(data = dots, ggplot2::aes(shape = .data$stage), size = 2.4) +
    ggplot2::facet_wrap(~panel) +
    ggplot2::scale_shape_manual(values = c(A = 1, B = 17, C = 4), drop = FALSE) +
    ggplot2::scale_x_continuous(breaks = c(0.25, 0.5, 0.75)) +
    ggplot2::labs(x = "probability p of the true label", y = "loss in nats") +
    sense_theme() +
    wrapped_caption(sprintf(paste(
      "Dotted: p = c = %.2g and the loss there, log(1/c) = %.3f. The first term is zero above c, the",
      "second is constant below c. Points: the loss of a linear model, computed as the sum of both",
      "terms, in stage A (natural), stage B (at p = c, all at one place) and stage C (full ball). They",
      "lie on the curve of the cross-entropy."), c, -log(c)))
}
