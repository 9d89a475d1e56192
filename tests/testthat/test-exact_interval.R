test_that("the interval equals that of binom.test, ends included", {
  for (level in c(0.9, 0.95)) for (k in c(0, 1, 17, 39, 40)) {
    reference <- stats::binom.test(k, 40, conf.level = level)$conf.int
    ours <- exact_interval(k, 40, level)
    expect_equal(c(ours$lower, ours$upper), as.numeric(reference), tolerance = 1e-12)
  }
  both <- exact_interval(c(0, 5), c(5, 5))
  expect_equal(both$lower[1], 0)
  expect_equal(both$upper[2], 1)
})

test_that("invalid counts and levels are refused", {
  expect_error(exact_interval(3, 2), "0 <= k <= n")
  expect_error(exact_interval(1, 2, 1), "level.* greater than 0 and less than 1")
})
