#' The Bayes rule of the Three Clusters
#'
#' The label is +1 where p N(A) + (1 - p) N(B) exceeds N(C), and -1 elsewhere, ties included
#' (equation 18). Its boundary is the graph x1 = h(x2) of a concave function, so the
#' region of class -1 is convex. [bayes_boundary()] computes h.
#'
#' @inheritParams three_clusters
#' @return `bayes_rule()`: a classifier of class `bayes_rule`, for [predict()],
#'   [boundary_distance()] and [simulate_risk()].
#' @source Kim and Wang, equation (18).
#' @examples
#' rule <- bayes_rule(p = 0.55, m = 7, sigma = 0.2)
#' predict(rule, rbind(c(1, 7), c(-1, 0)))
#' predict(rule, c(0, 3.5), type = "prob")
#' @family functions of the Three Clusters
#' @export
bayes_rule <- function(p = 0.55, m = 7, sigma = 0.2) {
  structure(check_law(p, m, sigma), class = "bayes_rule")
}

#' @describeIn bayes_rule Labels, or the posterior P(Y = +1 | x).
#' @param object A `bayes_rule`.
#' @param newdata Points: an n x 2 matrix, or a data frame with `x1` and `x2`.
#' @param type `"class"` for labels -1 and 1, `"prob"` for the posterior of +1.
#' @param ... Not used.
#' @export
predict.bayes_rule <- function(object, newdata, type = c("class", "prob"), ...) {
  type <- check_choice(type, c("class", "prob"))
  log_odds <- bayes_log_odds(as_points(newdata, "newdata"), object)
  if (type == "class") ifelse(log_odds > 0, 1, -1) else stats::plogis(log_odds)
}

#' @export
print.bayes_rule <- function(x, ...) {
  cat(sprintf("Bayes rule of the Three Clusters: p = %g, m = %g, sigma = %g\n",
              x$p, x$m, x$sigma))
  invisible(x)
}

# log P(+1 | x) - log P(-1 | x). The squares of x cancel. The two clusters of class
# +1 leave a log-cosh, which makes the boundary curved.
bayes_log_odds <- function(x, law) {
  2 / law$sigma^2 * (x[, 1] - boundary_height(x[, 2], law))
}

#' @describeIn bayes_rule The boundary: the value of x1 at which the posterior is one half,
#'   for each `x2`.
#' @param x2 Numbers, of any length.
#' @export
bayes_boundary <- function(object, x2) {
  check_class(object, "bayes_rule", "bayes_rule")
  boundary_height(check_numbers(x2), object)
}

# h(x2) = top - (sigma^2 / 2) log cosh(m (x2 - axis) / sigma^2). It is symmetric
# about x2 = axis, which lies a little below 0 when p > 1/2.
boundary_height <- function(x2, law) {
  boundary_top(law) - law$sigma^2 / 2 * log_cosh(law$m * (x2 - boundary_axis(law)) / law$sigma^2)
}

boundary_top <- function(law) {
  law$m^2 / 4 - law$sigma^2 / 2 * (log(2) + (log(law$p) + log1p(-law$p)) / 2)
}

boundary_axis <- function(law) -law$sigma^2 / (2 * law$m) * stats::qlogis(law$p)

log_cosh <- function(u) abs(u) + log1p(exp(-2 * abs(u))) - log(2)
