#' Wilson's confidence interval for a proportion
#'
#' The score interval of Wilson (1927), as in `prop.test(k, n, correct = FALSE)`. For an accuracy it
#' covers the sampling of test images only, neither the strength of an attack nor the variation
#' between training runs.
#'
#' @param k Number of successes, from 0 to `n`: one or several.
#' @param n Number of trials, at least 1. `k` and `n` have the same length, or one has length 1.
#' @param level Confidence level, between 0 and 1.
#' @return A data frame with a row per element of `k`: `k`, `n`, `estimate`, `lower`
#'   and `upper`.
#' @examples
#' wilson_interval(c(0, 90, 100), 100)
#' @family intervals
#' @export
wilson_interval <- function(k, n, level = 0.95) {
  check_counts(k, n)
  k <- as.numeric(k)
  n <- as.numeric(n)
  check_level(level)
  data.frame(k = k, n = n, estimate = k / n, wilson_limits(k / n, n, level))
}

# The ends of the interval for a share p of n.
wilson_limits <- function(p, n, level = 0.95) {
  z <- stats::qnorm((1 + level) / 2)
  centre <- (p + z^2 / (2 * n)) / (1 + z^2 / n)
  half <- z / (1 + z^2 / n) * sqrt(p * (1 - p) / n + z^2 / (4 * n^2))
  # At p = 0 and p = 1 the ends are exactly 0 and 1, in spite of rounding.
  data.frame(lower = ifelse(p == 0, 0, centre - half), upper = ifelse(p == 1, 1, centre + half))
}

check_counts <- function(k, n, call = parent.frame()) {
  good <- length(k) && length(n) && in_range(k, 0, Inf, whole = TRUE) &&
    in_range(n, 1, Inf, whole = TRUE) &&
    (length(k) == length(n) || length(n) == 1 || length(k) == 1) && all(k <= n)
  if (!good) {
    abort(
      c(
        "{.arg k} and {.arg n} must be whole numbers with n >= 1 and 0 <= k <= n, of the same length, or one of them of length 1.",
        x = "You gave {describe(k)} and {describe(n)}."
      ),
      call = call
    )
  }
}
