#' Confidence interval for the difference of two paired proportions
#'
#' The score interval of Tango (1998, Statistics in Medicine 17, 891-908) for
#' what two classifiers get right of the same images. It holds every difference
#' that the score test, which becomes McNemar's at 0, does not reject.
#'
#' @param only_first,only_second Numbers of images that only the first and only
#'   the second has right.
#' @param n Number of images, those included that both or neither has right.
#' @param level Confidence level, between 0 and 1.
#' @return A data frame with a row for each number: `difference`, of the first's
#'   accuracy and the second's, `lower` and `upper`.
#' @examples
#' paired_interval(16, 6, 161)
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
    cli::cli_abort(
      "{.arg only_first} and {.arg only_second} must be whole numbers of at least 0, whose sum is at most {.arg n}; all three must have the same length, or length 1.",
      call = call
    )
  }
}

# The difference at which the score statistic, which falls, is z.
tango_end <- function(b, c, n, z) {
  stats::uniroot(
    function(d) tango_score(d, b, c, n) - z,
    c(-1, 1) * (1 - 1e-12), tol = 1e-12, maxiter = 1000
  )$root
}

# Tango's equations 5 to 8: q is the probability of "only the second is right" that is most
# likely where the difference is d, the larger root of A q^2 + B q + C.
tango_score <- function(d, b, c, n) {
  B <- (2 * n - b + c) * d - b - c
  C <- -c * d * (1 - d)
  q <- (sqrt(B^2 - 8 * n * C) - B) / (4 * n)
  spread <- n * (2 * q + d * (1 - d))
  if (spread <= 0) 0 else (b - c - n * d) / sqrt(spread)
}
