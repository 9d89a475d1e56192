#' Wilson interval of a proportion
#'
#' The score interval: it stays inside \[0, 1\] and keeps its coverage near 0 and 1,
#' where robust risks live.
#'
#' @param k Number of events, whole, between 0 and `n`; a vector gives one row each.
#' @param n Number of trials, whole, 1 or more; recycled against `k`.
#' @param level Confidence level in (0, 1).
#' @return A data frame with columns `estimate` (k / n), `lower` and `upper`.
#' @examples
#' wilson_interval(c(0, 5), 100)
#' @export
wilson_interval <- function(k, n, level = 0.95) {
  if (!is.numeric(n) || length(n) == 0 || anyNA(n) || any(n < 1 | n != round(n))) {
    cli::cli_abort(c("{.arg n} must hold whole numbers, 1 or more.",
                     "x" = "You gave {describe(n)}."))
  }
  if (!is.numeric(k) || length(k) == 0 || anyNA(k) || any(k < 0 | k != round(k)) || any(k > n)) {
    cli::cli_abort(c("{.arg k} must hold whole numbers between 0 and {.arg n}.",
                     "x" = "You gave {describe(k)} with {.arg n} {describe(n)}."))
  }
  assert_number(level, "level", 0, 1, TRUE, TRUE)
  z <- stats::qnorm((1 + level) / 2)
  estimate <- k / n
  centre <- (estimate + z^2 / (2 * n)) / (1 + z^2 / n)
  half <- z / (1 + z^2 / n) * sqrt(estimate * (1 - estimate) / n + z^2 / (4 * n^2))
  # At 0 and n the bound is 0 and 1 exactly; rounding must not spoil that.
  data.frame(estimate = estimate,
             lower = ifelse(k == 0, 0, pmax(0, centre - half)),
             upper = ifelse(k == n, 1, pmin(1, centre + half)))
}
