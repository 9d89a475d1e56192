test_that("the interval is that of prop.test without correction", {
  for (k in c(0, 1, 37, 100)) {
    theirs <- suppressWarnings(prop.test(k, 100, correct = FALSE))$conf.int
    expect_equal(unlist(wilson_interval(k, 100)[2:3], use.names = FALSE), as.numeric(theirs), tolerance = 1e-10)
  }
  expect_identical(nrow(wilson_interval(0:3, 5)), 4L)
  expect_identical(wilson_interval(0, 7)$lower, 0)
  expect_identical(wilson_interval(7, 7)$upper, 1)
})

test_that("bad counts are named", {
  expect_error(wilson_interval(3, 2), "between 0 and")
  expect_error(wilson_interval(1, 0), "1 or more")
  expect_error(wilson_interval(1, 2, 1), "`level`")
})
