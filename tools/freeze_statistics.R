#!/usr/bin/env Rscript
# Makes tests/testthat/frozen/statistics.json, the expected values of the tests in both languages, with
# R's own prop.test, binom.test and p.adjust, not with code of this package.
# Run in the root of the repository.
one <- function(k, n, level) {
  wilson <- suppressWarnings(stats::prop.test(k, n, conf.level = level, correct = FALSE))$conf.int
  exact <- stats::binom.test(k, n, conf.level = level)$conf.int
  list(k = k, n = n, level = level, wilson = as.numeric(wilson), exact = as.numeric(exact))
}
counts <- list(
  c(0, 1), c(1, 1), c(0, 10), c(10, 10), c(1, 10), c(5, 10), c(9, 10), c(250, 256), c(0, 2000),
  c(987, 2000), c(2000, 2000), c(1, 10000), c(9543, 10000), c(9999, 10000), c(123456, 1000000)
)
intervals <- unlist(lapply(counts, function(kn) {
  lapply(c(0.5, 0.9, 0.95, 0.999), function(level) one(kn[1], kn[2], level))
}), recursive = FALSE)
pairs <- list(c(0, 0), c(1, 0), c(0, 7), c(3, 3), c(48, 7), c(7, 48), c(15, 6), c(400, 380), c(0, 60))
mcnemar <- lapply(pairs, function(bc) {
  p <- if (sum(bc)) stats::binom.test(bc[1], sum(bc))$p.value else 1
  list(only_first = bc[1], only_second = bc[2], p = p)
})
given <- list(c(0.01, 0.04, 0.03), c(0.5), c(1, 1, 0), c(0.02, 0.02, 0.9, 1e-9), seq(0, 1, 0.1))
holm <- lapply(given, function(p) list(p = I(p), adjusted = I(stats::p.adjust(p, "holm"))))
right <- list(natural = c(1, 1, 1, 0, 1), pgd = c(1, 0, 1, 0, 1), square = c(0, 1, 1, 0, 1))
worst <- as.integer(Reduce(pmin, right))
frozen <- list(
  made_by = "tools/freeze_statistics.R", r = R.version.string,
  intervals = intervals, mcnemar = mcnemar, holm = holm,
  worst = list(right = lapply(right, I), worst = I(worst))
)
writeLines(
  jsonlite::toJSON(frozen, auto_unbox = TRUE, digits = NA, pretty = TRUE),
  "tests/testthat/frozen/statistics.json"
)
