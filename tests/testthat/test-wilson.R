test_that("the interval equals that of prop.test without continuity correction", {
  cases <- expand.grid(k = c(0, 1, 7, 49, 50), n = 50, level = c(0.8, 0.95, 0.99))
  for (i in seq_len(nrow(cases))) {
    case <- cases[i, ]
    expected <- suppressWarnings(
      prop.test(case$k, case$n, conf.level = case$level, correct = FALSE)$conf.int
    )
    ours <- wilson_interval(case$k, case$n, case$level)
    expect_equal(c(ours$lower, ours$upper), as.vector(expected), tolerance = 1e-12)
  }
})

test_that("the ends are exact at 0 and n", {
  expect_identical(wilson_interval(0, 20)$lower, 0)
  expect_identical(wilson_interval(20, 20)$upper, 1)
})

test_that("vectors give a row per element", {
  expect_equal(nrow(wilson_interval(0:3, 3)), 4)
  expect_equal(wilson_interval(0:3, 3)$estimate, 0:3 / 3)
})

test_that("invalid counts and levels are refused", {
  expect_error(wilson_interval(3, 2), "0 <= k <= n")
  expect_error(wilson_interval(0, 0), "n >= 1")
  expect_error(wilson_interval(NA, 2), "numbers")
  expect_error(wilson_interval(1, 2, level = 95), "greater than 0 and less than 1")
})
