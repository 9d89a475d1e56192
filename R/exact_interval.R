#' Exact confidence interval for a proportion
#'
#' The interval of Clopper and Pearson (1934), as in [stats::binom.test()]. Its coverage is at
#' least the confidence level, so it is wider than Wilson's interval.
#'
#' @inheritParams wilson_interval
#' @return A data frame with a row per element of `k`: `k`, `n`, `estimate`, `lower`
#'   and `upper`.
#' @examples
#' exact_interval(c(0, 90, 100), 100)
#' @family intervals
#' @export
exact_interval <- function(k, n, level = 0.95) {
  check_counts(k, n)
  k <- as.numeric(k)
  n <- as.numeric(n)
  check_level(level)
  tail <- (1 - level) / 2
  data.frame(
    k = k, n = n, estimate = k / n,
    lower = ifelse(k == 0, 0, stats::qbeta(tail, pmax(k, 1), n - k + 1)),
    upper = ifelse(k == n, 1, stats::qbeta(1 - tail, k + 1, pmax(n - k, 1)))
  )
}
