#' Confidence interval for the difference of two paired proportions
#'
#' The score interval of Tango (1998, Statistics in Medicine 17, 891-908) for the difference of the
#' accuracies of two classifiers on the same images. It contains the differences that the score test
#' does not reject. At difference 0 that test is McNemar's.
#'
#' @param only_first,only_second Number of images that only the first, and only the second classifier
#'   classifies correctly: one or several.
#' @param n Number of all images.
#' @param level Confidence level, between 0 and 1.
#' @return A data frame with a row per element: `difference`, the first accuracy minus the second,
#'   `lower` and `upper`.
#' @examples
#' paired_interval(16, 6, 161)
#' @family intervals
#' @export
paired_interval <- function(only_first, only_second, n, level = 0.95) {
  check_pairs(only_first, only_second, n)
  only_first <- as.numeric(only_first)
  only_second <- as.numeric(only_second)
  check_level(level)
  z <- stats::qnorm((1 + level) / 2)
  ends <- mapply(function(b, c, n) {
    end <- function(z) if (abs(b - c) == n && (b > c) == (z < 0)) sign(b - c) else tango_end(b, c, n, z)
    c(end(z), end(-z))
  }, only_first, only_second, n)
  data.frame(
    difference = (only_first - only_second) / n, lower = ends[1, ], upper = ends[2, ]
  )
}

check_pairs <- function(only_first, only_second, n, call = parent.frame()) {
  good <- function(x) length(x) && in_range(x, 0, Inf, whole = TRUE)
  lengths <- unique(c(length(only_first), length(only_second), length(n)))
  if (!good(only_first) || !good(only_second) || !good(n) || length(setdiff(lengths, 1)) > 1 ||
        any(n < 1) || any(as.numeric(only_first) + as.numeric(only_second) > n)) {
    abort(
      "{.arg only_first} and {.arg only_second} must be whole numbers of at least 0, whose sum is at most {.arg n}; all three must have the same length, or length 1.",
      call = call
    )
  }
}

# The difference at which the score statistic, a decreasing function of it, is z.
tango_end <- function(b, c, n, z) {
  stats::uniroot(
    function(d) tango_score(d, b, c, n) - z,
    c(-1, 1) * (1 - 1e-12), tol = 1e-12, maxiter = 1000
  )$root
}

# Tango's equations 5 to 8: q is the maximum likelihood estimate of the probability that only the
# second is correct, given the difference d: the larger root of A q^2 + B q + C.
tango_score <- function(d, b, c, n) {
  B <- (2 * n - b + c) * d - b - c
  C <- -c * d * (1 - d)
  q <- (sqrt(B^2 - 8 * n * C) - B) / (4 * n)
  spread <- n * (2 * q + d * (1 - d))
  if (spread <= 0) 0 else (b - c - n * d) / sqrt(spread)
}
