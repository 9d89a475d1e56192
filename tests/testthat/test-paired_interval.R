# The score statistic with a likelihood that is maximised numerically, given the difference d.
literal_score <- function(d, b, c, n) {
  log_likelihood <- function(q) {
    term <- function(k, p) if (k == 0) 0 else k * log(p)
    term(b, q + d) + term(c, q) + term(n - b - c, 1 - 2 * q - d)
  }
  range <- c(max(0, -d), (1 - d) / 2)
  q <- stats::optimize(log_likelihood, range, maximum = TRUE, tol = 1e-12)$maximum
  (b - c - n * d) / sqrt(n * (2 * q + d - d^2))
}

test_that("the score statistic is that of the likelihood maximised by search", {
  for (case in list(c(12, 2, 50), c(6, 16, 161), c(0, 4, 9), c(30, 29, 60))) {
    for (d in c(-0.6, -0.1, 0.05, 0.4)) {
      b <- case[1]
      c <- case[2]
      n <- case[3]
      expect_equal(sense:::tango_score(d, b, c, n), literal_score(d, b, c, n), tolerance = 1e-5)
    }
  }
})

test_that("at no difference the statistic is McNemar's", {
  expect_equal(sense:::tango_score(0, 12, 2, 50), (12 - 2) / sqrt(12 + 2))
  expect_equal(sense:::tango_score(0, 0, 0, 50), 0)
})

test_that("if no image separates the two, the interval has a closed form", {
  z2 <- stats::qnorm(0.975)^2
  interval <- paired_interval(0, 0, 100)
  expect_equal(interval$difference, 0)
  expect_equal(c(interval$lower, interval$upper), c(-1, 1) * z2 / (100 + z2), tolerance = 1e-9)
})

test_that("at the ends the statistic equals the quantile", {
  counts <- data.frame(b = c(12, 1, 40), c = c(2, 7, 20), n = c(50, 21, 160))
  found <- paired_interval(counts$b, counts$c, counts$n, level = 0.9)
  expect_equal(found$difference, c(0.2, -6 / 21, 0.125))
  for (i in 1:3) {
    at <- function(d) literal_score(d, counts$b[i], counts$c[i], counts$n[i])
    expect_equal(at(found$lower[i]), stats::qnorm(0.95), tolerance = 1e-5)
    expect_equal(at(found$upper[i]), stats::qnorm(0.05), tolerance = 1e-5)
  }
})

test_that("an always correct and an always wrong network have the difference 1", {
  always <- paired_interval(c(20, 0), c(0, 20), 20)
  expect_equal(c(always$upper[1], always$lower[2]), c(1, -1))
  expect_equal(always$lower[1], -always$upper[2], tolerance = 1e-9)
  expect_lt(always$lower[1], 1)
})

test_that("counts that exceed the number of images are refused", {
  expect_error(paired_interval(3, 3, 5), "whose sum is at most `n`")
  expect_error(paired_interval(-1, 3, 5), "whose sum is at most `n`")
})
