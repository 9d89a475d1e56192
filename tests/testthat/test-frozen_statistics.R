# Python is tested against the same values, see tests/python/test_frozen_statistics.py.
frozen <- jsonlite::read_json(test_path("frozen", "statistics.json"), simplifyVector = FALSE)

test_that("the stored intervals are those of R", {
  for (one in frozen$intervals) {
    wilson <- wilson_interval(one$k, one$n, one$level)
    exact <- sense:::exact_interval(one$k, one$n, one$level)
    info <- sprintf("%d of %d, %g", one$k, one$n, one$level)
    expect_equal(c(wilson$lower, wilson$upper), unlist(one$wilson), tolerance = 1e-12, info = info)
    expect_equal(c(exact$lower, exact$upper), unlist(one$exact), tolerance = 1e-9, info = info)
  }
})

test_that("the stored paired tests are those of R", {
  for (one in frozen$mcnemar) {
    p <- sense:::mcnemar_exact(one$only_first, one$only_second)
    expect_equal(p, one$p, tolerance = 1e-12)
  }
  for (one in frozen$holm) {
    expect_equal(stats::p.adjust(unlist(one$p), "holm"), unlist(one$adjusted), tolerance = 1e-12)
  }
})

test_that("an image is correct in the worst case if it is correct under every attack", {
  correct <- sapply(frozen$worst$right, unlist) == 1
  ball <- list(eps = 0.3, norm = "inf")
  found <- sense:::with_worst_case(correct, list(pgd = ball, square = ball), ball)[, "worst"]
  expect_equal(as.integer(found), unlist(frozen$worst$worst))
})
