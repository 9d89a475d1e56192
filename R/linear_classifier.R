#' A linear classifier in the plane
#'
#' The label is +1 where w1 x1 + w2 x2 + b > 0, and -1 elsewhere. With `w = c(0, 0)` it is
#' constant.
#'
#' @param w Two weights.
#' @param b Intercept.
#' @return A classifier of class `linear_classifier`: a list with `w` and `b`.
#' @examples
#' f_std <- linear_classifier(c(1, 0))
#' predict(f_std, rbind(c(1, 7), c(-1, 0)))
#' linear_risk(f_std, p = 0.95, m = 7, sigma = 0.2, eps = 1.6)
#' @family functions of the Three Clusters
#' @export
linear_classifier <- function(w, b = 0) {
  if (!plain_numbers(w) || length(w) != 2 || !all(is.finite(w))) {
    refuse(w, "w", "two finite numbers")
  }
  w <- in_order(w, c("x1", "x2"))
  b <- check_number(b)
  structure(list(w = w, b = b), class = "linear_classifier")
}

#' @describeIn linear_classifier Labels, P(Y = +1) of the logistic model with these
#'   weights, or the score w.x + b.
#' @param object A `linear_classifier`, or a fit of [fit_linear_at()].
#' @param newdata Points: an n x 2 matrix, or a data frame with `x1` and `x2`.
#' @param type `"class"`, `"prob"` or `"score"`.
#' @param ... Not used.
#' @export
predict.linear_classifier <- function(object, newdata, type = c("class", "prob", "score"), ...) {
  type <- check_choice(type, c("class", "prob", "score"))
  score <- linear_score(object, as_points(newdata, "newdata"))
  switch(type, class = ifelse(score > 0, 1, -1), prob = stats::plogis(score), score = score)
}

#' @export
print.linear_classifier <- function(x, ...) {
  cat(sprintf("Linear classifier: sign(%.4g x1 %+.4g x2 %+.4g)\n", x$w[1], x$w[2], x$b))
  invisible(x)
}

linear_score <- function(f, x) f$w[1] * x[, 1] + f$w[2] * x[, 2] + f$b

# Moving a point by eps changes the score by at most eps times the dual norm of w.
dual_norm <- function(w, norm) if (norm == 2) sqrt(sum(w^2)) else sum(abs(w))
